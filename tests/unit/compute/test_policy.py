"""What a node takes as far as values decide it: variables of the node, networks, jobs without inputs."""

import pytest

from bacalhau.compute.state.policy import Admission, resolve_env
from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.job import InputSource, Task
from bacalhau.models.job.network import NetworkConfig
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.node.admission import NodePolicy, list_objections

NODE = {"FOO": "1", "MYFOOBAR": "2", "AWS_REGION": "eu", "EMPTY": ""}


def resolve(wanted, *allowed):
    return resolve_env(wanted, Admission(env_allowed=allowed, environ=NODE))


def test_only_what_is_allowed_is_read_and_nothing_that_merely_contains_it():
    assert resolve({"A": "env:FOO", "B": "plain"}, "FOO") == ({"A": "1", "B": "plain"}, [])
    assert resolve({"A": "env:AWS_REGION"}, "X", "AWS_*") == ({"A": "eu"}, [])
    values, problems = resolve({"A": "env:MYFOOBAR"}, "FOO", "FO?", "[A-F]OO")
    assert (values, problems) == (
        {},
        ["environment variable A asks for MYFOOBAR of the node, which Compute.Env.AllowList does not allow"],
    )
    assert resolve({"A": "env:foo"}, "FOO")[1]


def test_what_is_not_set_is_told_and_what_is_empty_is_empty():
    assert resolve({"A": "env:NOPE"}, "*")[1] == [
        "environment variable A asks for NOPE of the node, which is not set there"
    ]
    assert resolve({"A": "env:EMPTY"}, "*") == ({"A": ""}, [])


@pytest.mark.parametrize("pattern", ["FOO_.*", "^FOO$", "(A|B)", "A B", ""])
def test_patterns_of_another_language_are_refused(pattern):
    with pytest.raises(BadRequest, match=r"Compute.Env.AllowList: .* is not a pattern of variable names"):
        Admission(env_allowed=("OK_*", pattern))


@pytest.mark.parametrize(
    ("network", "reasons"),
    [
        ("None", []),
        ("Default", []),
        ("", []),
        ("Host", ["does not accept jobs that use a network (this one asks for Host)"]),
        ("bridge", ["does not accept jobs that use a network (this one asks for Bridge)"]),
    ],
)
def test_networks_where_there_are_none(network, reasons):
    task = Task(network=NetworkConfig(type=network))
    assert list_objections(task, NodePolicy(reject_networked_jobs=True)) == reasons
    assert list_objections(task, NodePolicy()) == []


def test_jobs_without_inputs():
    stateful = Task(input_sources=(InputSource(source=SpecConfig(type="inline"), target="/in"),))
    assert list_objections(stateful, NodePolicy(reject_stateless_jobs=True)) == []
    assert list_objections(Task(), NodePolicy(reject_stateless_jobs=True)) == ["does not accept jobs without inputs"]
