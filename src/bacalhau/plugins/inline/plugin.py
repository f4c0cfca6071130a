"""The manifest of `inline`: inputs that travel inside the job."""

from bacalhau.ports.plugin import Plugin, SourceType

PLUGIN = Plugin(
    "inline",
    sources=(
        SourceType(
            "inline",
            make="bacalhau.plugins.inline.source:make_source",
            check="bacalhau.plugins.inline.data_url:check_source",
            params="bacalhau.plugins.inline.data_url:InlineParams",
            fixed=True,
        ),
    ),
)
