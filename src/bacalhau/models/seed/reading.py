"""The older generation's job turned into today's, with what its command line and server filled in: publisher, outputs,
network.
"""

import re
from collections.abc import Iterable
from math import ceil, isfinite
from typing import Any

from msgspec.structs import replace

from bacalhau.lib.clock import ZERO_TIME
from bacalhau.lib.units import MAX_SECONDS
from bacalhau.models.job.job import InputSource, Job, LabelSelectorRequirement, ResultPath, Task, Timeouts
from bacalhau.models.job.network import NetworkConfig
from bacalhau.models.job.resources import ResourcesConfig
from bacalhau.models.job.shared_target import place_side_by_side
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.seed.seed import (
    SeedEngine,
    SeedJob,
    SeedPublisher,
    SeedResources,
    SeedS3,
    SeedSpec,
    SeedStorage,
    SeedWasm,
)

OUTPUTS = ResultPath(name="outputs", path="/outputs")
DEFAULT_TARGET = "/inputs"
ENTRY_MODULE = "/wasm/entry.wasm"
DEFAULT_SECONDS = 1800
"""How long a job submitted to that generation's API may run when it does not say."""
_SIZE = re.compile(r"([0-9]+)([kmgtpe]?)i?b?")
_POWERS = " kmgtpe"


def job_from_seed(seed: SeedJob) -> tuple[Job, list[str]]:
    """Today's job and all problems by path. What the server owns (`metadata`) is left behind, see
    `ignored_metadata`.
    """
    spec, problems = seed.spec, list[str]()
    everywhere = spec.deal.targeting_mode
    inputs = [_input(f"Spec.Inputs[{i}]", s, problems) for i, s in enumerate(spec.inputs or ())]
    task = Task(
        name="main",
        engine=_engine(spec, problems),
        publisher=_publisher(spec),
        env=(spec.wasm.environment_variables or None) if _is_older_wasm(spec) else None,
        input_sources=(*_wasm_modules(spec, problems), *place_side_by_side(inputs)) or None,
        result_paths=_outputs(spec),
        resources=_resources(spec.resources, problems),
        network=NetworkConfig(type=spec.network.type or "None", domains=spec.network.domains or ()),
        timeouts=Timeouts(execution_timeout=_timeout(spec.timeout, problems)),
    )
    job = Job(
        type="ops" if everywhere else "batch",
        count=0 if everywhere else spec.deal.concurrency or 1,
        constraints=tuple(
            LabelSelectorRequirement(key=s.key, operator=s.operator, values=s.values) for s in spec.node_selectors or ()
        ),
        labels=dict.fromkeys(spec.annotations or (), ""),
        tasks=(task,),
    )
    return job, problems


def _timeout(seconds: float, problems: list[str]) -> int:
    """Read a limit of time, in whole seconds. YAML and JSON can also say infinity and no number at all."""
    if isfinite(seconds):
        return ceil(seconds)
    problems.append(f"field 'Spec.Timeout': {seconds} is no number of seconds")
    return 0


def submission_problems(spec: SeedSpec, publishers: Iterable[str]) -> list[str]:
    """List what that generation's server refused before all else, in its words; `publishers` are the known types."""
    known = sorted({*publishers, "estuary"})
    if spec == SeedSpec():
        return ["job spec is empty"]
    count, publisher = spec.deal.concurrency, (spec.publisher_spec.type or spec.publisher).lower()
    checks = (
        (
            not spec.deal.targeting_mode and count < 1,
            f"concurrency must be >= 1, not {count}: set Spec.Deal.Concurrency",
        ),
        (spec.deal.targeting_mode and count > 1, f"concurrency ignored for target all mode, must be == 0, not {count}"),
        (
            publisher not in ("", *known),
            f"invalid publisher type: {publisher} (use one of {', '.join(known)})",
        ),
        (
            not 0 <= spec.timeout <= MAX_SECONDS,
            f"field 'Spec.Timeout' must be >= 0 seconds and <= {MAX_SECONDS}, not {spec.timeout}",
        ),
    )
    return [text for wrong, text in checks if wrong]


def ignored_metadata(seed: SeedJob) -> list[str]:
    """Names of filled fields that only a server sets."""
    meta = seed.metadata
    filled = {
        "ClientID": meta.client_id,
        "CreatedAt": meta.created_at if meta.created_at != ZERO_TIME else "",
        "ID": meta.id,
        "RequesterNodeID": meta.requester.requester_node_id,
        "RequesterPublicKey": meta.requester.requester_public_key,
    }
    return [name for name, value in filled.items() if value]


def _engine(spec: SeedSpec, problems: list[str]) -> SpecConfig:
    """The spec, or the parts that came before it: a name in `Engine`, the parameters in `Docker`."""
    if spec.engine_spec != SeedEngine():
        if not spec.engine_spec.type:
            problems.append("field 'Spec.EngineSpec.Type' is missing: name an engine such as docker")
        return SpecConfig(type=spec.engine_spec.type.lower(), params=spec.engine_spec.params)
    kind = spec.engine.lower() or ("docker" if spec.docker.image else "")
    if kind == "docker":
        docker = spec.docker
        params: dict[str, Any] = {
            "Image": docker.image,
            "Entrypoint": docker.entrypoint and list(docker.entrypoint),
            "Parameters": docker.parameters and list(docker.parameters),
            "EnvironmentVariables": list(docker.environment_variables or ()),
            "WorkingDirectory": docker.working_directory,
        }
        return SpecConfig(type="docker", params=params)
    if not kind:
        problems.append("field 'Spec.EngineSpec' is missing: write EngineSpec: {Type: docker, Params: {Image: ...}}")
    elif kind == "wasm":
        return _wasm_engine(spec.wasm)
    return SpecConfig(type=kind)


