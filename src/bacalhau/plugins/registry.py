"""All plug-ins by the types and URI schemes that they add: our own, listed here, and those of other packages.

Our own cost nothing to find. Looking for those of other packages reads the metadata of everything that is installed,
so a single type is looked up among our own first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Generic, NamedTuple, TypeVar

from bacalhau.lib.errors import Unavailable
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.text.grammar import ReadUri, refuse_options
from bacalhau.plugins.azure.plugin import PLUGIN as AZURE
from bacalhau.plugins.docker.plugin import PLUGIN as DOCKER
from bacalhau.plugins.gcs.plugin import PLUGIN as GCS
from bacalhau.plugins.inline.plugin import PLUGIN as INLINE
from bacalhau.plugins.ipfs.plugin import PLUGIN as IPFS
from bacalhau.plugins.job.plugin import PLUGIN as JOB
from bacalhau.plugins.loading import Owner, call, find_plugins
from bacalhau.plugins.local.plugin import PLUGIN as LOCAL
from bacalhau.plugins.noop.plugin import PLUGIN as NOOP
from bacalhau.plugins.s3.plugin import PLUGIN as S3
from bacalhau.plugins.url.plugin import PLUGIN as URL
from bacalhau.ports.plugin import DownloaderType, EngineType, Plugin, PublisherType, Scheme, SourceType

BUILT_IN = (DOCKER, NOOP, S3, GCS, AZURE, IPFS, JOB, URL, LOCAL, INLINE)
ROLES = ("engine", "source", "publisher", "downloader", "input scheme", "publisher scheme")
K = TypeVar("K")


class Offer(NamedTuple, Generic[K]):
    """A part of a plug-in, with the plug-in's origin."""

    part: K
    owner: Owner


class Uri(NamedTuple):
    """A way to write a spec on the command line; `form` is its example, "" for a spelling that is only understood."""

    read: ReadUri
    form: str


@dataclass(frozen=True)
class Registry:
    """Parts by type name, URIs by scheme, and in `broken`, by role and name, the errors of plug-ins not to be used.

    `faults` are the same errors, each once.
    """

    engines: dict[str, Offer[EngineType]] = field(default_factory=dict)
    sources: dict[str, Offer[SourceType]] = field(default_factory=dict)
    publishers: dict[str, Offer[PublisherType]] = field(default_factory=dict)
    downloaders: dict[str, Offer[DownloaderType]] = field(default_factory=dict)
    inputs: dict[str, Uri] = field(default_factory=dict)
    outputs: dict[str, Uri] = field(default_factory=dict)
    plugins: dict[str, Owner] = field(default_factory=dict)
    broken: dict[tuple[str, str], Unavailable] = field(default_factory=dict)
    faults: list[Unavailable] = field(default_factory=list)

    def table(self, role: str) -> Mapping[str, Any]:
        """The parts, or the URIs, by name, for one of ROLES."""
        return self._tables[role]

    def errors_of(self, role: str) -> dict[str, Unavailable]:
        """The errors by name, for one of ROLES, but for names that others bring."""
        taken = self._tables[role]
        return {name: error for (kind, name), error in self.broken.items() if kind == role and name not in taken}

    @property
    def _tables(self) -> dict[str, Mapping[str, Any]]:
        tables = (self.engines, self.sources, self.publishers, self.downloaders, self.inputs, self.outputs)
        return dict(zip(ROLES, tables, strict=True))

    def _taken(self, plugin: Plugin) -> Iterator[str]:
        """Name what the plug-in brings and another, or itself, has brought already."""
        if other := self.plugins.get(plugin.name):
            yield f"plug-in {plugin.name} of package {other.package or 'bacalhau'}"
        names = list(_names(plugin))
        for role, name in dict.fromkeys(names):
            if name in self._tables[role] or names.count((role, name)) > 1:
                yield f"{role} {name}"

    def add(self, plugin: Plugin, owner: Owner) -> None:
        """Add a plug-in whole or not at all: one that brings what is there already becomes `broken`."""
        if taken := list(self._taken(plugin)):
            self.refuse(list(_names(plugin)), owner.failure(f"brings what is there already: {', '.join(taken)}"))
            return
        self.plugins[plugin.name] = owner
        self.engines.update({part.name: Offer(part, owner) for part in plugin.engines})
        self.sources.update({part.name: Offer(part, owner) for part in plugin.sources})
        self.publishers.update({part.name: Offer(part, owner) for part in plugin.publishers})
        self.downloaders.update({part.name: Offer(part, owner) for part in plugin.downloaders})
        self.inputs.update({s.name: _uri(s, owner) for part in plugin.sources for s in part.schemes})
        self.outputs.update({name: uri for part in plugin.publishers for name, uri in _outputs(part, owner)})

    def refuse(self, names: list[tuple[str, str]], error: Unavailable) -> None:
        """Note the error of a plug-in under the names that it should bring."""
        self.faults.append(error)
        self.broken.update(dict.fromkeys(names, error))


@cache
def own_plugins() -> Registry:
    """Return the plug-ins of this package."""
    found = Registry()
    for plugin in BUILT_IN:
        found.add(plugin, Owner(plugin.name))
    return found


@cache
def all_plugins() -> Registry:
    """Return the plug-ins of this package and of all others that are installed."""
    found = Registry()
    for plugin in BUILT_IN:
        found.add(plugin, Owner(plugin.name))
    for name, owner, brought, error in find_plugins():
        if brought is not None:
            found.add(brought, owner)
        elif error is not None:  # the entry point's name is all that is known of its types
            found.refuse([(role, name.lower()) for role in ROLES], error)
    return found


def find_downloader(kind: str) -> Offer[DownloaderType] | None:
    """Return the downloader of a result's type. Raises Unavailable where its plug-in cannot be used."""
    name = kind.strip().lower()
    if found := own_plugins().downloaders.get(name) or all_plugins().downloaders.get(name):
        return found
    if error := all_plugins().errors_of("downloader").get(name):
        raise error
    return None


def _names(plugin: Plugin) -> Iterator[tuple[str, str]]:
    yield from (("engine", part.name) for part in plugin.engines)
    yield from (("source", part.name) for part in plugin.sources)
    yield from (("publisher", part.name) for part in plugin.publishers)
    yield from (("downloader", part.name) for part in plugin.downloaders)
    yield from (("input scheme", s.name) for part in plugin.sources for s in part.schemes)
    yield from (("publisher scheme", s.name) for part in plugin.publishers for s in part.schemes)


def _uri(scheme: Scheme, owner: Owner) -> Uri:
    def read(uri: str, options: dict[str, str]) -> SpecConfig:
        made: SpecConfig = call(scheme.read, owner, SpecConfig, uri, options)
        return made

    return Uri(read, scheme.form)


def _outputs(part: PublisherType, owner: Owner) -> Iterator[tuple[str, Uri]]:
    yield from ((scheme.name, _uri(scheme, owner)) for scheme in part.schemes)
    if part.make and not part.schemes:
        yield part.name, Uri(partial(_read_bare, part.name), part.name)


def _read_bare(kind: str, uri: str, options: dict[str, str]) -> SpecConfig:
    refuse_options(options, (), f"publisher {kind}")
    return SpecConfig(type=kind)
