"""The flags `-i` and `-p` with the URI schemes of all plug-ins."""

from collections.abc import Callable

from bacalhau.models.job.job import InputSource
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.text import input_grammar, publisher_grammar
from bacalhau.models.text.grammar import ReadUri, Uris
from bacalhau.plugins.registry import Registry, Uri, all_plugins, own_plugins


def parse_input(text: str, default: str = input_grammar.DEFAULT_TARGET) -> InputSource:
    """Read one value of `-i`, mounted at `default` where it does not say.

    Raises BadRequest, and Unavailable for the scheme of a plug-in that cannot be used.
    """
    return input_grammar.parse_input(text, _uris("input scheme", lambda known: known.inputs), default)


def parse_publisher(text: str) -> SpecConfig:
    """Read one value of `-p`.

    Raises BadRequest, and Unavailable for the name of a plug-in that cannot be used.
    """
    return publisher_grammar.parse_publisher(text, _uris("publisher scheme", lambda known: known.outputs))


def _uris(role: str, table: Callable[[Registry], dict[str, Uri]]) -> Uris:
    def find(scheme: str) -> ReadUri | None:
        found = table(own_plugins()).get(scheme) or table(all_plugins()).get(scheme)
        if found is None and (error := all_plugins().errors_of(role).get(scheme)):
            raise error
        return found.read if found else None

    def forms() -> list[str]:
        return [uri.form for uri in table(all_plugins()).values() if uri.form]

    return Uris(find, forms)
