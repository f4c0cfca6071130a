"""The flags of `wasm run` as a job: modules are inputs, and the engine names them by where they are mounted."""

from pathlib import Path, PurePosixPath

from bacalhau.cli.spec.flags import job_of_engine
from bacalhau.cli.spec.job_flags import WasmJob
from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.job import InputSource, Job
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.text.grammar import scheme_of
from bacalhau.plugins.inline.writing import inline_file
from bacalhau.plugins.uris import parse_input

_MAIN = "main.wasm"


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
    return InputSource(source=inline_file(Path(name)), alias=name, target=target)
