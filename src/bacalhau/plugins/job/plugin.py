"""The manifest of `job`: inputs that are results of other jobs."""

from bacalhau.ports.plugin import Plugin, Scheme, SourceType

PLUGIN = Plugin(
    "job",
    sources=(
        SourceType(
            "job",
            make="bacalhau.plugins.job.source:make_source",
            check="bacalhau.models.job.taken:check_source",
            params="bacalhau.models.job.taken:JobParams",
            schemes=(Scheme("job", "bacalhau.plugins.job.uri:read_input", form="job://ID[/path]"),),
            located=True,
            listed=True,
        ),
    ),
)
