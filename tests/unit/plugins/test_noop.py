"""The check of no-op parameters."""

import pytest

from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.noop.engine import check_engine


@pytest.mark.parametrize("params", [None, {}, {"exitcode": 3, "Sleep": 1, "STDOUT": "x"}])
def test_good(params):
    assert check_engine(SpecConfig(type="noop", params=params)) == []


@pytest.mark.parametrize("params", [{"Sleep": -1}, {"Sleep": 10_000}, {"ExitCode": "x"}])
def test_bad(params):
    (problem,) = check_engine(SpecConfig(type="noop", params=params))
    assert next(iter(params)) in problem
