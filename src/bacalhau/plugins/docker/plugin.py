"""The manifest of Docker: an engine for containers."""

from bacalhau.ports.plugin import EngineType, Plugin

PLUGIN = Plugin(
    "docker",
    engines=(
        EngineType(
            "docker",
            make="bacalhau.plugins.docker.engine:make_engine",
            check="bacalhau.plugins.docker.params:check_engine",
            params="bacalhau.plugins.docker.params:DockerParams",
            doubts="bacalhau.plugins.docker.params:list_doubts",
        ),
    ),
)
