"""The manifest of IPFS: inputs and results by their content."""

from bacalhau.ports.plugin import DownloaderType, Plugin, PublisherType, Scheme, SourceType

_PUBLISHER = "bacalhau.plugins.ipfs.uri:read_publisher"

PLUGIN = Plugin(
    "ipfs",
    sources=(
        SourceType(
            "ipfs",
            make="bacalhau.plugins.ipfs.source:make_source",
            check="bacalhau.plugins.ipfs.source:check_source",
            params="bacalhau.plugins.ipfs.source:IpfsParams",
            schemes=(Scheme("ipfs", "bacalhau.plugins.ipfs.uri:read_input", form="ipfs://CID[/path]"),),
            located=True,
            fixed=True,
        ),
    ),
    publishers=(
        PublisherType(
            "ipfs",
            make="bacalhau.plugins.ipfs.publisher:make_publisher",
            check="bacalhau.models.job.spec:check_nothing",
            params="bacalhau.models.job.spec:NoParams",
            # Estuary was the original's way to IPFS; its name still means that results go there.
            schemes=(Scheme("ipfs", _PUBLISHER, form="ipfs"), Scheme("estuary", _PUBLISHER)),
            check_result="bacalhau.plugins.ipfs.publisher:check_result",
            as_input="bacalhau.plugins.ipfs.publisher:as_input",
        ),
    ),
    downloaders=(DownloaderType("ipfs", make="bacalhau.plugins.ipfs.download:make_downloader"),),
)
