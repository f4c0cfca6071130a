"""The parameters of Azure Blob Storage, where a bucket is a container of an account."""

import msgspec

from bacalhau.plugins.clouds import params


class AzureSourceParams(params.SourceParams):
    """The parameters of a source."""

    bucket: str = msgspec.field(default="", name="Container")


class AzurePublisherParams(params.PublisherParams):
    """The parameters of a publisher."""

    bucket: str = msgspec.field(default="", name="Container")


class AzureResultParams(params.ResultParams):
    """The parameters of a result."""

    bucket: str = msgspec.field(default="", name="Container")