def _wasm_engine(wasm: SeedWasm) -> SpecConfig:
    """The engine names its modules by where they appear; `_wasm_modules` brings them there."""
    imports = [_import_target(i, module) for i, module in enumerate(wasm.import_modules or ())]
    params: dict[str, Any] = {"EntryModule": wasm.entry_module.path or ENTRY_MODULE, "Entrypoint": wasm.entry_point}
    return SpecConfig(
        type="wasm", params=params | {"Parameters": list(wasm.parameters or ()), "ImportModules": imports}
    )


def _wasm_modules(spec: SeedSpec, problems: list[str]) -> tuple[InputSource, ...]:
    if not _is_older_wasm(spec):
        return ()
    entry = _input("Spec.Wasm.EntryModule", spec.wasm.entry_module, problems)
    imports = [
        (_input(f"Spec.Wasm.ImportModules[{i}]", m, problems), _import_target(i, m))
        for i, m in enumerate(spec.wasm.import_modules or ())
    ]
    return (
        replace(entry, target=spec.wasm.entry_module.path or ENTRY_MODULE),
        *(replace(module, target=target) for module, target in imports),
    )


def _is_older_wasm(spec: SeedSpec) -> bool:
    """Told by name, in the part of the spec that came before `EngineSpec`."""
    return spec.engine_spec == SeedEngine() and spec.engine.lower() == "wasm"


def _import_target(number: int, module: SeedStorage) -> str:
    return module.path or f"/wasm/imports/module_{number}.wasm"


def _publisher(spec: SeedSpec) -> SpecConfig:
    """IPFS unless another is named: a saved dry run of the older client says noop where its server
    published to IPFS.
    """
    given = spec.publisher_spec if spec.publisher_spec.type else SeedPublisher(type=spec.publisher)
    kind = given.type.lower()
    return SpecConfig(type="ipfs") if kind in ("", "noop", "estuary") else SpecConfig(type=kind, params=given.params)


def _outputs(spec: SeedSpec) -> tuple[ResultPath, ...]:
    given = tuple(ResultPath(name=o.name, path=o.path) for o in spec.outputs or ())
    return given if any(o.path.rstrip("/") == OUTPUTS.path for o in given) else (*given, OUTPUTS)


def _resources(wanted: SeedResources, problems: list[str]) -> ResourcesConfig:
    memory = _bytes("Memory", wanted.memory, problems)
    return ResourcesConfig(cpu=wanted.cpu, memory=memory, disk=_bytes("Disk", wanted.disk, problems), gpu=wanted.gpu)


def _bytes(name: str, text: str, problems: list[str]) -> str:
    """`512Mb` → `536870912`: sizes of the older generation are in powers of 1024, whole numbers only."""
    match = _SIZE.fullmatch("".join(text.lower().split()))
    if match:
        return str(int(match[1]) * 1024 ** _POWERS.index(match[2] or " "))
    if text:
        problems.append(
            f"field 'Spec.Resources.{name}': invalid {name.lower()} value: {text} (expected a whole number with a unit,"
            " such as 512Mb)"
        )
    return ""


def _input(path: str, storage: SeedStorage, problems: list[str]) -> InputSource:
    kind = storage.storage_source.lower() or _inferred(storage)
    source = SpecConfig(type=kind)
    if kind == "s3":
        source = SpecConfig(type="s3", params=_s3(storage.s3 or SeedS3()))
    elif kind == "ipfs":
        source = SpecConfig(type="ipfs", params={"CID": storage.cid})
    elif kind in ("urldownload", "inline"):
        source = SpecConfig(type="urlDownload" if kind == "urldownload" else kind, params={"URL": storage.url})
    elif kind in ("localdirectory", "local"):
        source = SpecConfig(type="local", params={"SourcePath": storage.source_path, "ReadWrite": storage.read_write})
    else:
        problems.append(
            f"field '{path}.StorageSource': invalid input volume type: {storage.storage_source!r} (expected s3, ipfs,"
            " urlDownload, localDirectory or inline)"
        )
    return InputSource(source=source, alias=storage.name, target=storage.path or DEFAULT_TARGET)


def _inferred(storage: SeedStorage) -> str:
    for kind, value in (
        ("s3", storage.s3),
        ("ipfs", storage.cid),
        ("urldownload", storage.url),
        ("localdirectory", storage.source_path),
    ):
        if value:
            return kind
    return ""


def _s3(s3: SeedS3) -> dict[str, str]:
    return {
        "Bucket": s3.bucket,
        "Key": s3.key,
        "Filter": s3.filter,
        "Region": s3.region,
        "Endpoint": s3.endpoint,
        "VersionID": s3.version_id,
        "ChecksumSHA256": s3.checksum_sha256 or s3.checksum,
    }
