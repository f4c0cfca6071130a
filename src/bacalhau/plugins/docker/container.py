"""The container of a task: its name, labels and limits. Pure."""

from typing import Any, NamedTuple

from bacalhau.lib.errors import EngineFailure
from bacalhau.lib.wire import encode
from bacalhau.models.job.network import NetworkConfig, NetworkType
from bacalhau.models.job.resources import Resources
from bacalhau.plugins.docker.extras import ANY_EXTRAS, Allowance, Extras
from bacalhau.plugins.docker.gpus import gpu_settings
from bacalhau.plugins.docker.isolation import Facts, Isolation
from bacalhau.plugins.docker.mounts import mount_config
from bacalhau.plugins.docker.params import DockerParams
from bacalhau.ports.engine import EngineTask

EXECUTOR_LABEL = "bacalhau-executor"
JOB_LABEL = "bacalhau-jobID"
EXECUTION_LABEL = "bacalhau-executionID"
OWN_LABEL = "bacalhau-own"  # targets of the execution's own folders, as a JSON list
DOMAINS_LABEL = "bacalhau-domains"

MIN_CPU = 0.01  # the least the daemon accepts

# Docker's binary log keeps every byte of the last part and of the one before; JSON logs replace what is not UTF-8.
_DOCKER_LOG = {"max-file": "2", "compress": "false"}

_MODES = {
    NetworkType.DEFAULT: "bridge",
    NetworkType.BRIDGE: "bridge",
    NetworkType.NONE: "none",
    NetworkType.HOST: "host",
    NetworkType.FULL: "host",
}


NOWHERE = "192.0.2.1"  # an address for documentation: names are the proxy's to resolve
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")


class Detour(NamedTuple):
    """The way out for a task of network HTTP: a Docker network that leads nowhere, and the URL of the proxy on it."""

    network: str
    proxy: str


def container_name(execution_id: str) -> str:
    """Make the name from the execution alone, so that the container is found again, and never made twice, without a
    list.
    """
    return f"bacalhau-{execution_id}"


class Surroundings(NamedTuple):
    """The node around a container: its limits, its daemon, `detour` for network HTTP, and what tasks may ask for."""

    isolation: Isolation = Isolation()
    facts: Facts = Facts()
    detour: Detour | None = None
    allowance: Allowance = ANY_EXTRAS


def container_config(task: EngineTask, params: DockerParams, image: str, around: Surroundings) -> dict[str, Any]:
    """Make the body of the Engine API's container create."""
    detour, podman = around.detour, around.facts.is_podman
    config: dict[str, Any] = {
        "Image": image,
        "Env": merge_env(task.env, params.environment_variables or ()),
        "Labels": {EXECUTOR_LABEL: task.node_id, JOB_LABEL: task.job_id, EXECUTION_LABEL: task.execution_id},
        "HostConfig": {
            "Mounts": [mount_config(mount, podman=podman) for mount in task.mounts],
            "LogConfig": _log(task.output_limit, podman=podman),
            **around.isolation.host_config(task.resources, frozenset(m.target for m in task.mounts), around.facts),
            **_limits(task.resources),
        },
    }
    if own := [mount.target for mount in task.mounts if mount.own]:
        config["Labels"][OWN_LABEL] = encode(own).decode()
    _add_extras(config["HostConfig"], task, params.extras, around.allowance)
    if params.entrypoint:
        config["Entrypoint"] = list(params.entrypoint)
    if params.parameters:
        config["Cmd"] = list(params.parameters)
    if params.working_directory:
        config["WorkingDir"] = params.working_directory
    if detour is not None and task.network.kind() == NetworkType.HTTP:
        _add_detour(config, task, detour)
    else:
        _add_network(config, task.network)
    return config


def _log(size: int, *, podman: bool) -> dict[str, Any]:
    """The engine's own copy of the output, from which a node goes on after a restart: at least the last `size` bytes
    with Docker, at most that with Podman.
    """
    bound = {"max-size": str(size)}
    return {"Type": "json-file", "Config": bound} if podman else {"Type": "local", "Config": _DOCKER_LOG | bound}


def _add_extras(host: dict[str, Any], task: EngineTask, extras: Extras, allowance: Allowance) -> None:
    """Add what the task asks for; it wins over what every container gets. Raises EngineFailure for two things in one
    place.
    """
    taken = {mount.target.rstrip("/") for mount in task.mounts}
    for one in extras.tmpfs:
        if one.target in taken:
            raise EngineFailure(
                f"Tmpfs {one.target} is the place of an input or a result path, too",
                hint="choose another place for one of them",
                component="Docker",
            )
    asked = allowance.host_config(extras)
    if extras.tmpfs:
        asked["Tmpfs"] = host.get("Tmpfs", {}) | asked["Tmpfs"]
    if extras.ulimits:
        own = {one.name for one in extras.ulimits}
        asked["Ulimits"] += [one for one in host.get("Ulimits", ()) if one["Name"] not in own]
    host.update(asked)


def _add_detour(config: dict[str, Any], task: EngineTask, detour: Detour) -> None:
    config["HostConfig"] |= {"NetworkMode": detour.network, "Dns": [NOWHERE]}
    config["Labels"][DOMAINS_LABEL] = ",".join(task.network.domains)
    config["Env"] = [*(f"{name}={detour.proxy}" for name in _PROXY_VARIABLES if name not in task.env), *config["Env"]]


def merge_env(env: dict[str, str], entries: tuple[str, ...]) -> list[str]:
    """The engine's own entries win over the task's; an entry without `=` takes the image's variable away."""
    merged = {name: f"{name}={value}" for name, value in env.items()}
    merged.update((entry.partition("=")[0], entry) for entry in entries)
    return list(merged.values())


def _limits(need: Resources) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if need.memory > 0:
        # Equal swap limit: the memory limit means memory, not memory and then the disk.
        limits |= {"Memory": need.memory, "MemorySwap": need.memory}
    if need.cpu > 0:
        limits["NanoCpus"] = int(max(need.cpu, MIN_CPU) * 1e9)
    if need.gpus:
        limits |= gpu_settings(need.gpus)
    elif need.gpu > 0:
        limits["DeviceRequests"] = [{"Count": need.gpu, "Capabilities": [["gpu"]]}]
    return limits


def _add_network(config: dict[str, Any], network: NetworkConfig) -> None:
    kind = network.kind()
    if kind not in _MODES:
        raise EngineFailure(
            f"network {kind.value} needs a proxy, and there is none",
            hint="use network Bridge, Host or None",
            component="Docker",
        )
    host = config["HostConfig"]
    host["NetworkMode"] = _MODES[kind]
    if host["NetworkMode"] != "bridge":
        return
    host["ExtraHosts"] = ["host.docker.internal:host-gateway"]
    bindings: dict[str, Any] = {}
    for port in network.ports:
        if port.static:
            inside = f"{port.target or port.static}/tcp"
            bindings.setdefault(inside, []).append(
                {"HostIp": port.host_network or "0.0.0.0", "HostPort": str(port.static)}
            )
    if bindings:
        host["PortBindings"] = bindings
        config["ExposedPorts"] = {inside: {} for inside in bindings}
