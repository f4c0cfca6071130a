"""Label selectors: the grammar, its errors, and what matches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.job import LabelSelectorRequirement as Requirement
from bacalhau.models.job.selector import match_labels, parse_selector, selector_problems, show_requirement


def plain(text):
    return [(r.key, r.operator, list(r.values or ())) for r in parse_selector(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("  ", []),
        ("bacalhau_canary != true", [("bacalhau_canary", "!=", ["true"])]),
        ("b=2,a==1", [("a", "==", ["1"]), ("b", "=", ["2"])]),
        ("zone in (b, a,a),!old", [("old", "!", []), ("zone", "in", ["a", "b"])]),
        ("zone notin(a)", [("zone", "notin", ["a"])]),
        ("gpu", [("gpu", "exists", [])]),
        ("cores>4,cores<64", [("cores", "gt", ["4"]), ("cores", "lt", ["64"])]),
        ("cores gt 4", [("cores", "gt", ["4"])]),
        ("a=", [("a", "=", [""])]),
        ("a=,b", [("a", "=", [""]), ("b", "exists", [])]),
        ("a in (,x)", [("a", "in", ["", "x"])]),
        ("a in (x,)", [("a", "in", ["", "x"])]),
        ("in in (in)", [("in", "in", ["in"])]),
        ("example.org/x=y", [("example.org/x", "=", ["y"])]),
    ],
)
def test_grammar(text, found):
    assert plain(text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a===", "unable to parse requirement: found '=', expected: identifier"),
        ("=a", "unable to parse requirement: found '=', expected: identifier"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a in x", "unable to parse requirement: found 'x', expected: '('"),
        ("a in (x", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in ()", "unable to parse requirement: selector values cannot be empty for In or NotIn operators"),
        ("a>x", "unable to parse requirement: for gt and lt the value must be an integer, not 'x'"),
        ("a=b c", "unable to parse requirement: found 'c', expected: ',' or 'end of string'"),
        ("a,,b", "unable to parse requirement: found ',', expected: identifier"),
    ],
)
def test_errors(text, message):
    with pytest.raises(BadRequest) as caught:
        parse_selector(text)
    assert caught.value.message == message


LABELS = {"zone": "eu", "cores": "8", "gpu": ""}


@pytest.mark.parametrize(
    "text",
    [
        "zone=eu",
        "zone in (eu,us)",
        "zone!=us",
        "nope!=x",
        "nope notin (x)",
        "!nope",
        "gpu",
        "cores>4",
        "cores<9",
        "gpu=",
        "zone=eu,cores>7",
    ],
)
def test_matches(text):
    assert match_labels(parse_selector(text), LABELS) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("zone=us", "label zone is 'eu', needs zone=us"),
        ("zone in (a,b)", "label zone is 'eu', needs zone in (a,b)"),
        ("nope=x", "label nope is absent, needs nope=x"),
        ("!zone", "label zone is 'eu', needs !zone"),
        ("nope", "label nope is absent, needs nope"),
        ("cores>8", "label cores is '8', needs cores>8"),
        ("zone<3", "label zone is 'eu', needs zone<3"),
        ("zone!=eu", "label zone is 'eu', needs zone!=eu"),
    ],
)
def test_reasons(text, reason):
    assert match_labels(parse_selector(text), LABELS) == [reason]


def test_a_label_that_is_too_long_for_a_number_meets_no_comparison():
    """Nor does it fail whoever compares it: it is a node's, and the job somebody else's."""
    assert len(match_labels(parse_selector("cores>8"), {"cores": "9" * 5000})) == 1


@pytest.mark.parametrize(
    ("requirement", "problem"),
    [
        (Requirement(key=" ", operator="exists"), "selector key cannot be blank"),
        (Requirement(key="a", operator="in"), "selector values cannot be empty for In or NotIn operators"),
        (
            Requirement(key="a", operator="!", values=("x",)),
            "selector values must be empty for Exists or DoesNotExist operators",
        ),
        (
            Requirement(key="a", operator="=", values=("x", "y")),
            "selector values must have exactly one value for other operators",
        ),
        (Requirement(key="a", operator="gt", values=("x",)), "for gt and lt the value must be an integer, not 'x'"),
        (
            Requirement(key="a", operator="lt", values=("9" * 20,)),
            f"for gt and lt the value must be an integer, not '{'9' * 20}'",
        ),
        (
            Requirement(key="a", operator="~", values=("x",)),
            "unknown selector operator '~': use one of =, ==, !=, gt, lt, in, notin, exists, !",
        ),
    ],
)
def test_problems_of_structures(requirement, problem):
    assert selector_problems(requirement) == [problem]


names = st.from_regex(r"[a-z][a-z0-9._-]{0,8}[a-z0-9]", fullmatch=True)
requirements = st.one_of(
    st.builds(
        lambda k, o, v: Requirement(key=k, operator=o, values=(v,)), names, st.sampled_from(["=", "==", "!="]), names
    ),
    st.builds(
        lambda k, o, v: Requirement(key=k, operator=o, values=tuple(sorted(v))),
        names,
        st.sampled_from(["in", "notin"]),
        st.sets(names, min_size=1),
    ),
    st.builds(lambda k, o: Requirement(key=k, operator=o), names, st.sampled_from(["exists", "!"])),
    st.builds(
        lambda k, o, n: Requirement(key=k, operator=o, values=(str(n),)),
        names,
        st.sampled_from(["gt", "lt"]),
        st.integers(0, 99),
    ),
)


@given(requirements)
def test_what_is_shown_reads_back(requirement):
    assert parse_selector(show_requirement(requirement)) == (requirement,)


@given(st.text(alphabet="ab=!(),<> in", max_size=20))
def test_any_text_is_read_or_refused(text):
    try:
        assert all(not selector_problems(r) for r in parse_selector(text))
    except BadRequest as e:
        assert e.message.startswith("unable to parse requirement: ")
