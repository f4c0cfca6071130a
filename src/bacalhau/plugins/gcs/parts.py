"""The parts of a node and of a client for Google Cloud Storage."""

from bacalhau.lib.patience import DOWNLOAD
from bacalhau.plugins.clouds.cloud import Endpoints
from bacalhau.plugins.clouds.download import CloudDownloader
from bacalhau.plugins.clouds.publisher import CloudPublisher
from bacalhau.plugins.clouds.source import CloudSource
from bacalhau.plugins.gcs.cloud import GCS
from bacalhau.plugins.objects.rules import read_rules
from bacalhau.ports.plugin import ResultServer, Setting, publisher_patience, source_patience

_WORD = "Google Cloud Storage bucket"


def make_source(setting: Setting) -> CloudSource:
    config, key = setting.config.input_sources.types.gcs, "InputSources.Types.GCS"
    rules = read_rules(config.allowed_buckets, f"{key}.AllowedBuckets", _WORD)
    endpoints = Endpoints(f"{key}.AllowedEndpoints", config.allowed_endpoints)
    return CloudSource(GCS, endpoints, rules, source_patience(setting.config.input_sources))


def make_publisher(setting: Setting) -> CloudPublisher:
    config, key = setting.config.publishers.types.gcs, "Publishers.Types.GCS"
    rules = read_rules(config.allowed_buckets, f"{key}.AllowedBuckets", _WORD)
    endpoints = Endpoints(f"{key}.AllowedEndpoints", config.allowed_endpoints)
    return CloudPublisher(GCS, endpoints, rules, publisher_patience(setting.config))


def make_downloader(server: ResultServer) -> CloudDownloader:
    return CloudDownloader(GCS, DOWNLOAD._replace(seconds=server.config.patience))
