"""An operator sees at a start who starts with which settings, and what strangers may do here."""

from pathlib import Path

import pytest

from bacalhau.app.start_lines import find_open_api, find_open_server, start_line
from bacalhau.config.access import API, Auth, Oauth2, User
from bacalhau.config.schema import Compute, Config, JoinToken, Nats, NodeManager, Orchestrator

USERS = Auth(users=(User(username="ada", password="long enough"),))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "node.example"])
def test_an_api_that_strangers_reach_is_told_with_what_they_may_do_and_the_cure(host):
    found = find_open_api(Config(api=API(host=host, port=7)))
    assert found is not None and "users" in found.mark
    for word in (host, "port 7", "submit, read and stop every job", "API.Auth.Users"):
        assert word in found.warning


@pytest.mark.parametrize(
    "api",
    [
        API(),
        API(host="localhost"),
        API(host="::1"),
        API(host="0.0.0.0", auth=USERS),
        API(host="0.0.0.0", auth=Auth(oauth2=Oauth2(provider_id="idp"))),
    ],
)
def test_an_api_with_users_or_on_loopback_is_no_exposure(api):
    assert find_open_api(Config(api=api)) is None


def test_a_message_server_that_strangers_reach_is_told_with_what_they_may_do_and_the_cure():
    found = find_open_server(Config(orchestrator=Orchestrator(host="0.0.0.0", port=8)))
    assert found is not None and "token" in found.mark
    for word in ("0.0.0.0", "port 8", "join as a node", "Orchestrator.Auth.Token", "ManualApproval"):
        assert word in found.warning


@pytest.mark.parametrize(
    "own",
    [
        Orchestrator(),
        Orchestrator(host="0.0.0.0", auth=JoinToken(token="secret")),
        Orchestrator(host="0.0.0.0", node_manager=NodeManager(manual_approval=True)),
        Orchestrator(host="0.0.0.0", nats=Nats(url="nats://elsewhere:4222")),
    ],
)
def test_a_message_server_with_a_token_or_on_loopback_is_no_exposure(own):
    assert find_open_server(Config(orchestrator=own)) is None


def test_the_start_names_version_role_id_folder_and_files():
    config = Config(data_dir="/data", compute=Compute(enabled=True), orchestrator=Orchestrator(enabled=True))
    line = start_line(config, "n-7", [Path("/etc/b.yaml")])
    assert line.startswith("Bacalhau v") and line.endswith(
        ": orchestrator and compute node n-7 in /data, with /etc/b.yaml"
    )
    assert start_line(Config(data_dir="/data"), "n-7", []).endswith(
        ": orchestrator n-7 in /data, with no configuration file"
    )
