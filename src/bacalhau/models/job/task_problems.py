"""Problems that the parts of a task can have.

Every problem is listed, named by its part; parameters are the plug-ins' business.
"""

import ipaddress
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from bacalhau.border.names import control_problem
from bacalhau.lib.units import MAX_SECONDS, show_duration
from bacalhau.lib.wire import encode
from bacalhau.models.job.job import InputSource, ResultPath, Task, Timeouts
from bacalhau.models.job.network import NetworkConfig, NetworkType, PortMapping
from bacalhau.models.job.retry import retry_problems
from bacalhau.models.job.spec import SpecConfig

NULL = rb"\u0000"
SpecChecks = Mapping[str, Callable[[SpecConfig], list[str]]]

_ENV_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_PORT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOMAIN = re.compile(r"\.?(?:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z](?:[-a-z0-9]{0,61}[a-z0-9])")
_RESERVED_RESULTS = ("stdout", "stderr", "exitCode", ".", "..")


def task_problems(task: Task, engines: SpecChecks, sources: SpecChecks, publishers: SpecChecks) -> Iterator[str]:
    """All problems of a task, without its name."""
    if not task.name:
        yield "missing task name"
    yield from _bad_characters(task)
    yield from (p for name, value in (task.env or {}).items() if (p := env_problem(name, value)))
    yield from _under("invalid engine", _spec(task.engine, "engine", engines))
    if task.publisher is not None and task.publisher.type:
        yield from _under("invalid publisher", _spec(task.publisher, "publisher", publishers))
    elif task.result_paths:
        yield "publisher must be set if result paths are set"
    yield from _timeouts(task.timeouts or Timeouts())
    if task.resources is not None:
        yield from _under("invalid resources", task.resources.problems())
    yield from _inputs(task.input_sources or (), sources)
    yield from _results(task.result_paths or ())
    yield from _collisions(task.input_sources or (), task.result_paths or ())
    if task.retry is not None:
        yield from _under("invalid retry", retry_problems(task.retry))
    if task.network is not None:
        yield from _under("invalid network", network_problems(task.network))


def _bad_characters(task: Task) -> Iterator[str]:
    if NULL in encode(task):
        yield from (
            f"field '{path}' cannot contain null characters" for path in _with_null(msgspec.to_builtins(task), "")
        )
    elif problem := control_problem("name", task.name):
        yield problem


def _with_null(value: Any, path: str) -> Iterator[str]:
    """No file, argument or variable can hold one: what starts the task ends there, or fails each time it is tried."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _with_null(key, f"{path}.{key}".lstrip("."))
            yield from _with_null(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _with_null(inner, f"{path}[{number}]")
    elif isinstance(value, str) and "\x00" in value:
        yield path


def _under(part: str, problems: Iterable[str]) -> Iterator[str]:
    return (f"{part}: {problem}" for problem in problems)


def _spec(spec: SpecConfig, role: str, known: SpecChecks) -> list[str]:
    if not spec.type:
        return ["missing spec type"]
    check = known.get(spec.type.lower())
    if check is None:
        return [f"unknown {role} type '{spec.type}': this system knows {', '.join(sorted(known))}"]
    return check(spec)


def env_problem(name: str, value: str) -> str:
    """Say why a variable is refused; "" when it is not."""
    if _ENV_NAME.fullmatch(name) and value and not name.startswith("BACALHAU_") and value != "env:":
        return ""
    if not name:
        return "environment variable name cannot be empty"
    for wrong, rule in (
        (name != name.upper(), "must be uppercase"),
        (not name[0].isalpha(), "must start with a letter"),
        (not _ENV_NAME.fullmatch(name), "can only contain letters, numbers, and underscores"),
        (name.startswith("BACALHAU_"), "cannot start with BACALHAU_"),
    ):
        if wrong:
            return f"environment variable '{name}' {rule}"
    if value:
        return f"environment variable '{name}' asks for a variable of the node without naming it: write env:NAME"
    return f"environment variable '{name}' cannot have empty value"


def _timeouts(limits: Timeouts) -> Iterator[str]:
    for label, seconds in (
        ("execution", limits.execution_timeout),
        ("queue", limits.queue_timeout),
        ("total", limits.total_timeout),
    ):
        if not 0 <= seconds <= MAX_SECONDS:
            yield f"invalid timeouts: invalid {label} timeout value: {show_duration(seconds)}"
    if 0 < limits.total_timeout < limits.execution_timeout + limits.queue_timeout:
        execution, queue, total = (
            show_duration(s) for s in (limits.execution_timeout, limits.queue_timeout, limits.total_timeout)
        )
        yield (
            f"task timeouts validation failed: execution timeout {execution} and queue timeout {queue} should be less"
            f" than total timeout {total}"
        )


def _inputs(inputs: tuple[InputSource, ...], sources: SpecChecks) -> Iterator[str]:
    for item in inputs:
        yield from _under("invalid input sources: invalid input source", _spec(item.source, "source", sources))
        if not item.target:
            yield "invalid input sources: input source is missing a target"
        elif not item.target.startswith("/") or posixpath.normpath(item.target) in ("/", "//"):
            yield f"invalid input sources: input source target '{item.target}' must be an absolute path below /"
    yield from (f"input source with alias '{alias}' already exists" for alias in _repeated(i.alias for i in inputs))
    yield from (
        f"input source with target '{target}' already exists: give each input a target of its own, such as '{target}/1'"
        for target in _repeated(_place(i.target) for i in inputs)
    )


def _results(results: tuple[ResultPath, ...]) -> Iterator[str]:
    for item in results:
        if not item.path:
            yield "invalid output: missing path"
        elif not item.path.startswith("/") or posixpath.normpath(item.path) in ("/", "//"):
            yield f"invalid output: result path `{item.path}` must be absolute and below /"
        if not item.name:
            yield "invalid output: missing name"
        elif item.name in _RESERVED_RESULTS or "/" in item.name or "\x00" in item.name:
            yield (
                f"invalid output: name '{item.name}' must be a plain folder name other than stdout, stderr and exitCode"
            )
    yield from (f"result path with name '{name}' already exists" for name in _repeated(r.name for r in results))
    yield from (f"result path '{path}' already exists" for path in _repeated(_place(r.path) for r in results))


def _collisions(inputs: tuple[InputSource, ...], results: tuple[ResultPath, ...]) -> Iterator[str]:
    """Name what is both an input and a result: one would hide the other. One below the other is fine."""
    taken = {_place(item.path): item.name for item in results if item.path}
    for target in (_place(item.target) for item in inputs if item.target):
        if target in taken:
            yield (
                f"input source target '{target}' is also result path '{taken[target]}': choose another target, such as"
                f" '{target}/in', or another path"
            )


def _place(path: str) -> str:
    """Return a path in the one form that a container's runtime reads it in."""
    return "/" + posixpath.normpath(path).lstrip("/") if path else ""


