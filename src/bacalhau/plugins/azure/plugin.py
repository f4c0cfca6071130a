"""The manifest of Azure Blob Storage: inputs from containers, results into the job's container."""

from bacalhau.ports.plugin import DownloaderType, Plugin, PublisherType, Scheme, SourceType

_CLOUD, _PARTS = "bacalhau.plugins.azure.cloud", "bacalhau.plugins.azure.parts"

PLUGIN = Plugin(
    "azure",
    sources=(
        SourceType(
            "azure",
            make=f"{_PARTS}:make_source",
            check=f"{_CLOUD}:check_source",
            params="bacalhau.plugins.azure.params:AzureSourceParams",
            check_whole=f"{_CLOUD}:check_whole",
            listed=True,
            divide="bacalhau.plugins.objects.shares:part_bytes",
            schemes=(Scheme("az", f"{_CLOUD}:read_input", form="az://container/key"),),
        ),
    ),
    publishers=(
        PublisherType(
            "azure",
            make=f"{_PARTS}:make_publisher",
            check=f"{_CLOUD}:check_publisher",
            params="bacalhau.plugins.azure.params:AzurePublisherParams",
            schemes=(
                Scheme("az", f"{_CLOUD}:read_publisher", form="az://container/key"),
                Scheme("azure", f"{_CLOUD}:read_publisher"),
            ),
            check_result=f"{_CLOUD}:check_result",
            as_input=f"{_CLOUD}:as_input",
            check_overlap=f"{_CLOUD}:check_overlap",
        ),
    ),
    downloaders=(DownloaderType("azure", make=f"{_PARTS}:make_downloader"),),
)
