"""The checks of a job's parameters, by type: what is known at all when a job is submitted or a file is validated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bacalhau.lib.errors import Unavailable
from bacalhau.models.job.overlap import OverlapChecks, PublisherUse
from bacalhau.models.job.spec import SpecConfig, unknown_params
from bacalhau.models.job.unused import ParamNames, Unused
from bacalhau.models.job.validate import Divide
from bacalhau.plugins.loading import Owner, call
from bacalhau.plugins.registry import Offer, Registry
from bacalhau.ports.content import SpecCheck
from bacalhau.ports.plugin import PublisherType, Target
from bacalhau.ports.publisher import AsInput, Published, ResultCheck, ResultInput, wrong_type


class Refusal(NamedTuple):
    """A check that refuses every job, because nobody can use that type here."""

    problem: str

    @classmethod
    def of(cls, error: Unavailable) -> "Refusal":
        """Make the check of a plug-in that cannot be used."""
        return cls(f"{error.message} ({error.hint})")

    def __call__(self, spec: SpecConfig | Published | PublisherUse) -> list[str]:
        return [self.problem]


class PluginCheck(NamedTuple):
    """A check that is imported when the first job needs it."""

    target: Target
    owner: Owner

    def __call__(self, spec: SpecConfig | Published | PublisherUse) -> list[str]:
        try:
            problems: list[str] = call(self.target, self.owner, list, spec)
        except Unavailable as e:
            return Refusal.of(e)(spec)
        return problems

    def load(self) -> None:
        """Import the check now, so that the first job does not wait for it. Raises Unavailable where that fails."""
        call("bacalhau.plugins.loading:import_target", self.owner, object, self.target)


@dataclass(frozen=True)
class PluginDivide:
    """A source's say in the count of a job, imported when the first job needs it."""

    target: Target
    owner: Owner

    def __call__(self, spec: SpecConfig) -> int:
        try:
            size: int = call(self.target, self.owner, int, spec)
        except Unavailable:  # then the check of this type refuses the job
            return 0
        return size


class PluginParams(NamedTuple):
    """The names of a type's parameters, read from the model that `target` names when the first job needs them."""

    target: Target | None
    owner: Owner

    def __call__(self, spec: SpecConfig, place: str) -> list[str]:
        """Tell of parameters that are ignored; of none where the plug-in does not name its own."""
        if self.target is None:
            return []
        try:
            kind = call("bacalhau.plugins.loading:import_target", self.owner, type, self.target)
        except Unavailable:  # then the check of this type refuses the job
            return []
        return unknown_params(spec, kind, place)


class PluginInput(NamedTuple):
    """The words of a publisher's plug-in about how its results are read, imported when the first job needs them."""

    target: Target
    owner: Owner

    def __call__(self, spec: Published, path: str) -> ResultInput:
        found: ResultInput = call(self.target, self.owner, ResultInput, spec, path)
        return found


class TypeCheck(NamedTuple):
    """A check of results by their type alone: one of `kinds`, which are in lower case."""

    kinds: tuple[str, ...]

    def __call__(self, spec: Published) -> list[str]:
        return wrong_type(spec, *self.kinds)


class PluginChecks(NamedTuple):
    """Checks by lower-case type name.

    `located` are the sources that one node may have and another not, `listed` those that are listed before a job is
    placed; `whole` are in place of the sources' own checks in
    a job that is not divided by a count. `results` judge what nodes report, by the type of the job's publisher: each
    has one. `params` tell of parameters that are ignored, `overlaps` which results of a job replace one another.
    `readers` say by which input another job reads a result, by the type of the publisher. `engine_doubts` say why
    a task may run another program next time; of `fixed` sources the parameters alone say what they hold; `divides` say
    by how many bytes an input decides the count of a job.
    """

    engines: Mapping[str, SpecCheck]
    sources: Mapping[str, SpecCheck]
    publishers: Mapping[str, SpecCheck]
    located: frozenset[str]
    whole: Mapping[str, SpecCheck]
    results: Mapping[str, ResultCheck]
    params: ParamNames
    overlaps: OverlapChecks
    listed: frozenset[str]
    readers: Mapping[str, AsInput]
    engine_doubts: Mapping[str, SpecCheck]
    fixed: frozenset[str]
    divides: Mapping[str, Divide]


def plugin_checks(known: Registry) -> PluginChecks:
    """Collect the checks of all types; those of plug-ins that cannot be used refuse every job."""
    sources, publishers = known.sources.items(), known.publishers.items()
    return PluginChecks(
        engines=_refusals(known, "engine") | {n: PluginCheck(o.part.check, o.owner) for n, o in known.engines.items()},
        sources=_refusals(known, "source") | {n: PluginCheck(o.part.check, o.owner) for n, o in sources},
        publishers=_refusals(known, "publisher") | {n: PluginCheck(o.part.check, o.owner) for n, o in publishers},
        located=frozenset(name for name, offer in sources if offer.part.located),
        results={name: _result_check(known, name, offer) for name, offer in publishers},
        whole={n: PluginCheck(o.part.check_whole, o.owner) for n, o in sources if o.part.check_whole},
        params=ParamNames(_params(known, "engine"), _params(known, "source"), _params(known, "publisher")),
        overlaps={n: PluginCheck(o.part.check_overlap, o.owner) for n, o in publishers if o.part.check_overlap},
        listed=frozenset(name for name, offer in sources if offer.part.listed),
        engine_doubts={n: PluginCheck(o.part.doubts, o.owner) for n, o in known.engines.items() if o.part.doubts},
        fixed=frozenset(name for name, offer in sources if offer.part.fixed),
        readers={n: PluginInput(o.part.as_input, o.owner) for n, o in publishers if o.part.as_input},
        divides={n: PluginDivide(o.part.divide, o.owner) for n, o in sources if o.part.divide},
    )


def _params(known: Registry, role: str) -> Unused:
    return {name: PluginParams(offer.part.params, offer.owner) for name, offer in known.table(role).items()}


def _result_check(known: Registry, name: str, offer: Offer[PublisherType]) -> ResultCheck:
    if offer.part.check_result:
        return PluginCheck(offer.part.check_result, offer.owner)
    kinds = {name: None} | dict.fromkeys(kind for kind, each in known.downloaders.items() if each.owner == offer.owner)
    return TypeCheck(tuple(kinds))


def _refusals(known: Registry, role: str) -> dict[str, SpecCheck]:
    return {name: Refusal.of(error) for name, error in known.errors_of(role).items()}
