"""The rules by which a node takes jobs, read from its configuration and environment."""

import os

from bacalhau.border.addresses import is_loopback
from bacalhau.compute.state.policy import Admission
from bacalhau.compute.state.ports import PortPool, own_address
from bacalhau.config.schema import Compute, Config, JobAdmissionControl
from bacalhau.lib.errors import BadRequest
from bacalhau.models.node.admission import NodePolicy
from bacalhau.plugins.docker.rules import LOOPBACK, bound_address
from bacalhau.plugins.probe.command import CommandProbe
from bacalhau.plugins.probe.web import WebProbe
from bacalhau.ports.admission import Probe


def node_admission(rules: JobAdmissionControl, compute: Compute) -> Admission:
    """Read the rules of admission. Raises BadRequest naming the key and the value."""
    probes: list[Probe] = [CommandProbe(rules.probe_exec)] if rules.probe_exec else []
    if rules.probe_http:
        if not rules.probe_http.startswith(("http://", "https://")):
            raise BadRequest(
                f"JobAdmissionControl.ProbeHTTP: {rules.probe_http!r} is not a URL",
                hint="write it as http://host:port/path",
            )
        probes.append(WebProbe(rules.probe_http))
    return Admission(
        policy=NodePolicy(
            reject_stateless_jobs=rules.reject_stateless_jobs, reject_networked_jobs=rules.reject_networked_jobs
        ),
        local_only=rules.locality == "local",
        env_allowed=compute.env.allow_list,
        environ=os.environ,
        probes=tuple(probes),
    )


def port_pool(config: Config, *, is_own: bool) -> PortPool:
    """Make the pool of ports. `is_own`: this is one person's machine, whose ports nobody else needs to reach."""
    network = config.compute.network
    is_private = is_own and is_loopback(network.advertised_address or LOOPBACK)
    address = bound_address(config.engines.types.docker, is_own=is_private)
    return PortPool(network.port_range_start, network.port_range_end, address=address)


def task_address(compute: Compute) -> str:
    return compute.network.advertised_address or own_address()
