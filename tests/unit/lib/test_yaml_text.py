"""Whatever YAML cannot be read is one error, and soon."""

from contextlib import suppress
from functools import partial

import pytest

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.yaml_text import load_first, load_yaml, safe_loader
from bacalhau.models.text.document import read_document

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


@pytest.mark.parametrize(
    "value",
    ["!!timestamp soon", "!!int ''", "!!int x", "!!float x", "!!bool x", "!!set [a]", "!!omap {a: b}", "!!binary 'é'"],
)
@pytest.mark.parametrize("read", [load_yaml, partial(load_first, loader=safe_loader), read_document])
def test_a_value_that_is_not_of_the_type_of_its_tag_is_broken_yaml(value, read):
    with suppress(BadRequest):  # every reader takes or refuses it, and nothing else comes out
        read(f"a: {value}")
