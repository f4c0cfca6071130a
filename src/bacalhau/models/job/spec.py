"""`{Type, Params}`: how jobs name an engine, a source or a publisher without knowing it."""

from typing import Any, TypeVar

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import Model, always, convert_sound, fold_keys

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


def read_params(spec: SpecConfig, kind: type[P]) -> tuple[P | None, list[str]]:
    """Read the parameters of a spec, names in any case and absent where they are null; list every problem.

    The parameters are None where one has the wrong type. Unknown names are problems too, but the others can be read.
    """
    given = {name: value for name, value in (spec.params or {}).items() if value is not None}
    folded, unknown = fold_keys(given, kind)
    found, wrong = convert_sound(folded, kind)
    known = _listed(kind.__struct_encode_fields__)
    return None if wrong else found, [*(f"unknown parameter {name}: known {known}" for name in unknown), *wrong]


def require_params(spec: SpecConfig, kind: type[P]) -> P:
    """Read the parameters of a spec that was checked before. Raises BadRequest with every problem."""
    found, problems = read_params(spec, kind)
    if problems or found is None:
        raise BadRequest(problems)
    return found


def refuse_params(spec: SpecConfig, owner: str) -> list[str]:
    """List the parameters of a spec as problems, for an `owner` (such as `publisher ipfs`) that takes none."""
    return [f"{owner} has no parameter '{name}': leave it out" for name in sorted(spec.params or {})]


def _listed(names: tuple[str, ...]) -> str:
    return f"is {names[0]}" if len(names) == 1 else f"are {', '.join(names[:-1])} and {names[-1]}"
