"""The bucket for managed results, out of the configuration."""

from bacalhau.config.schema import S3Managed
from bacalhau.lib.errors import BadRequest
from bacalhau.plugins.s3.bucket import find_bucket
from bacalhau.plugins.s3.managed import ManagedBucket


def managed_bucket(wanted: S3Managed) -> ManagedBucket | None:
    """None where nothing of it is configured. Raises BadRequest naming what is missing of a part."""
    if not (wanted.bucket or wanted.region or wanted.key or wanted.endpoint):
        return None
    missing = [name for name, value in (("Bucket", wanted.bucket), ("Region", wanted.region)) if not value]
    if wanted.pre_signed_url_expiration < 1:
        missing.append("PreSignedURLExpiration of at least 1s")
    if missing:
        raise BadRequest(
            f"Publishers.Types.S3Managed needs {' and '.join(missing)}", hint="set them, or leave out the whole section"
        )
    return ManagedBucket(
        find_bucket(wanted.bucket, wanted.region, wanted.endpoint), wanted.key, int(wanted.pre_signed_url_expiration)
    )
