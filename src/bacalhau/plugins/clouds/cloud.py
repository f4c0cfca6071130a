"""A cloud as the shared code sees it: its names, its credentials, and the way to open one of its buckets."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bacalhau.border.names import shorten
from bacalhau.lib.errors import StorageFailure
from bacalhau.plugins.clouds.params import Place, PublisherParams, ResultParams, SourceParams


class Identity(NamedTuple):
    """The credentials of this machine for a place: `who` they are, for messages, "" where requests go without any.

    `config` are the settings of obstore that hold them.
    """

    who: str = ""
    config: Mapping[str, Any] = {}


class Cloud(NamedTuple):
    """`kind` is the type in jobs, `scheme` that of URIs, `word` what the cloud calls a bucket.

    `find` finds the place that parameters mean on this machine, and the credentials for it; it may block. `open` makes
    the store of obstore, given place, settings and options of the client. `own_endpoint` is the endpoint that the
    environment names. `name_fault` says why a file of a result cannot be a key, "" when it can. `cure` says how
    credentials are given.
    """

    kind: str
    scheme: str
    title: str
    word: str
    cure: str
    endpoint_variable: str
    has_accounts: bool
    source: type[SourceParams]
    publisher: type[PublisherParams]
    result: type[ResultParams]
    own_endpoint: Callable[[], str]
    find: Callable[[Place], tuple[Place, Identity]]
    open: Callable[[Place, Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]], Any]
    name_fault: Callable[[str], str]

    def fault(self, said: str, hint: str = "", **more: Any) -> StorageFailure:
        """Make an error of this cloud."""
        return StorageFailure(f"{self.kind}: {said}", hint=hint, component=self.kind.upper(), **more)

    def at(self, place: Place) -> str:
        """Name a bucket, and its server where it is not the cloud's own."""
        there = f" at {shorten(place.endpoint)}" if place.endpoint else ""
        return f"{self.word} {shorten(place.bucket)}{there}"


class Endpoints(NamedTuple):
    """The endpoints that jobs may name: those listed in the setting `key`, and the one of the machine's environment.

    obstore resolves names and follows redirects by itself, so the rule of addresses cannot be held for its connections.
    An endpoint is therefore open only when the administrator trusts it, and then also with the machine's credentials.
    """

    key: str = ""
    allowed: tuple[str, ...] = ()

    def refusal(self, cloud: Cloud, place: Place) -> tuple[str, str]:
        """Say why requests may not go to the endpoint of a place, and the cure; "" twice when they may."""
        open_ones = {each.rstrip("/").lower() for each in (*self.allowed, cloud.own_endpoint())}
        if not place.endpoint or place.endpoint.lower() in open_ones:
            return "", ""
        said = f"endpoint {shorten(place.endpoint)} is not one that this machine trusts"
        listed = f"list it in {self.key}, or " if self.key else ""
        return said, f"{listed}set {cloud.endpoint_variable} on this machine; without an endpoint the cloud is asked"
