"""The manifest of `noop`: an engine that runs nothing, and the publisher that keeps nothing."""

from bacalhau.ports.plugin import EngineType, Plugin, PublisherType

PLUGIN = Plugin(
    "noop",
    engines=(
        EngineType(
            "noop",
            make="bacalhau.plugins.noop.engine:make_engine",
            check="bacalhau.plugins.noop.engine:check_engine",
            params="bacalhau.plugins.noop.engine:NoopParams",
            doubts="bacalhau.models.job.spec:check_nothing",
        ),
    ),
    publishers=(PublisherType("noop", make=None, check="bacalhau.plugins.noop.engine:check_publisher"),),
)
