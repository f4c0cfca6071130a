"""Every plug-in under its type name: the one line a new folder adds here is all that the rest needs to know."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from bacalhau.lib.errors import Unavailable
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.docker.engine import DockerEngine
from bacalhau.plugins.docker.params import check_engine as check_docker
from bacalhau.plugins.inline.data_url import check_source as check_inline_source
from bacalhau.plugins.inline.source import InlineSource
from bacalhau.plugins.ipfs.publisher import IpfsPublisher
from bacalhau.plugins.ipfs.publisher import check_publisher as check_ipfs_publisher
from bacalhau.plugins.ipfs.source import IpfsSource
from bacalhau.plugins.ipfs.source import check_source as check_ipfs_source
from bacalhau.plugins.local.params import check_source as check_local_source
from bacalhau.plugins.local.publisher import LocalPublisher
from bacalhau.plugins.local.publisher import check_publisher as check_local_publisher
from bacalhau.plugins.local.source import LocalSource
from bacalhau.plugins.noop.engine import NoopEngine
from bacalhau.plugins.noop.engine import check_engine as check_noop
from bacalhau.plugins.s3.managed import S3ManagedPublisher, SignUpload
from bacalhau.plugins.s3.managed import check_publisher as check_managed_publisher
from bacalhau.plugins.s3.params import check_publisher as check_s3_publisher
from bacalhau.plugins.s3.params import check_source as check_s3_source
from bacalhau.plugins.s3.params import check_whole as check_whole_s3
from bacalhau.plugins.s3.publisher import S3Publisher
from bacalhau.plugins.s3.source import S3Source
from bacalhau.plugins.url.params import check_source as check_url_source
from bacalhau.plugins.url.source import UrlSource
from bacalhau.ports.content import ContentStore, SpecCheck
from bacalhau.ports.engine import Engine
from bacalhau.ports.publisher import Publisher
from bacalhau.ports.storage import Storage


async def _no_upload(job_id: str, execution_id: str) -> str:
    raise Unavailable("there is no orchestrator to ask for a link")


class Setting(NamedTuple):
    """What plug-ins are made with.

    Endpoints are "" where none is configured; `results` is where the local publisher keeps its archives.
    """

    content: ContentStore
    ipfs_source_endpoint: str = ""
    ipfs_publisher_endpoint: str = ""
    allowed_paths: tuple[str, ...] = ()
    url_retries: int = 3
    sign_upload: SignUpload = _no_upload
    results: Path = Path()
    results_address: str = "127.0.0.1"
    results_port: int = 0


def _accept(spec: SpecConfig) -> list[str]:
    return []


ENGINES: Mapping[str, Callable[[Setting], Engine]] = {
    "docker": lambda setting: DockerEngine(),
    "noop": lambda setting: NoopEngine(),
}
SOURCES: Mapping[str, Callable[[Setting], Storage]] = {
    "s3": lambda setting: S3Source(),
    "ipfs": lambda setting: IpfsSource(setting.content, setting.ipfs_source_endpoint),
    "urldownload": lambda setting: UrlSource(retries=setting.url_retries),
    "inline": lambda setting: InlineSource(),
    "local": lambda setting: LocalSource(setting.allowed_paths),
    "localdirectory": lambda setting: LocalSource(setting.allowed_paths),
}
LOCATED: frozenset[str] = frozenset({"ipfs", "local", "localdirectory"})
"""Sources that one node may have and another not; where their inputs are is worth asking before a job is placed."""
PUBLISHERS: Mapping[str, Callable[[Setting], Publisher]] = {
    "s3": lambda setting: S3Publisher(),
    "s3managed": lambda setting: S3ManagedPublisher(setting.sign_upload),
    "local": lambda setting: LocalPublisher(setting.results, setting.results_address, setting.results_port),
    "ipfs": lambda setting: IpfsPublisher(setting.content, setting.ipfs_publisher_endpoint),
}

ENGINE_CHECKS: Mapping[str, SpecCheck] = {"docker": check_docker, "noop": check_noop}
SOURCE_CHECKS: Mapping[str, SpecCheck] = {
    "s3": check_s3_source,
    "ipfs": check_ipfs_source,
    "urldownload": check_url_source,
    "inline": check_inline_source,
    "local": check_local_source,
    "localdirectory": check_local_source,
}
WHOLE_CHECKS: Mapping[str, SpecCheck] = {"s3": check_whole_s3}
"""In place of the source's own check in jobs that are not divided by a count."""
PUBLISHER_CHECKS: Mapping[str, SpecCheck] = {
    "s3": check_s3_publisher,
    "s3managed": check_managed_publisher,
    "ipfs": check_ipfs_publisher,
    "local": check_local_publisher,
    "noop": _accept,
}
