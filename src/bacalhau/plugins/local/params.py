"""The parameters of a path of the node, and their pure check at submission."""

from bacalhau.border.places import CreateAs
from bacalhau.lib.wire import Model
from bacalhau.lib.written import truth_of
from bacalhau.models.job.spec import SpecConfig, read_params

_PREFIX = "invalid local storage params: "


class LocalParams(Model):
    """`path` is an older name of `source_path`; `read_write` may be text."""

    source_path: str = ""
    path: str = ""
    read_write: bool | str = False
    create_as: str = ""

    @property
    def place(self) -> str:
        return self.source_path or self.path

    @property
    def write(self) -> bool:
        return truth_of(self.read_write) is True

    @property
    def create(self) -> CreateAs:
        return CreateAs(self.create_as.strip().lower() or CreateAs.NO_CREATE)


def check_source(spec: SpecConfig) -> list[str]:
    """List every problem of a local source."""
    params, problems = read_params(spec, LocalParams)
    if params:
        problems += _problems(params)
    return [_PREFIX + problem for problem in problems]


def _problems(params: LocalParams) -> list[str]:
    found = []
    if not params.place:
        found.append("source path cannot be empty")
    elif not params.place.startswith("/") or "\0" in params.place:
        found.append(f"source path {params.place!r} is not an absolute path")
    if params.source_path and params.path and params.source_path != params.path:
        found.append(f"Path {params.path!r} contradicts SourcePath {params.source_path!r}: give one of them")
    if str(params.read_write).strip() and truth_of(params.read_write) is None:
        found.append(f"ReadWrite must be true or false, not {params.read_write!r}")
    if params.create_as.strip().lower() not in ("", *CreateAs):
        found.append(f"CreateAs must be dir, file or noCreate, not {params.create_as!r}")
    return found
