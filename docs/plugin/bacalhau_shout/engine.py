"""Print the inputs of a task in capitals."""

from bacalhau.lib.errors import EngineFailure
from bacalhau.lib.wire import Model
from bacalhau.models.job.spec import SpecConfig, read_params, require_params
from bacalhau.ports.engine import EngineTask, Exit
from bacalhau.ports.plugin import Setting
from bacalhau.ports.progress import Report


class ShoutParams(Model):
    """`times`: how often each line is shouted."""

    times: int = 1


class ShoutEngine:
    """An engine whose tasks end at once."""

    async def check(self) -> None:
        """Shouting needs nothing of the node."""

    async def run(self, task: EngineTask, report: Report) -> Exit:
        params = require_params(SpecConfig(type="shout", params=task.params), ShoutParams)
        files = [path for mount in task.mounts for path in sorted(mount.host_path.rglob("*"))]
        try:
            text = "".join(path.read_text().upper() for path in files if path.is_file())
        except (OSError, UnicodeError) as e:
            raise EngineFailure(f"the inputs cannot be read: {e}") from e
        task.stdout.parent.mkdir(parents=True, exist_ok=True)
        task.stdout.write_text(text * params.times)
        task.stderr.write_text("")
        return Exit(0)

    async def stop(self, execution_id: str, grace: float) -> None:
        """There is nothing to stop."""


def make(setting: Setting) -> ShoutEngine:
    return ShoutEngine()


def check(spec: SpecConfig) -> list[str]:
    params, problems = read_params(spec, ShoutParams)
    if params and params.times < 1:
        problems.append(f"Times must be at least 1, not {params.times}")
    return [f"invalid shout param: {problem}" for problem in problems]
