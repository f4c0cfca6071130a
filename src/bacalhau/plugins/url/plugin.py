"""The manifest of URLs: inputs and results that are fetched over HTTP."""

from bacalhau.ports.plugin import DownloaderType, Plugin, Scheme, SourceType

_READ = "bacalhau.plugins.url.uri:read_input"

PLUGIN = Plugin(
    "url",
    sources=(
        SourceType(
            "urldownload",
            make="bacalhau.plugins.url.source:make_source",
            check="bacalhau.plugins.url.params:check_source",
            params="bacalhau.plugins.url.params:UrlParams",
            schemes=(Scheme("https", _READ, form="https://host/file"), Scheme("http", _READ)),
        ),
    ),
    downloaders=(DownloaderType("urldownload", make="bacalhau.plugins.url.download:make_downloader"),),
)
