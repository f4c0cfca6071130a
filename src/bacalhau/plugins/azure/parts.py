"""The parts of a node and of a client for Azure Blob Storage."""

from bacalhau.lib.patience import DOWNLOAD
from bacalhau.plugins.azure.cloud import AZURE
from bacalhau.plugins.clouds.cloud import Endpoints
from bacalhau.plugins.clouds.download import CloudDownloader
from bacalhau.plugins.clouds.publisher import CloudPublisher
from bacalhau.plugins.clouds.source import CloudSource
from bacalhau.plugins.objects.rules import read_rules
from bacalhau.ports.plugin import ResultServer, Setting, publisher_patience, source_patience

_WORD = "Azure container"


def make_source(setting: Setting) -> CloudSource:
    config, key = setting.config.input_sources.types.azure, "InputSources.Types.Azure"
    rules = read_rules(config.allowed_containers, f"{key}.AllowedContainers", _WORD)
    endpoints = Endpoints(f"{key}.AllowedEndpoints", config.allowed_endpoints)
    return CloudSource(AZURE, endpoints, rules, source_patience(setting.config.input_sources))


def make_publisher(setting: Setting) -> CloudPublisher:
    config, key = setting.config.publishers.types.azure, "Publishers.Types.Azure"
    rules = read_rules(config.allowed_containers, f"{key}.AllowedContainers", _WORD)
    endpoints = Endpoints(f"{key}.AllowedEndpoints", config.allowed_endpoints)
    return CloudPublisher(AZURE, endpoints, rules, publisher_patience(setting.config))


def make_downloader(server: ResultServer) -> CloudDownloader:
    return CloudDownloader(AZURE, DOWNLOAD._replace(seconds=server.config.patience))
