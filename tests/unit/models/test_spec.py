"""Reading a plug-in's parameters: names in any case, every problem a line of its own."""

import pytest

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import Model
from bacalhau.models.job.spec import SpecConfig, read_exactly, read_params, require_params, unknown_params


class Params(Model):
    url: str = ""
    size: int = 0


class One(Model):
    url: str = ""


def spec(**params):
    return SpecConfig(type="t", params=params)


@pytest.mark.parametrize("params", [None, {}, {"url": None, "Nope": None}])
def test_absent_and_null_are_the_defaults(params):
    assert read_params(SpecConfig(type="t", params=params), Params) == (Params(), [])


def test_names_are_read_in_any_case():
    assert read_params(spec(url="u", SIZE=3), Params) == (Params(url="u", size=3), [])


def test_unknown_names_do_not_keep_the_others_from_being_read():
    found, problems = read_params(spec(URL="u", a=1, b=2), Params)
    assert (found, problems) == (Params(url="u"), [])
    assert unknown_params(spec(URL="u", a=1, Siz=2), Params, "Engine.Params") == [
        "unknown field: 'a' in 'Engine.Params', ignored",
        "unknown field: 'Siz' in 'Engine.Params' (did you mean 'Size'?), ignored",
    ]


def test_unknown_names_are_problems_where_no_person_wrote_them():
    found, problems = read_exactly(spec(URL="u", a=1, b=2), Params)
    assert found == Params(url="u")
    assert problems == ["unknown parameter a: known are URL and Size", "unknown parameter b: known are URL and Size"]
    assert read_exactly(spec(a=1), One)[1] == ["unknown parameter a: known is URL"]


def test_numbers_are_texts_where_texts_belong():
    assert read_params(spec(URL=1.5, Size=3), Params) == (Params(url="1.5", size=3), [])
    assert read_params(spec(URL=True), Params) == (Params(url="true"), [])


def test_wrong_types_are_all_named_and_nothing_is_read():
    found, problems = read_params(spec(URL=[1], Size="x\ny", a=1), Params)
    assert found is None
    assert [problem.split()[1] for problem in problems] == ["'URL':", "'Size':"]


def test_who_needs_them_gets_the_problems_as_a_list():
    assert require_params(spec(url="u"), Params) == Params(url="u")
    with pytest.raises(BadRequest) as refused:
        require_params(spec(URL=[], Size="x"), Params)
    assert len(refused.value.problems) == 2
    assert refused.value.message == "\n".join(refused.value.problems)
