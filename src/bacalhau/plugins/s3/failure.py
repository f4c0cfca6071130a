"""Translation of the errors of S3 servers, and of the way to them, into ours."""

import re
from typing import NamedTuple

import aiohttp

from bacalhau.border.addresses import AddressRefused
from bacalhau.border.names import shorten
from bacalhau.lib.credentials import without_credentials
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.network import network_fault
from bacalhau.lib.patience import Fault, Passing
from bacalhau.plugins.s3.bucket import BucketAddress

_TRANSIENT = frozenset(
    {
        "InternalError",
        "SlowDown",
        "ServiceUnavailable",
        "RequestTimeout",
        "RequestTimeoutException",
        "Throttling",
        "TooManyRequests",
        "OperationAborted",
    }
)
_OVERLOAD = frozenset({"SlowDown", "ServiceUnavailable", "Throttling", "TooManyRequests"})
_REFUSED = frozenset({"AccessDenied", "AllAccessDisabled", "AccountProblem", "Forbidden"})
_BAD_KEYS = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "InvalidClientTokenId",
        "TokenRefreshRequired",
    }
)

_OUTDATED = frozenset({"ExpiredToken", "TokenRefreshRequired", "InvalidToken"})
_DAMAGED = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"})

ANEW = "run the job again: its inputs are listed anew"

_TAGS = {name: re.compile(f"<{name}>([^<]*)</{name}>") for name in ("Code", "Message", "Region")}


class AccessRefused(StorageFailure):
    """The credentials may not do it."""


class AbsentObject(StorageFailure):
    """A bucket that is there has no such object."""


class AbsentBucket(StorageFailure):
    """There is no such bucket."""


class ChangedObject(StorageFailure):
    """An object is not the one that was listed."""


class Trouble(NamedTuple):
    """An answer that is no success.

    `code` and `message` are "" where it had no body; `region` is where the server says the bucket is; `after` is how
    many seconds it asked to wait; `location` is where else it sends its clients.
    """

    status: int
    code: str
    message: str
    region: str
    after: float = 0.0
    location: str = ""

    @property
    def is_transient(self) -> bool:
        return self.status in (408, 429, 500, 502, 503, 504) or self.code in _TRANSIENT

    @property
    def is_overload(self) -> bool:
        return self.status in (429, 503) or self.code in _OVERLOAD

    @property
    def is_outdated(self) -> bool:
        """Credentials that have ended, or may have: an answer to HEAD has no code."""
        return self.code in _OUTDATED or (not self.code and self.status in (400, 403))

    @property
    def may_mean_checksums(self) -> bool:
        """Headers that the server may not know or not implement, in whatever words; a wrong digest is another fault."""
        return self.status in (400, 501) and not self.is_transient and self.code not in _DAMAGED

    @property
    def is_refusal(self) -> bool:
        return self.status in (401, 403)


def read_trouble(status: int, region: str, body: bytes) -> Trouble:
    """`region` from the x-amz-bucket-region header; else the body's own."""
    text = body.decode("utf-8", "replace")
    return Trouble(status, _tag(text, "Code"), _tag(text, "Message"), region or _tag(text, "Region"))


def _tag(text: str, name: str) -> str:
    found = _TAGS[name].search(text)
    return found[1] if found else ""


def answer_failure(trouble: Trouble, address: BucketAddress, key: str, who: str) -> StorageFailure:
    """Make the error of a server that refused, naming bucket and key."""
    known = _redirect(trouble, address) or _refusal(trouble, address, key, who) or _absence(trouble, address, key)
    if known:
        return known
    said = trouble.code or f"status {trouble.status}"
    detail = f": {trouble.message}" if trouble.message else ""
    text = f"s3: {_thing(address, key)}: {said}{detail}"
    if not trouble.is_transient:
        return StorageFailure(text, component="S3")
    hint = f"the S3 server at {address.server} may be overloaded; try again later"
    answer = " ".join(filter(None, (str(trouble.status) if trouble.status >= 300 else "", trouble.code)))
    return Passing(text, hint=hint, component="S3").because(Fault(f"the store answers {answer}", trouble.after))


def _redirect(trouble: Trouble, address: BucketAddress) -> StorageFailure | None:
    """A signature is for one host, so nothing is sent on."""
    if not trouble.location:
        return None
    there = shorten(without_credentials("/".join(trouble.location.split("/")[:3])))
    hint = "name that server as the endpoint: opt=endpoint=…, Endpoint in the job, or endpoint_url of the AWS profile"
    return StorageFailure(f"s3: {address.server} sends its clients on to {there}", hint=hint, component="S3")


def _refusal(trouble: Trouble, address: BucketAddress, key: str, who: str) -> StorageFailure | None:
    if trouble.code in _BAD_KEYS:
        hint = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN (or the profile) of the node"
        return StorageFailure(
            f"s3: {address.server} does not accept our credentials ({who}): {trouble.code}", hint=hint, component="S3"
        )
    if trouble.code == "RequestTimeTooSkewed":
        return StorageFailure(
            "s3: the clock of this machine is wrong, so its signatures are refused",
            hint="set the clock",
            component="S3",
        )
    if trouble.code in _REFUSED or (trouble.is_refusal and not trouble.code):
        where = f" for {key}" if key else ""
        hint = f"give the node credentials that may use s3://{address.bucket}/{key}, or make the bucket public"
        return AccessRefused(f"s3: access denied to bucket {address.bucket} {who}{where}", hint=hint, component="S3")
    return None


def _absence(trouble: Trouble, address: BucketAddress, key: str) -> StorageFailure | None:
    if trouble.code == "NoSuchBucket" or (trouble.status == 404 and not key):
        hint = f"it was looked for at {address.server}; check the name, and the endpoint"
        return AbsentBucket(f"s3: bucket {address.bucket} does not exist", hint=hint, component="S3")
    if trouble.code == "NoSuchVersion":
        return StorageFailure(
            f"s3: object {key} in bucket {address.bucket} has no such version",
            hint="leave out the version to get the latest",
            component="S3",
        )
    if trouble.status == 404:
        hint = "keys are case-sensitive; end the key with * or / to take every object below it"
        return AbsentObject(f"s3: no object {key} in bucket {address.bucket}", hint=hint, component="S3")
    if trouble.status == 412:
        return ChangedObject(
            f"s3: object {key} in bucket {address.bucket} changed after it was listed", hint=ANEW, component="S3"
        )
    return None


def refused(address: BucketAddress, refusal: AddressRefused) -> StorageFailure:
    """Make the error of an endpoint that jobs may not use on this node."""
    return StorageFailure(
        f"s3: endpoint {address.server} may not be used here: {refusal.reason}", hint=refusal.hint, component="S3"
    )


def unreachable(address: BucketAddress, url: str, error: Exception) -> StorageFailure:
    """Make the error of a way to the server that is broken, or of a server that stopped talking."""
    server = "/".join(url.split("/")[:3])
    text = f"cannot reach S3 at {server}: {network_fault(error)}"
    hint = "check the endpoint, and that this machine can reach it"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return StorageFailure(text, hint=hint, component="S3")
    answered = not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    fault = Fault(f"the store cannot be reached ({network_fault(error)})", answered=answered)
    return Passing(text, hint=hint, component="S3").because(fault)


def _thing(address: BucketAddress, key: str) -> str:
    return f"object {key} in bucket {address.bucket}" if key else f"bucket {address.bucket}"
