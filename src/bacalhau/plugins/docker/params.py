"""The parameters of a docker engine, and their check at submission."""

import re

from bacalhau.lib.wire import Model, always
from bacalhau.models.job.spec import SpecConfig, read_params
from bacalhau.plugins.docker.extras import Extras, read_extras

RESERVED_ENV = "BACALHAU_"

_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_NAME = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:{_HOST}/)?{_NAME}(?:/{_NAME})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@[A-Za-z][A-Za-z0-9+._-]*:[0-9a-fA-F]{{32,}})?"
)


class DockerParams(Model):
    """Engine.Params of type docker. No `entrypoint` keeps the image's; `parameters` are the command.

    `shm_size`, `tmpfs` and `ulimits` are read by extras.py.
    """

    image: str = always(factory=str)
    entrypoint: tuple[str, ...] | None = None
    parameters: tuple[str, ...] | None = None
    environment_variables: tuple[str, ...] | None = None
    working_directory: str | None = None
    shm_size: str | int | None = None
    tmpfs: tuple[str, ...] | None = None
    ulimits: tuple[str, ...] | None = None

    @property
    def extras(self) -> Extras:
        return self._read_extras()[0]

    def list_extra_problems(self) -> list[str]:
        return self._read_extras()[1]

    def _read_extras(self) -> tuple[Extras, list[str]]:
        return read_extras(self.shm_size, self.tmpfs or (), self.ulimits or ())


def check_engine(spec: SpecConfig) -> list[str]:
    """List every problem of a docker engine's parameters."""
    params, problems = read_params(spec, DockerParams)
    return [f"invalid docker engine param: {text}" for text in problems] + (_problems(params) if params else [])


def list_doubts(spec: SpecConfig) -> list[str]:
    """List why a task may run another program next time: a tag may name another image by then."""
    params, _ = read_params(spec, DockerParams)
    image = params.image if params else ""
    return [] if "@sha256:" in image else [f"image {image} is not pinned by its digest (write {image}@sha256:…)"]


def _problems(params: DockerParams) -> list[str]:
    problems = []
    if not params.image.strip():
        problems.append("invalid docker engine param: 'Image' cannot be empty")
    elif params.image.split() != [params.image]:
        problems.append(f"invalid docker engine param: 'Image' must not contain white space: {params.image!r}")
    elif not _REFERENCE.fullmatch(params.image):
        problems.append(
            f'invalid image format: "{params.image}" (write [host[:port]/]name[:tag][@digest], the name in lower case)'
        )
    workdir = params.working_directory or "/"
    if not workdir.startswith("/"):
        problems.append(f"validating docker working directory: workdir must be an absolute path. Passed in: {workdir}")
    problems += [f"invalid docker engine param: {text}" for text in params.list_extra_problems()]
    return problems + [problem for entry in params.environment_variables or () if (problem := _env_problem(entry))]


def _env_problem(entry: str) -> str:
    name = entry.partition("=")[0]
    if not name.strip():
        return f"invalid docker engine param: 'EnvironmentVariables' entry without a name: {entry!r} (write NAME=value)"
    if name.upper().startswith(RESERVED_ENV):
        return (
            f"invalid docker engine param: 'EnvironmentVariables' name '{name}' cannot start with {RESERVED_ENV}, which"
            " is reserved"
        )
    return ""
