"""Sentences for the operator at a start: who starts, where, with which settings, and who can reach it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bacalhau.border.addresses import is_loopback
from bacalhau.config.access import is_guarded
from bacalhau.config.schema import Config
from bacalhau.models.node.version import this_version


class Exposure(NamedTuple):
    """A door that strangers can reach: `mark` is the short form for the line with its address."""

    mark: str
    warning: str


def start_line(config: Config, node_id: str, files: Sequence[Path]) -> str:
    """Say version, node id, roles, folder and configuration files."""
    is_both = config.orchestrator.enabled and config.compute.enabled
    alone = "compute node" if config.compute.enabled else "orchestrator"
    role = "orchestrator and compute node" if is_both else alone
    settings = " and ".join(str(path) for path in files) or "no configuration file"
    return f"Bacalhau {this_version().git_version}: {role} {node_id} in {config.data_dir}, with {settings}"


def find_open_api(config: Config) -> Exposure | None:
    """Say what strangers may do with an API that listens beyond this machine and knows no users; None where all is
    well.
    """
    api = config.api
    if is_loopback(api.host) or is_guarded(api.auth):
        return None
    return Exposure(
        "open to everybody, it has no users",
        f"API.Host is {api.host} and API.Auth names no users: whoever reaches port {api.port} may submit, read and stop"
        " every job. Set API.Auth.Users, or API.Host=127.0.0.1.",
    )


def find_open_server(config: Config) -> Exposure | None:
    """Say what strangers may do with a message server of ours that listens beyond this machine without a token; None
    where all is well.
    """
    own = config.orchestrator
    if is_loopback(own.host) or own.nats.url or own.auth.token or own.node_manager.manual_approval:
        return None
    return Exposure(
        "open to everybody, without a token",
        f"Orchestrator.Host is {own.host} and Orchestrator.Auth.Token is not set: whoever reaches port {own.port} may"
        " join as a node, is sent jobs, and reports their results. Set Orchestrator.Auth.Token, or"
        " Orchestrator.NodeManager.ManualApproval=true.",
    )
