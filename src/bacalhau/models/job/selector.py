"""Label selectors: Kubernetes' grammar, and what they say about a set of labels."""

import re
from collections.abc import Mapping, Sequence
from typing import NoReturn

from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.job import LabelSelectorRequirement
from bacalhau.models.job.label import key_problem, value_problem

_TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
_SPECIAL = frozenset({"=", "==", "!=", "!", "(", ")", ",", "<", ">"})
_COMPARE = {
    "=": "=",
    "==": "==",
    "!=": "!=",
    ">": "gt",
    "<": "lt",
    "in": "in",
    "notin": "notin",
    "gt": "gt",
    "lt": "lt",
}
_EXPECTED_OPERATOR = "in, notin, =, ==, !=, gt, lt"
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")


def parse_selector(text: str) -> tuple[LabelSelectorRequirement, ...]:
    """`zone=eu,tier in (a,b),!old,cores>4`; blank text asks for nothing. Sorted by key. Raises BadRequest."""
    tokens = _Tokens(text)
    found: list[LabelSelectorRequirement] = []
    while tokens.peek():
        if found:
            tokens.expect(",", "',' or 'end of string'")
        found.append(_requirement(tokens))
    return tuple(sorted(found, key=lambda r: r.key))


class _Tokens:
    """The text's tokens with one of look-ahead; "" is the end."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        self._at = 0

    def peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self._at += 1
        return token

    def expect(self, wanted: str, name: str) -> None:
        if self.peek() != wanted:
            self.fail(name)
        self._at += 1

    def word(self) -> str:
        if self.peek() in _SPECIAL or not self.peek():
            self.fail("identifier")
        return self.take()

    def fail(self, expected: str) -> NoReturn:
        raise BadRequest(
            f"unable to parse requirement: found '{self.peek()}', expected: {expected}",
            hint="such as zone=eu,tier in (a,b),!old,cores>4",
        )


def _requirement(tokens: _Tokens) -> LabelSelectorRequirement:
    negated = tokens.peek() == "!"
    if negated:
        tokens.take()
    key = tokens.word()
    if negated or tokens.peek() in ("", ","):
        return _checked(key, "!" if negated else "exists", ())
    operator = _COMPARE.get(tokens.peek())
    if operator is None:
        tokens.fail(_EXPECTED_OPERATOR)
    tokens.take()
    if operator in ("in", "notin"):
        return _checked(key, operator, _values(tokens))
    value = "" if tokens.peek() in ("", ",") else tokens.word()
    return _checked(key, operator, (value,))


def _values(tokens: _Tokens) -> tuple[str, ...]:
    tokens.expect("(", "'('")
    values = []
    while tokens.peek() != ")":
        values.append("" if tokens.peek() == "," else tokens.word())
        if tokens.peek() != ")":
            tokens.expect(",", "',' or ')'")
            values += [""] if tokens.peek() == ")" else []
    tokens.take()
    return tuple(sorted(set(values)))


def _checked(key: str, operator: str, values: tuple[str, ...]) -> LabelSelectorRequirement:
    requirement = LabelSelectorRequirement(key=key, operator=operator, values=values or None)
    problems = [key_problem(key), *(value_problem(v) for v in values), *selector_problems(requirement)]
    for problem in filter(None, problems):
        raise BadRequest(f"unable to parse requirement: {problem}")
    return requirement


def selector_problems(requirement: LabelSelectorRequirement) -> list[str]:
    """List what is wrong with a requirement that came as a structure; empty when it is good."""
    values = requirement.values or ()
    operator = requirement.operator
    found = [] if requirement.key.strip() else ["selector key cannot be blank"]
    if operator in ("in", "notin"):
        return found if values else [*found, "selector values cannot be empty for In or NotIn operators"]
    if operator in ("exists", "!"):
        return [*found, "selector values must be empty for Exists or DoesNotExist operators"] if values else found
    if operator not in _COMPARE.values():
        return [
            *found,
            (
                f"unknown selector operator '{operator}': use one of {', '.join(dict.fromkeys(_COMPARE.values()))},"
                " exists, !"
            ),
        ]
    if len(values) != 1:
        return [*found, "selector values must have exactly one value for other operators"]
    if operator in ("gt", "lt") and not _INTEGER.fullmatch(values[0]):
        return [*found, f"for gt and lt the value must be an integer, not '{values[0]}'"]
    return found


def meets_labels(requirements: Sequence[LabelSelectorRequirement], labels: Mapping[str, str]) -> bool:
    """Tell whether `match_labels` would find no complaint."""
    return all(_meets(r, labels.get(r.key)) for r in requirements)


def match_labels(requirements: Sequence[LabelSelectorRequirement], labels: Mapping[str, str]) -> list[str]:
    """List why `labels` do not meet the requirements, one text each; empty when they do.

    An absent label meets `!=`, `notin` and `!`.
    """
    return [_complaint(r, labels.get(r.key)) for r in requirements if not _meets(r, labels.get(r.key))]


def _meets(requirement: LabelSelectorRequirement, label: str | None) -> bool:
    operator, values = requirement.operator, requirement.values or ()
    if operator in ("=", "==", "in"):
        return label is not None and label in values
    if operator in ("!=", "notin"):
        return label not in values
    if operator in ("exists", "!"):
        return (label is not None) is (operator == "exists")
    if label is None or len(values) != 1 or not _INTEGER.fullmatch(label) or not _INTEGER.fullmatch(values[0]):
        return False
    return int(label) > int(values[0]) if operator == "gt" else operator == "lt" and int(label) < int(values[0])


def _complaint(requirement: LabelSelectorRequirement, label: str | None) -> str:
    has = f"label {requirement.key} is absent" if label is None else f"label {requirement.key} is '{label}'"
    return f"{has}, needs {show_requirement(requirement)}"


def show_requirement(requirement: LabelSelectorRequirement) -> str:
    """The requirement as it would be typed."""
    key, operator, values = requirement.key, requirement.operator, requirement.values or ()
    if operator in ("in", "notin"):
        return f"{key} {operator} ({','.join(values)})"
    if operator in ("exists", "!"):
        return f"{'' if operator == 'exists' else '!'}{key}"
    return f"{key}{ {'gt': '>', 'lt': '<'}.get(operator, operator) }{','.join(values)}"
