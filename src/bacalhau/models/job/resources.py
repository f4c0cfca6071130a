"""Resources that a task asks for (text) and that nodes have (numbers), with the sums that reservation needs."""

from bacalhau.lib.units import parse_bytes, parse_count, parse_cpu, show_bytes
from bacalhau.lib.wire import Model


class GPU(Model):
    """`memory` is in MiB."""

    index: int = 0
    name: str = ""
    vendor: str = ""
    memory: int = 0
    pci_address: str = ""


class Resources(Model):
    """CPU in cores, memory and disk in bytes, GPUs by count."""

    cpu: float = 0.0
    memory: int = 0
    disk: int = 0
    gpu: int = 0
    gpus: tuple[GPU, ...] = ()

    def plus(self, other: "Resources") -> "Resources":
        return Resources(
            cpu=round(self.cpu + other.cpu, 6),
            memory=self.memory + other.memory,
            disk=self.disk + other.disk,
            gpu=self.gpu + other.gpu,
        )

    def minus(self, other: "Resources") -> "Resources":
        """Never below zero."""
        return Resources(
            cpu=max(0.0, round(self.cpu - other.cpu, 6)),
            memory=max(0, self.memory - other.memory),
            disk=max(0, self.disk - other.disk),
            gpu=max(0, self.gpu - other.gpu),
        )

    def holds(self, need: "Resources") -> bool:
        """Return True if `lacks` would have nothing to say."""
        return (
            need.cpu <= self.cpu + 1e-9
            and need.memory <= self.memory
            and need.disk <= self.disk
            and need.gpu <= self.gpu
        )

    def count_lacks(self, need: "Resources") -> int:
        """Count what `lacks` would list."""
        return (
            (need.cpu > self.cpu + 1e-9) + (need.memory > self.memory) + (need.disk > self.disk) + (need.gpu > self.gpu)
        )

    def lacks(self, need: "Resources") -> list[str]:
        """Say why `need` does not fit here, one text a resource; empty when it fits."""
        short: list[str] = []
        if self.holds(need):
            return short
        if need.cpu > self.cpu + 1e-9:
            short.append(f"needs {need.cpu:g} CPU, has {self.cpu:g}")
        if need.memory > self.memory:
            short.append(f"needs {show_bytes(need.memory)} memory, has {show_bytes(self.memory)}")
        if need.disk > self.disk:
            short.append(f"needs {show_bytes(need.disk)} disk, has {show_bytes(self.disk)}")
        if need.gpu > self.gpu:
            short.append(f"needs {need.gpu} GPU, has {self.gpu}")
        return short


class ResourcesConfig(Model):
    """A task's request as text: `500m`, `512Mb`, `1Gi`, `1`."""

    cpu: str = ""
    memory: str = ""
    disk: str = ""
    gpu: str = ""

    def problems(self) -> list[str]:
        found = []
        for label, text, parse in (
            ("CPU", self.cpu, parse_cpu),
            ("memory", self.memory, parse_bytes),
            ("disk", self.disk, parse_bytes),
            ("GPU", self.gpu, parse_count),
        ):
            try:
                if text:
                    parse(text)
            except ValueError:
                found.append(f"invalid {label} value: {text}")
        return found

    def parsed(self) -> Resources:
        """Turn the texts into numbers. Raises ValueError where `problems` would report one."""
        return Resources(
            cpu=parse_cpu(self.cpu) if self.cpu else 0.0,
            memory=parse_bytes(self.memory) if self.memory else 0,
            disk=parse_bytes(self.disk) if self.disk else 0,
            gpu=parse_count(self.gpu) if self.gpu else 0,
        )
