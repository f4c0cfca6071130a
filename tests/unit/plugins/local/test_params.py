"""What a job may say about a path of the node."""

import pytest

from bacalhau.border.places import CreateAs
from bacalhau.models.job.spec import SpecConfig, require_params
from bacalhau.plugins.local.params import LocalParams, check_source
from bacalhau.plugins.uris import parse_input


def local(**params: object) -> list[str]:
    return check_source(SpecConfig(type="local", params=params))


@pytest.mark.parametrize(
    ("params", "place", "write", "create"),
    [
        ({"SourcePath": "/data"}, "/data", False, CreateAs.NO_CREATE),
        ({"Path": "/data", "ReadWrite": "true"}, "/data", True, CreateAs.NO_CREATE),
        ({"sourcepath": "/data", "readwrite": True, "createas": "DIR"}, "/data", True, CreateAs.DIR),
        (
            {"SourcePath": "/data", "Path": "/data", "ReadWrite": "False", "CreateAs": "noCreate"},
            "/data",
            False,
            CreateAs.NO_CREATE,
        ),
        ({"SourcePath": "/data", "ReadWrite": "", "CreateAs": "File"}, "/data", False, CreateAs.FILE),
        ({"SourcePath": "/data", "ReadWrite": None}, "/data", False, CreateAs.NO_CREATE),
    ],
)
def test_good_parameters(params, place, write, create):
    assert local(**params) == []
    read = require_params(SpecConfig(type="local", params=params), LocalParams)
    assert (read.place, read.write, read.create) == (place, write, create)


@pytest.mark.parametrize(
    ("text", "write"),
    [("file:///data/in:/in", False), ("file:///data/in:/in,opt=rw=true", True), ("file:///data/in,opt=ro=true", False)],
)
def test_what_the_command_line_makes_is_good(text, write):
    source = parse_input(text).source
    assert check_source(source) == []
    read = require_params(source, LocalParams)
    assert (read.place, read.write) == ("/data/in", write)


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({}, "source path cannot be empty"),
        ({"SourcePath": "data"}, "source path 'data' is not an absolute path"),
        ({"SourcePath": "/da\0ta"}, "is not an absolute path"),
        ({"SourcePath": "/a", "Path": "/b"}, "Path '/b' contradicts SourcePath '/a'"),
        ({"SourcePath": "/a", "ReadWrite": "perhaps"}, "ReadWrite must be true or false, not 'perhaps'"),
        ({"SourcePath": "/a", "ReadWrite": 1}, "field 'ReadWrite'"),
        ({"SourcePath": "/a", "CreateAs": "pipe"}, "CreateAs must be dir, file or noCreate, not 'pipe'"),
    ],
)
def test_bad_parameters(params, problem):
    found = local(**params)
    assert len(found) == 1
    assert found[0].startswith("invalid local storage params: ")
    assert problem in found[0]


def test_all_problems_are_listed():
    assert len(local(Path="x", ReadWrite="y", CreateAs="z", Nope=1)) == 3