def _repeated(texts: Iterable[str]) -> list[str]:
    found = list(texts)
    if len(set(found)) == len(found):
        return []
    return [text for text, count in Counter(found).items() if text and count > 1]


def network_problems(network: NetworkConfig) -> Iterator[str]:
    """All problems of a network configuration."""
    kind = NetworkType.parse(network.type)
    if kind is None:
        yield f"unknown network type '{network.type}': use one of {', '.join(NetworkType)}"
        return
    if kind == NetworkType.HTTP and not network.domains:
        yield "network type HTTP needs domains: name those that the task may reach"
    if network.domains and kind != NetworkType.HTTP:
        yield "domains can only be set for HTTP network mode"
    yield from (f'invalid domain "{domain}"' for domain in network.domains if not _is_domain(domain))
    if not network.ports:
        return
    if kind not in (NetworkType.HOST, NetworkType.FULL, NetworkType.BRIDGE):
        yield "ports can only be set for Host or Bridge network modes"
    for port in network.ports:
        yield from _port_problems(port, kind)
    yield from (f"duplicate port mapping name: {name}" for name in _repeated(p.name for p in network.ports))
    yield from (f"duplicate static port: {port}" for port in _repeated(str(p.static or "") for p in network.ports))
    yield from (f"duplicate target port: {port}" for port in _repeated(str(p.target or "") for p in network.ports))


def _is_domain(text: str) -> bool:
    return bool(_DOMAIN.fullmatch(text.strip().lower())) or _is_address(text)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _port_problems(port: PortMapping, kind: NetworkType) -> Iterator[str]:
    yield from _port_name_problems(port.name)
    if 0 < port.static < 1024:
        yield f"static port {port.static} is in privileged port range (1-1023)"
    elif not 0 <= port.static <= 65535:
        yield f"static port {port.static} is not between 1024 and 65535"
    if port.target and kind in (NetworkType.HOST, NetworkType.FULL):
        yield "target ports cannot be set for Host network mode"
    elif not 0 <= port.target <= 65535:
        yield f"invalid target port {port.target}"
    if port.host_network and not _is_address(port.host_network):
        yield f"invalid host network IP address: {port.host_network}"


def _port_name_problems(name: str) -> Iterator[str]:
    if not name:
        yield "port mapping name is required"
    elif not _PORT_NAME.fullmatch(name):
        yield f"port name must be a valid environment variable name: '{name}'"
    elif len(name) > 256:
        yield f"port name too long: '{name}'"
