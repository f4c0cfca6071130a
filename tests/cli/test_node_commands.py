"""What an administrator decides about a node, from the command line."""

import json

import pytest


@pytest.fixture
def node(system):
    yield system.node_id
    system.cli("node", "uncordon", system.node_id, code=None)


def status(system):
    return [line.split(",")[3] for line in system.cli("node", "list", "--output", "csv").stdout.splitlines()[1:]]


def test_a_cordoned_node_gets_no_new_work(system, node):
    assert system.cli("node", "cordon", node, "-m", "repairs").stdout == "Ok\n"
    assert status(system) == ["CONNECTED CORDONED"]
    assert json.loads(system.cli("node", "describe", node, "--output", "json").stdout)["Message"] == "repairs"
    refused = system.cli("docker", "run", "--queue-timeout", "1", system.image, "--", "true", code=1)
    assert "cordon" in refused.stderr
    assert system.cli("node", "uncordon", node).stdout == "Ok\n"
    assert status(system) == ["CONNECTED"]
    system.cli("docker", "run", "--id-only", system.image, "--", "true")


def test_a_drained_node(system, node):
    assert system.cli("node", "drain", node, "--deadline", "10m").stdout == "Ok\n"
    assert status(system) in (["CONNECTED DRAINING"], ["CONNECTED DRAINED"])
    assert system.cli("node", "drain", node, "--deadline", "5", code=1).stderr.startswith(
        'Error: invalid argument "5" for "--deadline" flag: a duration needs a unit'
    )


def test_labels_are_set_and_taken_away(system, node):
    assert system.cli("node", "labels", node, "zone=a", "shelf=3").stdout == "Ok\n"
    assert node[:10] in system.cli("node", "list", "--labels", "zone=a,shelf", "--hide-header").stdout
    system.cli("node", "labels", node, "shelf-", "zone-")
    assert system.cli("node", "list", "--labels", "zone=a", "--hide-header").stdout == ""
    wrong = system.cli("node", "labels", node, "zone=b", "nope", code=1)
    assert wrong.stderr == 'Error: invalid label "nope": write KEY=VALUE to set a label, KEY- to take it away\n'
    assert system.cli("node", "list", "--labels", "zone", "--hide-header").stdout == ""


def test_membership(system, node):
    again = system.cli("node", "approve", node, code=1)
    assert (again.stdout, again.stderr.splitlines()[0]) == (
        "",
        f"Error: Failed to approve node {node}: node {node} already approved",
    )
    unknown = system.cli("node", "delete", "n-nope", code=1)
    assert unknown.stderr.splitlines()[0] == "Error: Failed to delete node n-nope: node not found: n-nope"


def test_a_selector_that_is_none_is_refused_here(system):
    for command in (["node", "list"], ["job", "list"]):
        assert system.cli(*command, "--labels", "a===", code=1).stderr.startswith(
            "Error: could not parse labels: unable to parse requirement: found '='"
        )
