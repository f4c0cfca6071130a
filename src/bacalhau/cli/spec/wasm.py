"""The flags of `wasm run` as a job: modules are inputs, and the engine names them by where they are mounted."""

import base64
import gzip
from pathlib import Path, PurePosixPath

from bacalhau.border.tar import Member, join
from bacalhau.cli.spec.flags import job_of_engine
from bacalhau.cli.spec.job_flags import WasmJob
from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.job import InputSource, Job
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.text.grammar import scheme_of
from bacalhau.plugins.uris import parse_input

_MAIN = "main.wasm"
_PLAIN_BYTES = 512  # more is packed


def wasm_job(flags: WasmJob, positionals: list[str]) -> Job:
    """`positionals` are the module and what it gets as arguments. Raises UsageError or BadRequest."""
    text, *arguments = positionals
    module = _module(text, _MAIN)
    found = [_imported(name) for name in flags.import_modules]
    params = {
        "EntryModule": module.target,
        "Entrypoint": flags.entry_point,
        "ImportModules": [imported.target for imported in found] or None,
        "Parameters": arguments,
    }
    brought = tuple(source for source in (module, *found) if source.source.type)
    job = job_of_engine(flags, SpecConfig(type="wasm", params=params), brought)
    mounts = [source.target for source in job.task.input_sources or ()]
    for name in (source.target for source in (module, *found) if not source.source.type):
        if not any(PurePosixPath(name).is_relative_to(mount) for mount in mounts):
            raise BadRequest(
                f'opening module ("{name}"): no such file or directory',
                hint="name a file of this machine, a URI, or a path below the target of an --input",
            )
    return job


def _imported(text: str) -> InputSource:
    module = _module(text, "")
    if not module.target:
        raise BadRequest(f"import module \"{text}\" must specify a target path using the format 'path:target'")
    return module


def _module(text: str, default: str) -> InputSource:
    """A URI, a local file, or else the place where another input is mounted: then without a source."""
    if scheme_of(text) or "=" in text.partition(",")[0]:
        return parse_input(text, default)
    path, colon, target = text.rpartition(":")
    name, target = (path, target) if colon else (text, default)
    if not Path(name).exists():
        return InputSource(target=text)
    return InputSource(source=_inline(Path(name)), alias=name, target=target)


def _inline(path: Path) -> SpecConfig:
    if not path.is_file():
        raise BadRequest(f'"{path}" should point to a single file')
    try:
        data = path.read_bytes()
    except OSError as e:
        raise BadRequest(f'cannot read the module "{path}": {(e.strerror or str(e)).lower()}') from e
    kind, content = (
        ("application/octet-stream", data)
        if len(data) <= _PLAIN_BYTES
        else ("application/gzip", _packed(path.name, data))
    )
    return SpecConfig(type="inline", params={"URL": f"data:{kind};base64,{base64.b64encode(content).decode()}"})


def _packed(name: str, data: bytes) -> bytes:
    """A tar.gz of one file, the same bytes for the same content."""
    return gzip.compress(join([(Member(name, len(data)), data)]), mtime=0)
