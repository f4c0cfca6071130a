"""The manifest of S3: inputs from buckets, results into the job's bucket or into the orchestrator's own."""

from bacalhau.ports.plugin import DownloaderType, Plugin, PublisherType, Scheme, SourceType

_DOWNLOAD = "bacalhau.plugins.s3.download:make_downloader"

PLUGIN = Plugin(
    "s3",
    sources=(
        SourceType(
            "s3",
            make="bacalhau.plugins.s3.source:make_source",
            check="bacalhau.plugins.s3.input:check_source",
            params="bacalhau.plugins.s3.input:S3InputParams",
            check_whole="bacalhau.plugins.s3.input:check_whole",
            listed=True,
            divide="bacalhau.plugins.objects.shares:part_bytes",
            schemes=(Scheme("s3", "bacalhau.plugins.s3.uri:read_input", form="s3://bucket/key"),),
        ),
        SourceType(
            "s3managed",
            make="bacalhau.plugins.s3.kept:make_source",
            check="bacalhau.plugins.s3.kept:check_source",
            params="bacalhau.plugins.s3.reported:KeptInput",
        ),
    ),
    publishers=(
        PublisherType(
            "s3",
            make="bacalhau.plugins.s3.publisher:make_publisher",
            check="bacalhau.plugins.s3.params:check_publisher",
            params="bacalhau.plugins.s3.params:S3PublisherParams",
            schemes=(Scheme("s3", "bacalhau.plugins.s3.uri:read_publisher", form="s3://bucket/key"),),
            orchestrator="bacalhau.plugins.s3.sign:make_part",
            check_result="bacalhau.plugins.s3.reported:check_result",
            as_input="bacalhau.plugins.s3.reported:as_input",
            check_overlap="bacalhau.plugins.s3.params:check_overlap",
        ),
        PublisherType(
            "s3managed",
            make="bacalhau.plugins.s3.managed:make_publisher",
            check="bacalhau.models.job.spec:check_nothing",
            params="bacalhau.models.job.spec:NoParams",
            orchestrator="bacalhau.plugins.s3.managed:make_part",
            check_result="bacalhau.plugins.s3.reported:check_managed",
            as_input="bacalhau.plugins.s3.reported:kept_as_input",
        ),
    ),
    downloaders=(DownloaderType("s3", make=_DOWNLOAD), DownloaderType("s3presigned", make=_DOWNLOAD)),
)
