"""The manifest of Google Cloud Storage: inputs from buckets, results into the job's bucket."""

from bacalhau.ports.plugin import DownloaderType, Plugin, PublisherType, Scheme, SourceType

_CLOUD, _PARTS = "bacalhau.plugins.gcs.cloud", "bacalhau.plugins.gcs.parts"

PLUGIN = Plugin(
    "gcs",
    sources=(
        SourceType(
            "gcs",
            make=f"{_PARTS}:make_source",
            check=f"{_CLOUD}:check_source",
            params="bacalhau.plugins.clouds.params:SourceParams",
            check_whole=f"{_CLOUD}:check_whole",
            listed=True,
            divide="bacalhau.plugins.objects.shares:part_bytes",
            schemes=(Scheme("gs", f"{_CLOUD}:read_input", form="gs://bucket/key"),),
        ),
    ),
    publishers=(
        PublisherType(
            "gcs",
            make=f"{_PARTS}:make_publisher",
            check=f"{_CLOUD}:check_publisher",
            params="bacalhau.plugins.clouds.params:PublisherParams",
            schemes=(
                Scheme("gs", f"{_CLOUD}:read_publisher", form="gs://bucket/key"),
                Scheme("gcs", f"{_CLOUD}:read_publisher"),
            ),
            check_result=f"{_CLOUD}:check_result",
            as_input=f"{_CLOUD}:as_input",
            check_overlap=f"{_CLOUD}:check_overlap",
        ),
    ),
    downloaders=(DownloaderType("gcs", make=f"{_PARTS}:make_downloader"),),
)
