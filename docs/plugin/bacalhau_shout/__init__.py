"""An engine that shouts, a source of greetings, and a shelf for results on a disk that nodes and clients share."""

from bacalhau.ports.plugin import DownloaderType, EngineType, Plugin, PublisherType, Scheme, SourceType

PLUGIN = Plugin(
    "shout",
    engines=(
        EngineType(
            "shout",
            make="bacalhau_shout.engine:make",
            check="bacalhau_shout.engine:check",
            params="bacalhau_shout.engine:ShoutParams",
        ),
    ),
    sources=(
        SourceType(
            "greeting",
            make="bacalhau_shout.source:make",
            check="bacalhau_shout.source:check",
            params="bacalhau_shout.source:GreetingParams",
            schemes=(Scheme("greeting", read="bacalhau_shout.source:read_uri", form="greeting://NAME"),),
        ),
    ),
    publishers=(
        PublisherType(
            "shelf",
            make="bacalhau_shout.shelf:make",
            check="bacalhau.models.job.spec:check_nothing",
            params="bacalhau.models.job.spec:NoParams",
        ),
    ),
    downloaders=(DownloaderType("shelf", make="bacalhau_shout.shelf:make_downloader"),),
)
