"""Results as the orchestrator hands them out: with an address that the client can fetch without credentials
of its own.
"""

import logging
from typing import NamedTuple

import msgspec

from bacalhau.border.names import shorten
from bacalhau.config.schema import Config
from bacalhau.lib.errors import BadRequest, StorageFailure, Unavailable
from bacalhau.models.job.spec import SpecConfig, require_params
from bacalhau.plugins.s3.allow import result_buckets
from bacalhau.plugins.s3.ambient import AMBIENT, Ambient
from bacalhau.plugins.s3.bucket import BucketAddress
from bacalhau.plugins.s3.client import PAYER
from bacalhau.plugins.s3.operation import list_query, version_query
from bacalhau.plugins.s3.params import LinkedParams, PreSignedParams, S3SourceParams, is_archive
from bacalhau.plugins.s3.signature import presigned_url
from bacalhau.ports.plugin import Links, LinkWish, OrchestratorPart
from bacalhau.ports.publisher import Published

log = logging.getLogger(__name__)

_DEFAULT_SECONDS = 900  # life of a link where the configuration does not say
_LONGEST_SECONDS = 7 * 24 * 3600  # what S3 accepts


class _Signer(NamedTuple):
    """The orchestrator's credentials for the bucket of a result. Links hold for `seconds`."""

    ambient: Ambient
    address: BucketAddress
    region: str
    seconds: int

    def link(self, key: str, query: tuple[tuple[str, str], ...]) -> str:
        """Sign a link to an object, or to the bucket where `key` is empty."""
        query += (PAYER,) if self.address.is_paying else ()
        return presigned_url(self.ambient, self.region, self.address.url(key, query, self.region), self.seconds)


async def _find_signer(params: S3SourceParams, expires: float) -> _Signer | None:
    """Find credentials for the place of a result; None, with the reason in the log, where there are none."""
    try:
        ambient = await AMBIENT.current()
    except StorageFailure as e:
        log.warning("results are handed out without signed links: %s", e.message)
        return None
    if not ambient.credentials:
        return None
    address = params.place(ambient.settings)
    if not address.takes(ambient.settings):
        log.warning(
            "results at %s get no signed links: the credentials are for %s", address.server, ambient.settings.endpoint
        )
        return None
    seconds = max(1, min(int(expires), _LONGEST_SECONDS))
    return _Signer(ambient, address, address.region or ambient.region, seconds)


async def presign_result(result: SpecConfig, expires: float) -> SpecConfig:
    """Return an archive as `s3PreSigned` for `expires` seconds, or as it is where there are no credentials."""
    params = require_params(result, S3SourceParams)
    signer = await _find_signer(params, expires)
    if signer is None:
        return result
    url = signer.link(params.key, version_query(params.version_id))
    return SpecConfig(
        type="s3PreSigned", params=msgspec.to_builtins(PreSignedParams(source_spec=params, pre_signed_url=url))
    )


async def _offer_links(published: Published, params: S3SourceParams) -> SpecConfig:
    """Return a plain result with the execution that links to its objects can be asked for, where they can be signed."""
    result = published.result
    if await _find_signer(params, 1) is None:
        return result
    asked = LinkedParams(
        job_id=published.record_job_id or published.job_id, execution_id=published.record_id or published.execution_id
    )
    return msgspec.structs.replace(result, params=(result.params or {}) | msgspec.to_builtins(asked))


async def _sign_objects(params: S3SourceParams, wish: LinkWish, expires: float) -> Links:
    """Sign links to a page of the listing of a plain result, and to its objects. No server is asked.

    Raises BadRequest for a key that is not below the result's, Unavailable where there are no credentials for it.
    """
    if is_archive(params.key):
        raise BadRequest("the result is one object, which has a link already")
    if strange := next((key for key in wish.keys if not key.startswith(params.prefix)), None):
        raise BadRequest(f"object {shorten(strange)!r} is not one of the result at {shorten(params.prefix)!r}")
    signer = await _find_signer(params, expires)
    if signer is None:
        raise Unavailable("this orchestrator has no credentials for the bucket of the result")
    return Links(
        signer.link("", list_query(params.prefix, wish.after)), tuple(signer.link(key, ()) for key in wish.keys)
    )


def make_part(config: Config) -> OrchestratorPart:
    """Sign links to results in buckets that jobs may write to, unless the configuration keeps clients to their own
    credentials. Raises BadRequest for a rule of buckets that is none.
    """
    signing = config.publishers.types.s3
    buckets = result_buckets(config)
    seconds = int(signing.pre_signed_url_expiration) or _DEFAULT_SECONDS

    async def presign(published: Published) -> SpecConfig:
        params = require_params(published.result, S3SourceParams)
        if reason := buckets.refusal(params.bucket, published.namespace):
            log.warning("the result of execution %s is not signed: %s", published.execution_id, reason)
            return published.result
        if is_archive(params.key):
            return await presign_result(published.result, seconds)
        return await _offer_links(published, params)

    async def sign_links(published: Published, wish: LinkWish) -> Links:
        params = require_params(published.result, S3SourceParams)
        if reason := buckets.refusal(params.bucket, published.namespace):
            raise BadRequest(reason)
        return await _sign_objects(params, wish, seconds)

    if signing.pre_signed_url_disabled:
        return OrchestratorPart()
    return OrchestratorPart(presign=presign, sign_links=sign_links)
