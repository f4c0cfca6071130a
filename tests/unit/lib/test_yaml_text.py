"""Whatever YAML cannot be read is one error, and soon."""

import pytest

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.yaml_text import load_yaml

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n + 1}: &a{n + 1} [{','.join([f'*a{n}'] * 9)}]\n" for n in range(99)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "broken YAML at line 2, column 1"),
        (b"a: \xff", "broken YAML"),
        ("9" * 5000, "broken YAML"),
        ("2024-99-99", "broken YAML"),
        ("&a [*a]", "nested too deeply"),
        ("a: &a {b: *a}", "nested too deeply"),
        ("[" * 200 + "]" * 200, "nested too deeply"),
        ("[" * 3000 + "]" * 3000, "nested too deeply"),
        (BOMB, "aliases make more than"),
    ],
    ids=["cut", "no UTF-8", "long number", "no date", "itself", "itself in a map", "deep", "deeper", "bomb"],
)
def test_refused(text, says):
    with pytest.raises(BadRequest, match=says):
        load_yaml(text)


def test_aliases_are_written_out():
    assert load_yaml("a: &a {b: [1]}\nc: *a") == {"a": {"b": [1]}, "c": {"b": [1]}}
