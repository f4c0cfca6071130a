"""YAML of strangers: what it amounts to is counted before it is read, wherever it is read."""

import os

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.cli.frame.program import run
from bacalhau.client.profiles import Profiles
from bacalhau.config.load import load_config
from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import MAX_DEPTH
from bacalhau.lib.yaml_text import load_yaml
from bacalhau.models.text.jobfile import read_job_text

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 30))
DEEP = ("[" * 100_000, "- " * 100_000, "? " * 100_000, "{a: " * 100_000)
WORDS = "aliases make more than 5,000,000 values of the file"


@pytest.mark.parametrize("text", [LAUGHS, MERGES])
def test_a_few_lines_that_stand_for_more_than_memory_holds(text):
    with pytest.raises(BadRequest, match=WORDS):
        load_yaml(text)


@pytest.mark.parametrize("text", [*DEEP, "a: &a [*a]", "a: &a {b: {c: *a}}", "? &a [*a]\n: b"])
def test_no_end(text):
    with pytest.raises(BadRequest):
        load_yaml(text)


def test_every_reader_counts(tmp_path):
    with pytest.raises(BadRequest, match=WORDS):
        read_job_text(LAUGHS, strict=True)
    (tmp_path / "config.yaml").write_text(LAUGHS)
    with pytest.raises(BadRequest, match=WORDS):
        load_config([str(tmp_path / "config.yaml")], {}, {})
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "evil.yaml").write_text(LAUGHS)
    with pytest.raises(BadRequest, match=WORDS):
        Profiles(tmp_path).get("evil")


@pytest.mark.parametrize("command", [["validate"], ["job", "validate"], ["job", "run"], ["config", "set", "-c"]])
def test_commands_say_so_at_once(tmp_path, monkeypatch, capsys, command):
    monkeypatch.setenv("BACALHAU_DIR", str(tmp_path))
    path = tmp_path / "evil.yaml"
    path.write_text(LAUGHS)
    assert run([*command, str(path), *(["API.Port=1"] if "set" in command else [])]) == 1
    assert WORDS in capsys.readouterr().err
    assert path.read_text() == LAUGHS and os.listdir(tmp_path) == ["evil.yaml"]


def test_aliases_of_a_modest_size():
    assert load_yaml("a: &a [1, 2]\nb: [*a, *a]\nc: {<<: {x: 1}, y: 2}") == {
        "a": [1, 2],
        "b": [[1, 2], [1, 2]],
        "c": {"x": 1, "y": 2},
    }


def test_as_deep_as_may_be():
    for text in ("[" * MAX_DEPTH + "]" * MAX_DEPTH, "- " * MAX_DEPTH + "x"):
        load_yaml(text)
    with pytest.raises(BadRequest, match="nested too deeply"):
        load_yaml("- " * (MAX_DEPTH + 2) + "x")


plain = st.none() | st.booleans() | st.integers() | st.text(st.characters(categories=("L", "N")), max_size=5)
trees = st.recursive(plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner))


@given(trees)
def test_other_documents_are_read_as_they_are(tree):
    assert load_yaml(yaml.safe_dump(tree)) == tree
