"""The check of docker parameters at submission."""

from typing import Any

import pytest

from bacalhau.models.job.spec import SpecConfig, require_params
from bacalhau.plugins.docker.params import DockerParams, check_engine


def problems(params: dict[str, Any] | None) -> list[str]:
    return check_engine(SpecConfig(type="docker", params=params))


def test_keys_are_read_in_any_case():
    given = {
        "image": "alpine",
        "ENTRYPOINT": ["sh"],
        "Parameters": ["-c", "true"],
        "environmentvariables": ["A=1"],
        "workingDirectory": "/w",
    }
    params = require_params(SpecConfig(type="docker", params=given), DockerParams)
    assert (params.image, params.entrypoint, params.parameters) == ("alpine", ("sh",), ("-c", "true"))
    assert (params.environment_variables, params.working_directory) == (("A=1",), "/w")


def test_good_params_have_no_problems():
    assert (
        problems({"Image": "ghcr.io/a/b:1", "Entrypoint": None, "EnvironmentVariables": [], "WorkingDirectory": ""})
        == []
    )


@pytest.mark.parametrize("params", [None, {}, {"Image": ""}, {"Image": " "}])
def test_an_image_is_needed(params):
    assert problems(params) == ["invalid docker engine param: 'Image' cannot be empty"]


def test_every_problem_is_listed():
    found = problems(
        {"Image": "a b", "WorkingDirectory": "rel/ative", "EnvironmentVariables": ["=x", "bacalhau_JOB=1", "OK=1"]}
    )
    assert found == [
        "invalid docker engine param: 'Image' must not contain white space: 'a b'",
        "validating docker working directory: workdir must be an absolute path. Passed in: rel/ative",
        "invalid docker engine param: 'EnvironmentVariables' entry without a name: '=x' (write NAME=value)",
        (
            "invalid docker engine param: 'EnvironmentVariables' name 'bacalhau_JOB' cannot start with BACALHAU_, which"
            " is reserved"
        ),
    ]


def test_wrong_types_are_named():
    found = problems({"Image": {"Name": 5}, "Parameters": ["sleep", [10]], "Imagee": "x"})
    assert any("'Image'" in line and "5" in line for line in found)
    assert any("'Parameters" in line for line in found)


def test_numbers_are_arguments_too():
    given = SpecConfig(type="docker", params={"Image": "alpine", "Parameters": ["sleep", 10, 0.5, True]})
    assert require_params(given, DockerParams).parameters == ("sleep", "10", "0.5", "true")


@pytest.mark.parametrize(
    "image",
    [
        "alpine",
        "a/b",
        "localhost:5000/a/b_c:1.2-x",
        f"a@sha256:{'0' * 64}",
        f"ghcr.io/a:v@sha256:{'f' * 64}",
        f"sha256:{'a' * 64}",
        "[::1]:5000/a",
        "a__b/c--d",
    ],
)
def test_image_references(image):
    assert problems({"Image": image}) == []


@pytest.mark.parametrize("image", ["@", "a:", "Alpine", "a//b", "/a", "a:b:c", "a@sha256:12", "-a", "a/B"])
def test_what_is_no_reference(image):
    (problem,) = problems({"Image": image})
    assert problem.startswith(f'invalid image format: "{image}"')
