"""The buckets of S3 that jobs may use, by rules of the administrator."""

from bacalhau.config.schema import Config
from bacalhau.plugins.objects.rules import BucketRules, read_rules


def input_buckets(config: Config) -> BucketRules:
    """Read the rules for inputs. Raises BadRequest."""
    return read_rules(config.input_sources.types.s3.allowed_buckets, "InputSources.Types.S3.AllowedBuckets")


def result_buckets(config: Config) -> BucketRules:
    """Read the rules for results. Raises BadRequest."""
    return read_rules(config.publishers.types.s3.allowed_buckets, "Publishers.Types.S3.AllowedBuckets")
