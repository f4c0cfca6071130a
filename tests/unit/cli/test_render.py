"""JSON, YAML and CSV as programs read them from the original."""

import json

import pytest

from bacalhau.cli.job.describe import age
from bacalhau.cli.node.show import human_bytes
from bacalhau.cli.output.flags import Table
from bacalhau.cli.output.render import json_text, show_items, stamp, when, yaml_text
from bacalhau.cli.output.table import Column


def test_json_escapes_what_html_would_read():
    text = json_text({"a": ["<b> & c", 1, None]})
    assert text == '{"a":["\\u003cb\\u003e \\u0026 c",1,null]}'
    assert json.loads(text) == {"a": ["<b> & c", 1, None]}
    assert json_text({"a": [1]}, pretty=True) == '{\n  "a": [\n    1\n  ]\n}'


def test_yaml_sorts_and_quotes_as_the_original():
    tree = {
        "b": "2026-11-22T13:44:10.04Z",
        "a": "",
        "c": {"z": ["x", "-c"], "n": None},
        "d": "out\nmore\n",
        "e": "2",
        "f": 2,
        "g": "true",
        "h": {},
        "i": "* x",
    }
    assert (
        yaml_text(tree)
        == 'a: ""\nb: "2026-11-22T13:44:10.04Z"\nc:\n  n: null\n  z:\n  - x\n  - -c\nd: |\n  out\n  more\ne: "2"\nf:'
        " 2\ng: \"true\"\nh: {}\ni: '* x'\n"
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("csv", 'name,two words\na,"x,y"\n'),
        ("json", '[["a","x,y"]]\n'),
        ("yaml", "- - a\n  - x,y\n"),
        (None, " NAME  TWO WORDS \n a     x,y       \n"),
    ],
)
def test_a_list_in_each_format(kind, expected, capsys):
    show_items(
        Table(output=kind), [Column("name", lambda r: r[0]), Column("two words", lambda r: r[1])], [("a", "x,y")]
    )
    assert capsys.readouterr().out == expected


def test_an_empty_list_is_an_empty_array(capsys):
    show_items(Table(output="json"), [], [])
    assert capsys.readouterr().out == "[]\n"


def test_times():
    assert when(1795354546865999747) == "2026-11-22 13:35:46"
    assert stamp("2026-11-22T13:35:46.866134798Z") == "2026-11-22 13:35:46"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s ago"), (12, "12s ago"), (185, "3m5s ago"), (7800, "2h10m ago"), (97200, "1d3h ago"), (-5, "0s ago")],
)
def test_ages(seconds, text):
    assert age(seconds * 1_000_000_000) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (20221201612, "20 GB"), (7_500_000_000, "7.5 GB"), (200872365260, "201 GB"), (999, "999 B")],
)
def test_sizes(count, text):
    assert human_bytes(count) == text
