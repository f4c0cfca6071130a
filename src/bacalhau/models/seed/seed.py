"""The job and its state as the older generation wrote them: one set of structs for reading its files and writing its
views.

`seed_reading` turns such a job into today's, `seed_view` draws today's as such. Field order is the order of the keys.
"""

from typing import Any

import msgspec

from bacalhau.lib.clock import ZERO_TIME
from bacalhau.lib.wire import Model, always

API_VERSION = "V1beta2"


class SeedS3(Model):
    """The SHA-256 (base64) stands under both names: readers of either generation find it."""

    bucket: str = ""
    key: str = ""
    filter: str = ""
    checksum: str = ""
    checksum_sha256: str = msgspec.field(default="", name="ChecksumSHA256")
    version_id: str = ""
    endpoint: str = ""
    region: str = ""


class SeedStorage(Model):
    """An input (`path` is where it appears), an output (`name`, `path`), or where a result is."""

    storage_source: str = ""
    name: str = ""
    cid: str = ""
    url: str = ""
    s3: SeedS3 | None = None
    repo: str = ""
    source_path: str = ""
    read_write: bool = False
    path: str = ""
    metadata: dict[str, Any] | None = None


class SeedEngine(Model):
    type: str = always(factory=str)
    params: dict[str, Any] | None = always(factory=lambda: None)


class SeedPublisher(Model):
    type: str = ""
    params: dict[str, Any] | None = None


class SeedDocker(Model):
    image: str = ""
    entrypoint: tuple[str, ...] | None = None
    parameters: tuple[str, ...] | None = None
    environment_variables: tuple[str, ...] | None = None
    working_directory: str = ""


class SeedWasm(Model):
    entry_module: SeedStorage = always(factory=SeedStorage)
    entry_point: str = ""
    parameters: tuple[str, ...] | None = None
    environment_variables: dict[str, str] | None = None
    import_modules: tuple[SeedStorage, ...] | None = None


class SeedResources(Model):
    """Sizes are in powers of 1024: `512Mb` is 536,870,912 bytes."""

    cpu: str = ""
    memory: str = ""
    disk: str = ""
    gpu: str = always(factory=str)


class SeedNetwork(Model):
    type: str = always(factory=lambda: "None")
    domains: tuple[str, ...] | None = None


class SeedSelector(Model):
    key: str = always(factory=str)
    operator: str = always(factory=str)
    values: tuple[str, ...] | None = None


class SeedDeal(Model):
    """`targeting_mode` True is all matching nodes."""

    targeting_mode: bool = False
    concurrency: int = 0


class SeedSpec(Model):
    """`engine` and `publisher` are the older spellings of the two specs; `timeout` is in seconds, which the first
    clients write as 1800.0.
    """

    engine: str = ""
    engine_spec: SeedEngine = always(factory=SeedEngine)
    publisher: str = ""
    publisher_spec: SeedPublisher = always(factory=SeedPublisher)
    docker: SeedDocker = always(factory=SeedDocker)
    wasm: SeedWasm = always(factory=SeedWasm)
    resources: SeedResources = always(factory=SeedResources)
    network: SeedNetwork = always(factory=SeedNetwork)
    timeout: int | float = 0
    inputs: tuple[SeedStorage, ...] | None = None
    outputs: tuple[SeedStorage, ...] | None = None
    annotations: tuple[str, ...] | None = None
    node_selectors: tuple[SeedSelector, ...] | None = None
    do_not_track: bool = False
    deal: SeedDeal = always(factory=SeedDeal)


class SeedRequester(Model):
    requester_node_id: str = ""
    requester_public_key: str = ""


class SeedMetadata(Model):
    id: str = ""
    created_at: str = always(factory=lambda: ZERO_TIME)
    client_id: str = ""
    requester: SeedRequester = always(factory=SeedRequester)


class SeedJob(Model):
    api_version: str = msgspec.field(default_factory=lambda: API_VERSION, name="APIVersion")
    metadata: SeedMetadata = always(factory=SeedMetadata)
    spec: SeedSpec = always(factory=SeedSpec)


class SeedRunOutput(Model, rename=lambda name: name):
    stdout: str = always(factory=str)
    stdouttruncated: bool = always(factory=bool)
    stderr: str = always(factory=str)
    stderrtruncated: bool = always(factory=bool)
    exit_code: int = msgspec.field(default_factory=lambda: 0, name="exitCode")
    runner_error: str = msgspec.field(default_factory=lambda: "", name="runnerError")


class SeedExecution(Model):
    job_id: str = always(factory=str)
    node_id: str = msgspec.field(default_factory=lambda: "", name="NodeId")
    compute_reference: str = always(factory=str)
    state: str = always(factory=str)
    status: str = ""
    desired_state: int = 0
    published_results: SeedStorage = always(factory=SeedStorage)
    run_output: SeedRunOutput | None = None
    version: int = always(factory=int)
    create_time: str = always(factory=str)
    update_time: str = always(factory=str)


class SeedState(Model):
    job_id: str = always(factory=str)
    executions: tuple[SeedExecution, ...] = always(factory=tuple)
    state: str = always(factory=str)
    version: int = always(factory=int)
    create_time: str = always(factory=str)
    update_time: str = always(factory=str)
    timeout_at: str = always(factory=lambda: ZERO_TIME)


class SeedChange(Model):
    previous: str = always(factory=str)
    new: str = always(factory=str)


class SeedHistory(Model):
    type: str = always(factory=str)
    job_id: str = always(factory=str)
    node_id: str = ""
    compute_reference: str = ""
    job_state: SeedChange | None = None
    execution_state: SeedChange | None = None
    new_version: int = always(factory=int)
    comment: str = ""
    time: str = always(factory=str)


class SeedJobWithInfo(Model):
    job: SeedJob = always(factory=SeedJob)
    state: SeedState = always(factory=SeedState)
    history: tuple[SeedHistory, ...] | None = None
