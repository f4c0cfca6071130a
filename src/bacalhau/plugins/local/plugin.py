"""The manifest of the node's own disk: inputs that are there already, and results that stay there."""

from bacalhau.ports.plugin import Plugin, PublisherType, Scheme, SourceType

_MAKE, _CHECK = "bacalhau.plugins.local.source:make_source", "bacalhau.plugins.local.params:check_source"

PLUGIN = Plugin(
    "local",
    sources=(
        SourceType(
            "local",
            make=_MAKE,
            check=_CHECK,
            schemes=(Scheme("file", "bacalhau.plugins.local.uri:read_input", form="file:///path"),),
            located=True,
        ),
        SourceType("localdirectory", make=_MAKE, check=_CHECK, located=True),
    ),
    publishers=(
        PublisherType(
            "local",
            make="bacalhau.plugins.local.publisher:make_publisher",
            check="bacalhau.plugins.local.publisher:check_publisher",
            check_result="bacalhau.plugins.local.publisher:check_result",
        ),
    ),
)
