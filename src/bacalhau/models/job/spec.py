"""`{Type, Params}`: how jobs name an engine, a source or a publisher without knowing it."""

from typing import Any, TypeVar

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.unknown import unknown_fields
from bacalhau.lib.wire import MAX_PROBLEMS, Model, always, convert_sound, fold_keys
from bacalhau.lib.written import settled

P = TypeVar("P", bound=Model)


class SpecConfig(Model):
    """`params` stay a dict until the plug-in of that type converts them."""

    type: str = always(factory=str)
    params: dict[str, Any] | None = None

    @property
    def kind(self) -> str:
        """The type as plug-ins are listed by it: in lower case, without blanks around it."""
        return self.type.strip().lower()

    def is_type(self, *names: str) -> bool:
        return self.kind in names


class NoParams(Model):
    """The parameters of what takes none."""


def read_params(spec: SpecConfig, kind: type[P]) -> tuple[P | None, list[str]]:
    """Read the parameters of a spec, names in any case and absent where they are null; list every problem.

    The parameters are None where one has the wrong type. A number is taken where a text belongs. Unknown names are no
    problems: `unknown_params` tells of them.
    """
    given, _ = _folded(spec, kind)
    found, wrong = convert_sound(settled(given, kind), kind)
    return None if wrong else found, wrong


def read_exactly(spec: SpecConfig, kind: type[P]) -> tuple[P | None, list[str]]:
    """Read parameters as `read_params` does, but list unknown names as problems: for what no person wrote."""
    found, problems = read_params(spec, kind)
    known = _listed(kind.__struct_encode_fields__)
    return found, [*(f"unknown parameter {name}: known {known}" for name in _folded(spec, kind)[1]), *problems]


def unknown_params(spec: SpecConfig, kind: type[Model], place: str) -> list[str]:
    """Tell of parameters that `kind` does not have and that are therefore ignored, and where they stand: of the first
    MAX_PROBLEMS.
    """
    return [f"{text}, ignored" for text in unknown_fields(_folded(spec, kind)[1][:MAX_PROBLEMS], kind, place)]


def require_params(spec: SpecConfig, kind: type[P]) -> P:
    """Read the parameters of a spec that was checked before. Raises BadRequest with every problem."""
    found, problems = read_params(spec, kind)
    if problems or found is None:
        raise BadRequest(problems)
    return found


def check_nothing(spec: SpecConfig) -> list[str]:
    """List the problems of a spec that takes no parameters: none."""
    return []


def _folded(spec: SpecConfig, kind: type[Model]) -> tuple[dict[str, Any], list[str]]:
    folded, unknown = fold_keys({name: value for name, value in (spec.params or {}).items() if value is not None}, kind)
    return folded, unknown


def _listed(names: tuple[str, ...]) -> str:
    return f"is {names[0]}" if len(names) == 1 else f"are {', '.join(names[:-1])} and {names[-1]}"
