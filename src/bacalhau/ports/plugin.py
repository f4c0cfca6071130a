"""The manifest of a plug-in: one frozen `Plugin` names all that it adds to the system.

A manifest is cheap to import. The code behind it stands there as targets, texts of the form `module:attribute`, which
are imported when they are first needed: no command waits for the libraries of a plug-in that it does not use.
The names of types and URI schemes are in lower case, and are taken in any case from users.
"""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from bacalhau.border.addresses import EVERYWHERE, Reach
from bacalhau.config.plugins import InputSources, ResultDownloaders
from bacalhau.config.schema import Config
from bacalhau.lib.errors import Unavailable
from bacalhau.lib.patience import Patience
from bacalhau.models.job.spec import SpecConfig
from bacalhau.ports.content import ContentStore
from bacalhau.ports.publisher import Published
from bacalhau.ports.storage import Storage

Target = Annotated[str, Meta(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9+._-]*$")]
SignUpload = Callable[[str, str], Awaitable[str]]
"""Return the link to which an execution's result is PUT, given the ids of job and execution. Raises BacalhauError."""

SignInput = Callable[[SpecConfig], Awaitable[SpecConfig]]
"""Return an input source with the link by which a node fetches it, or as it is where it needs none. Raises
BacalhauError.
"""

Presign = Callable[[Published], Awaitable[SpecConfig]]
"""Return a published result as clients can fetch it. Raises BacalhauError."""


class Scheme(msgspec.Struct, frozen=True):
    """The way users write a spec on the command line, as `name://…`, or a publisher also as the bare name.

    `read` is a target `(uri, options) -> SpecConfig` that raises BadRequest; `form` is the example that error messages
    show, "" for a spelling that is only understood.
    """

    name: Name
    read: Target
    form: str = ""


class EngineType(msgspec.Struct, frozen=True):
    """An engine. `make` is a target `(Setting) -> ports.engine.Engine`, `check` one `(SpecConfig) -> list[str]`.

    `params` is the target of a `lib.wire.Model` with the names of all parameters: users are warned of others, which
    are ignored. Without it nobody is warned. `doubts` is a target `(SpecConfig) -> list[str]` that lists why a task may
    run another program next time; without it nobody can know, and no result is used again.
    """

    name: Name
    make: Target
    check: Target
    params: Target | None = None
    doubts: Target | None = None


class SourceType(msgspec.Struct, frozen=True):
    """An input source. `make` is a target `(Setting) -> ports.storage.Storage`.

    `check` and `check_whole` are targets `(SpecConfig) -> list[str]`; the second is for jobs that no count divides,
    None where that is the same. `located` sources are on one node and not on another: the orchestrator asks the
    nodes before it places a job (see ports.storage.Located). `listed` sources may hold another thing tomorrow: they are
    listed once for all executions of a job (see ports.storage.Listable). Of `fixed` sources the parameters alone say
    what they hold, for ever. `divide` is a target `(SpecConfig) -> int`: how many bytes make a partition where the
    input decides the job's count, else 0. `params`: see EngineType.
    """

    name: Name
    make: Target
    check: Target
    check_whole: Target | None = None
    schemes: tuple[Scheme, ...] = ()
    located: bool = False
    listed: bool = False
    fixed: bool = False
    params: Target | None = None
    divide: Target | None = None


class PublisherType(msgspec.Struct, frozen=True):
    """A publisher. `make` is a target `(Setting) -> ports.publisher.Publisher`, None for one that keeps nothing.

    `check` is a target `(SpecConfig) -> list[str]`. Without `schemes` users write the bare name. `orchestrator` is a
    target `(Config) -> OrchestratorPart`, None where the orchestrator has nothing to do. `check_result` is a target
    `(ports.publisher.Published) -> list[str]`: what a node reports is no result where it finds a problem. Without it a
    result must be of the publisher's own type or of one that a downloader of the same plug-in fetches.
    `as_input` is a target `(ports.publisher.Published, str) -> ports.publisher.ResultInput`: the input that brings the
    part of a result at that path. Without it other jobs cannot take results of this publisher.
    `check_overlap` is a target `(models.job.overlap.PublisherUse) -> list[str]` that says which results of a job
    replace one another; without it none do.
    `params`: see EngineType.
    """

    name: Name
    make: Target | None
    check: Target
    schemes: tuple[Scheme, ...] = ()
    orchestrator: Target | None = None
    check_result: Target | None = None
    params: Target | None = None
    check_overlap: Target | None = None
    as_input: Target | None = None


class DownloaderType(msgspec.Struct, frozen=True):
    """A downloader for results of type `name`; `make` is a target `(ResultServer) -> ports.download.Downloader`."""

    name: Name
    make: Target


class Plugin(msgspec.Struct, frozen=True):
    """A plug-in, by the parts that it adds."""

    name: Name
    engines: tuple[EngineType, ...] = ()
    sources: tuple[SourceType, ...] = ()
    publishers: tuple[PublisherType, ...] = ()
    downloaders: tuple[DownloaderType, ...] = ()


async def _no_upload(job_id: str, execution_id: str) -> str:
    raise Unavailable("there is no orchestrator to ask for a link")


async def _no_link(source: SpecConfig) -> SpecConfig:
    raise Unavailable("there is no orchestrator to ask for a link")


@dataclass(frozen=True)
class Setting:
    """The node that engines, sources and publishers are made for. `reach` says which addresses its jobs may reach.

    `sources` are all sources of the node by type, for a source that is made of others. They are there when the node
    runs, not yet when a plug-in is made.
    """

    content: ContentStore
    config: Config = field(default_factory=Config)
    sign_upload: SignUpload = _no_upload
    sign_input: SignInput = _no_link
    reach: Reach = EVERYWHERE
    sources: Mapping[str, Storage] = field(default_factory=dict)


def source_patience(config: InputSources) -> Patience:
    """Read how long a node goes on with an input whose server is away."""
    return Patience(seconds=config.patience, attempts=config.max_retry_count)


def publisher_patience(config: Config) -> Patience:
    """Read how long a node goes on publishing while the store is away."""
    return Patience(seconds=config.publishers.patience)


class ResultServer(NamedTuple):
    """The API that downloaders are made for: its URL, the headers that requests to it carry, and what TLS may trust."""

    url: str
    headers: Mapping[str, str]
    trust: Callable[[], ssl.SSLContext]
    config: ResultDownloaders


class LinkWish(NamedTuple):
    """Objects of a result that a client wants links to, and the token after which it goes on listing them."""

    keys: tuple[str, ...] = ()
    after: str = ""


class Links(NamedTuple):
    """Links that need no credentials: to a page of the listing of a result, and to the objects asked for, in order."""

    listing: str
    objects: tuple[str, ...]


# Signs links to the objects of a result that consists of many. Raises BadRequest for an object that is not one of it,
# Unavailable where nothing can be signed.
SignLinks = Callable[[Published, LinkWish], Awaitable[Links]]


class OrchestratorPart(NamedTuple):
    """The orchestrator's work for a publisher.

    `refusal` says why no job may use the publisher here, "" when jobs may. `presign` turns a published result, which
    was checked, into one that clients can fetch. `sign_links` gives links to the objects of one. `sign_upload` gives
    nodes links to put results to; one publisher of a system can have it. `sign_input` gives them links to results
    that are inputs, whose source has the publisher's name.
    """

    refusal: str = ""
    presign: Presign | None = None
    sign_links: SignLinks | None = None
    sign_upload: SignUpload | None = None
    sign_input: SignInput | None = None
