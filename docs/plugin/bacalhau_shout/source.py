"""Bring a greeting to a task."""

from pathlib import Path

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import Model
from bacalhau.models.job.spec import SpecConfig, read_params, require_params
from bacalhau.ports.plugin import Setting
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.storage import WHOLE, Entry, Manifest, Partition, Volume


class GreetingParams(Model):
    """`name`: who is greeted."""

    name: str = ""


class GreetingSource:
    """A source of one file, `greeting.txt`."""

    async def check(self) -> None:
        """Greetings can always be made."""

    async def resolve(self, source: SpecConfig, part: Partition = WHOLE) -> Manifest:
        return Manifest(source, (Entry("greeting", "greeting.txt", len(_text(source))),))

    async def fetch(self, manifest: Manifest, into: Path, report: Report) -> Volume:
        (into / "greeting.txt").write_text(_text(manifest.source))
        report(Step("staging", 1, 1, manifest.size, manifest.size))
        return Volume(into)


def make(setting: Setting) -> GreetingSource:
    return GreetingSource()


def check(spec: SpecConfig) -> list[str]:
    params, problems = read_params(spec, GreetingParams)
    if params and not params.name:
        problems.append("Name cannot be empty")
    return [f"invalid greeting param: {problem}" for problem in problems]


def read_uri(uri: str, options: dict[str, str]) -> SpecConfig:
    """Read `greeting://NAME`. Raises BadRequest."""
    if options:
        raise BadRequest("greetings have no options", hint="write greeting://NAME")
    return SpecConfig(type="greeting", params={"Name": uri.partition("://")[2]})


def _text(source: SpecConfig) -> str:
    return f"hello {require_params(source, GreetingParams).name}\n"
