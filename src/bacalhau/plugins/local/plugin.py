"""The manifest of the node's own disk: inputs that are there already, and results that stay there."""

from bacalhau.ports.plugin import Plugin, PublisherType, Scheme, SourceType

_MAKE, _CHECK = "bacalhau.plugins.local.source:make_source", "bacalhau.plugins.local.params:check_source"
_PARAMS = "bacalhau.plugins.local.params:LocalParams"

PLUGIN = Plugin(
    "local",
    sources=(
        SourceType(
            "local",
            make=_MAKE,
            check=_CHECK,
            params=_PARAMS,
            schemes=(Scheme("file", "bacalhau.plugins.local.uri:read_input", form="file:///path"),),
            located=True,
        ),
        SourceType("localdirectory", make=_MAKE, check=_CHECK, params=_PARAMS, located=True),
    ),
    publishers=(
        PublisherType(
            "local",
            make="bacalhau.plugins.local.publisher:make_publisher",
            check="bacalhau.models.job.spec:check_nothing",
            params="bacalhau.models.job.spec:NoParams",
            check_result="bacalhau.plugins.local.publisher:check_result",
            as_input="bacalhau.plugins.local.publisher:as_input",
        ),
    ),
)
