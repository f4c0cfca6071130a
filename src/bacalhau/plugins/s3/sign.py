"""Results as the orchestrator hands them out: with an address that the client can fetch without credentials
of its own.
"""

import logging

import msgspec

from bacalhau.config.schema import Config
from bacalhau.lib.errors import StorageFailure
from bacalhau.models.job.spec import SpecConfig, require_params
from bacalhau.plugins.s3.allow import result_buckets
from bacalhau.plugins.s3.ambient import AMBIENT, presigned_url
from bacalhau.plugins.s3.client import PAYER
from bacalhau.plugins.s3.operation import version_query
from bacalhau.plugins.s3.params import PreSignedParams, S3SourceParams, is_archive
from bacalhau.ports.plugin import OrchestratorPart
from bacalhau.ports.publisher import Published

log = logging.getLogger(__name__)

_DEFAULT_SECONDS = 900  # life of a link where the configuration does not say
_LONGEST_SECONDS = 7 * 24 * 3600  # what S3 accepts


async def presign_result(result: SpecConfig, expires: float) -> SpecConfig:
    """An archive as `s3PreSigned` for `expires` seconds.

    Plain results, and all results where there are no credentials, stay as they are.
    """
    params = require_params(result, S3SourceParams)
    try:
        ambient = await AMBIENT.current()
    except StorageFailure as e:
        log.warning("results are handed out without signed links: %s", e.message)
        return result
    if not ambient.credentials or not is_archive(params.key):
        return result
    address = params.place(ambient.settings)
    if not address.takes(ambient.settings):
        log.warning(
            "results at %s get no signed links: the credentials are for %s", address.server, ambient.settings.endpoint
        )
        return result
    region = address.region or ambient.region
    seconds = max(1, min(int(expires), _LONGEST_SECONDS))
    query = version_query(params.version_id) + ((PAYER,) if address.is_paying else ())
    url = presigned_url(ambient, region, address.url(params.key, query, region), seconds)
    return SpecConfig(
        type="s3PreSigned", params=msgspec.to_builtins(PreSignedParams(source_spec=params, pre_signed_url=url))
    )


def make_part(config: Config) -> OrchestratorPart:
    """Sign links to results in buckets that jobs may write to, unless the configuration keeps clients to their own
    credentials. Raises BadRequest for a rule of buckets that is none.
    """
    signing = config.publishers.types.s3
    buckets = result_buckets(config)
    seconds = int(signing.pre_signed_url_expiration) or _DEFAULT_SECONDS

    async def presign(published: Published) -> SpecConfig:
        bucket = require_params(published.result, S3SourceParams).bucket
        if refusal := buckets.refusal(bucket, published.namespace):
            log.warning("the result of execution %s is not signed: %s", published.execution_id, refusal)
            return published.result
        return await presign_result(published.result, seconds)

    return OrchestratorPart(presign=None if signing.pre_signed_url_disabled else presign)
