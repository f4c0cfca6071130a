"""The plug-ins of a process: made for a node, and their checks and signatures for an orchestrator.

A plug-in of another package that cannot be used never stops a node: what it should bring is offered as unavailable,
with the reason and the cure, and the orchestrator refuses jobs that need it.
"""

import logging
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple, Protocol, runtime_checkable

from bacalhau.compute.core import Plugins
from bacalhau.config.schema import Config
from bacalhau.lib.errors import BacalhauError, BadRequest, Unavailable
from bacalhau.models.job.spec import SpecConfig
from bacalhau.orchestrator.core import Checks
from bacalhau.plugins.absent import Absent
from bacalhau.plugins.checks import PluginCheck, Refusal, plugin_checks
from bacalhau.plugins.loading import Owner, call
from bacalhau.plugins.registry import Offer, all_plugins
from bacalhau.ports.engine import Engine
from bacalhau.ports.plugin import Links, LinkWish, OrchestratorPart, Presign, Setting, SignInput, SignLinks, SignUpload
from bacalhau.ports.publisher import Published, Publisher
from bacalhau.ports.storage import Storage

log = logging.getLogger(__name__)
# Types of the original that are not here, so that `Disabled` may name them.
NOT_HERE = {"wasm", "estuary", "noop", "repoclone", "repoclonelfs", "s3presigned"}


@runtime_checkable
class Closes(Protocol):
    """A plug-in that holds sessions."""

    async def close(self) -> None: ...


class OrchestratorPlugins(NamedTuple):
    """The orchestrator's side of all plug-ins: `presign` makes a published result fetchable, `sign_links` its parts,
    and `sign_input` those that are inputs.
    """

    checks: Checks
    presign: Presign
    sign_links: SignLinks
    sign_upload: SignUpload | None
    sign_input: SignInput


def log_faults() -> None:
    """Tell of each plug-in that cannot be used, one line each."""
    for error in all_plugins().faults:
        log.warning("%s; %s", error.message, error.hint)


def orchestrator_plugins(config: Config) -> OrchestratorPlugins:
    """Make the orchestrator's side. Raises BadRequest where the configuration of one of our own cannot be right."""
    known = all_plugins()
    found = plugin_checks(known)
    specs = (found.engines, found.sources, found.publishers, found.whole)
    for check in chain(found.results.values(), found.overlaps.values(), *(table.values() for table in specs)):
        if isinstance(check, PluginCheck):
            _load(check)
    parts = {name: _part(offer, config) for name, offer in known.publishers.items() if offer.part.orchestrator}
    refused = {name: Refusal(part.refusal) for name, part in parts.items() if part.refusal}
    checks = Checks(*found._replace(publishers={**found.publishers, **refused}))
    signers = [part.sign_upload for part in parts.values() if part.sign_upload]
    signer = signers[0] if signers else None
    return OrchestratorPlugins(checks, _presign(parts), _sign_links(parts), signer, _sign_inputs(parts))


def _load(check: PluginCheck) -> None:
    try:
        check.load()
    except Unavailable as e:
        log.warning("%s; %s", e.message, e.hint)


def _part(offer: Offer[Any], config: Config) -> OrchestratorPart:
    try:
        made: OrchestratorPart = call(offer.part.orchestrator, offer.owner, OrchestratorPart, config)
    except BacalhauError as e:
        if not offer.owner.package:
            raise
        return OrchestratorPart(refusal=_told(offer.owner, e).message)
    return made


def _presign(parts: Mapping[str, OrchestratorPart]) -> Presign:
    async def presign(published: Published) -> SpecConfig:
        part = parts.get(published.publisher.kind)
        return await part.presign(published) if part and part.presign else published.result

    return presign


def _sign_links(parts: Mapping[str, OrchestratorPart]) -> SignLinks:
    async def sign(published: Published, wish: LinkWish) -> Links:
        part = parts.get(published.publisher.kind)
        if part is None or part.sign_links is None:
            raise BadRequest(f"results of publisher {published.publisher.kind} are not fetched by links to their parts")
        return await part.sign_links(published, wish)

    return sign


def _sign_inputs(parts: Mapping[str, OrchestratorPart]) -> SignInput:
    async def sign(source: SpecConfig) -> SpecConfig:
        part = parts.get(source.kind)
        if part and part.refusal:
            raise BadRequest(part.refusal)
        return await part.sign_input(source) if part and part.sign_input else source

    return sign


async def node_plugins(stack: AsyncExitStack, setting: Setting) -> Plugins:
    """Make and open what the configuration does not disable; `stack` closes it.

    Raises BadRequest for a name in `Disabled` that means nothing: a node must not offer what its administrator believes
    to be off.
    """
    config, sources = setting.config, dict[str, Any]()
    setting = replace(setting, sources=sources)
    sources |= await _open(stack, _Role("source", "InputSources", Storage, config.input_sources.disabled), setting)
    return Plugins(
        engines=await _open(stack, _Role("engine", "Engines", Engine, config.engines.disabled), setting),
        sources=sources,
        publishers=await _open(stack, _Role("publisher", "Publishers", Publisher, config.publishers.disabled), setting),
    )


class _Role(NamedTuple):
    """One of the things that a plug-in can be: `section` of the configuration disables it, `kind` is its port."""

    name: str
    section: str
    kind: type
    disabled: tuple[str, ...]


async def _open(stack: AsyncExitStack, role: _Role, setting: Setting) -> dict[str, Any]:
    known = all_plugins()
    offers = {name: offer for name, offer in known.table(role.name).items() if offer.part.make}
    broken = known.errors_of(role.name)
    off = {name.strip().lower() for name in role.disabled}
    if unknown := sorted(off - offers.keys() - broken.keys() - NOT_HERE):
        raise BadRequest(
            f"{role.section}.Disabled: {', '.join(unknown)} is not known", hint=f"known are {', '.join(sorted(offers))}"
        )
    made = {name: await _make(stack, offer, role, setting) for name, offer in offers.items() if name not in off}
    return made | {name: Absent(error) for name, error in broken.items() if name not in off}


async def _make(stack: AsyncExitStack, offer: Offer[Any], role: _Role, setting: Setting) -> Any:
    try:
        made = call(offer.part.make, offer.owner, role.kind, setting)
        if isinstance(made, AbstractAsyncContextManager):
            await stack.enter_async_context(made)
        elif isinstance(made, Closes):
            stack.push_async_callback(made.close)
    except Exception as e:
        if not offer.owner.package:
            raise
        error = _told(offer.owner, e)
        log.warning("%s; %s", error.message, error.hint)
        return Absent(error)
    return made


def _told(owner: Owner, error: Exception) -> BacalhauError:
    """Name the package in an error of its code, once."""
    if isinstance(error, BacalhauError) and owner.package in error.message:
        return error
    return owner.failure(f"cannot be used: {type(error).__name__}: {error}")
