"""One S3 request and its second chances: signed, or not; in the right region; tried again while patience lasts.

aiohttp moves the bytes. What the requests mean is said in `operation`, what their failures mean in `failure`.
"""

import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

import aiohttp
import yarl

from bacalhau.border.addresses import EVERYWHERE, AddressRefused, Reach, refused_address
from bacalhau.border.bodies import PAGE, read_body
from bacalhau.border.connect import open_session
from bacalhau.border.exchange import Exchange, Incoming, Question
from bacalhau.border.proxies import find_proxy
from bacalhau.border.sending import sending
from bacalhau.lib.aio import read_up_to
from bacalhau.lib.clock import now_ns
from bacalhau.lib.patience import USUAL, Effort, Patience, asked_seconds
from bacalhau.lib.throttle import Throttle
from bacalhau.plugins.s3.ambient import AMBIENT, Ambient
from bacalhau.plugins.s3.bucket import BucketAddress
from bacalhau.plugins.s3.bulk import BulkReader
from bacalhau.plugins.s3.failure import Trouble, answer_failure, read_trouble, refused, unreachable
from bacalhau.plugins.s3.settings import Settings
from bacalhau.plugins.s3.signature import signed_headers
from bacalhau.ports.publisher import Confirm, always_allowed
from bacalhau.ports.storage import Access

T = TypeVar("T")

_REFUSAL_SECONDS = 60.0
_LOOK_SECONDS = 0.2
_CHUNK_BYTES = 256 << 10
_LOST = (aiohttp.ClientError, AddressRefused, TimeoutError)
_CONNECT_SECONDS = 10
_CONNECTIONS = 96
_TROUBLE_BYTES = 1 << 16
_CHECKSUM_MODE = "x-amz-checksum-mode"
_CHECKSUMS = ("x-amz-checksum-", "x-amz-sdk-checksum-")
PAYER = ("x-amz-request-payer", "requester")


class Request(NamedTuple):
    """One request.

    An empty key speaks of the bucket; a `url` that is signed already is used as it is. `confirm` comes before each try.
    """

    address: BucketAddress
    method: str
    key: str = ""
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    url: str = ""
    confirm: Confirm = always_allowed

    def url_in(self, region: str) -> str:
        return self.url or self.address.url(self.key, self.query, region)


class Answer(NamedTuple):
    headers: Mapping[str, str]
    body: bytes


Consume = Callable[[Incoming], Awaitable[T]]
"""Reads a successful response. It runs again from its beginning when the stream breaks."""


class Troubled(Exception):
    """An answer that is no success; a `Consume` raises it for one that says so behind its status 200."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble)
        self.trouble = trouble


async def read_all(response: Incoming) -> Answer:
    """Read the answer to anything but an object. Raises BodyTooLong."""
    body = await read_body(response.content.iter_any(), PAGE, f"S3 at {response.server}")
    return Answer(response.headers, body)


@dataclass
class _Learned:
    """Facts that the server told about a bucket: its real region, whose credentials it refused, how much it bears.

    A refusal holds for `_REFUSAL_SECONDS`: rights change, and a bucket that is read as anybody shows less.
    """

    region: str = ""
    refused: Any = None
    since: float = 0.0
    throttle: Throttle = field(default_factory=partial(Throttle, _CONNECTIONS))

    def refuses(self, ambient: Ambient) -> bool:
        is_fresh = time.monotonic() < self.since + _REFUSAL_SECONDS
        return ambient.credentials is not None and is_fresh and self.refused == ambient.credentials

    def note(self, ambient: Ambient) -> None:
        self.refused, self.since = ambient.credentials, time.monotonic()


class _Line(NamedTuple):
    """The connections of one rule of addresses, and the short way over them for small requests."""

    session: aiohttp.ClientSession
    exchange: Exchange


@dataclass
class _Course:
    """The state of one request: what was tried, and the refusal that a try without signature must not hide."""

    learned: _Learned
    region: str
    ambient: Ambient
    moved: bool = False
    refusal: Trouble | None = None
    is_plain: bool = False  # without checksums
    is_renewed: bool = False


class S3Client:
    """Opens its connections when first used; `aclose` ends them. Failures are StorageFailure.

    `reach` says which addresses it may connect to for endpoints that jobs name. A piece of work is done by the same
    client `under` an effort of its own.
    """

    def __init__(self, reach: Reach = EVERYWHERE, patience: Patience = USUAL) -> None:
        self._reach = reach
        self._effort, self._silence = Effort(patience), patience.silence
        self._lines: dict[Reach, _Line] = {}
        self._learned: dict[tuple[str, str], _Learned] = {}
        self._proxies: dict[str, str | None] = {}
        self._plain: set[str] = set()  # servers that refuse checksums
        self.proven: set[str] = set()  # servers without headers of S3 that nevertheless speak it
        self.bulk = BulkReader(self._silence)
        self._looks = 0.0  # seconds between two looks at the machine's identity
        self._seen: tuple[float, Ambient] | None = None

    async def aclose(self) -> None:
        self.bulk.close()
        while self._lines:
            await self._lines.popitem()[1].session.close()

    async def ambient(self) -> Ambient:
        """Return the identity of this machine. Within one effort it is looked at some times a second, not each time: a
        look takes longer than a signature.
        """
        now = time.monotonic()
        if self._seen is None or now >= self._seen[0] + self._looks:
            self._seen = (now, await AMBIENT.current())
        return self._seen[1]

    async def region_of(self, address: BucketAddress) -> str:
        """The region that worked, or else would be tried first."""
        learned = self._learned.get((address.endpoint, address.bucket))
        return (learned and learned.region) or address.region or (await self.ambient()).region

    async def access_to(self, address: BucketAddress) -> Access:
        """Say as whom a bucket is read, and its region where AWS, the job or its server says one."""
        course = await self._start(Request(address, "GET", ""))
        is_told = bool(course.learned.region or address.region or not address.endpoint)
        return Access(course.ambient.identity, course.region if is_told else "")

    def under(self, effort: Effort) -> "S3Client":
        """Return this client, connections and all, with requests that are tried again as an effort says."""
        bound = copy(self)
        bound._effort = effort
        bound._looks, bound._seen = _LOOK_SECONDS, None
        return bound

    async def call(self, request: Request, consume: Consume[T], reached: Callable[[], int] = lambda: 0) -> T:
        """Do the request until it succeeds, or raise why it cannot.

        `reached` (bytes) tells whether an attempt that broke off came further than those before.
        """
        return await self.persist(lambda: self.once(request, consume), reached)

    async def persist(self, attempt: Callable[[], Awaitable[T]], reached: Callable[[], int] = lambda: 0) -> T:
        """Attempt something until it is done, as this client's effort says."""
        return await self._effort.persist(attempt, reached)

    async def once(self, request: Request, consume: Consume[T]) -> T:
        """Do the request in the region and with the rights that it takes. Raises Passing for what may pass."""
        course = await self._start(request)
        while True:
            async with course.learned.throttle.turn() as turn:
                try:
                    done = await self._attempt(request, course, consume)
                    turn.served()
                    return done
                except Troubled as e:
                    answer = e
                    if answer.trouble.is_overload:
                        turn.refused()
            trouble = answer.trouble
            if not (await _correct(request, course, trouble) or _leave_checksums(request, course, trouble)):
                raise await self._explain(request, course, trouble) from answer

    async def _attempt(self, request: Request, course: _Course, consume: Consume[T]) -> T:
        """Do the request once, as the course is. Raises Troubled for an answer that is no success."""
        url = request.url_in(course.region)
        try:
            async with self._open(request, url, course) as response:
                if response.status >= 300:
                    raise Troubled(await _read_trouble(response))
                done = await consume(response)
        except _LOST as e:
            if refusal := refused_address(e):
                raise refused(request.address, refusal) from e
            raise unreachable(request.address, url, e) from e
        await self._learn(request, course)
        return done

    def takes_checksums(self, address: BucketAddress) -> bool:
        """Tell whether checksums go along with what is stored at a bucket's server."""
        return address.settings.sends_checksums and address.endpoint not in self._plain

    async def _learn(self, request: Request, course: _Course) -> None:
        """Keep for later requests what made this one succeed."""
        if course.refusal is not None:
            course.learned.note(await self.ambient())
        if course.is_plain:
            self._plain.add(request.address.endpoint)

    def reach_of(self, address: BucketAddress) -> Reach:
        """Return the rule for connections to a bucket's server."""
        return EVERYWHERE if address.is_ours else self._reach

    async def signed(self, request: Request) -> tuple[str, dict[str, str]] | None:
        """Address and headers for someone else to do the request; None where it must go through a proxy."""
        course = await self._start(request)
        url = request.url_in(course.region)
        return None if self._proxy(url) else (url, self._headers(request, url, course))

    async def _start(self, request: Request) -> _Course:
        address = request.address
        learned = self._learned.setdefault((address.endpoint, address.bucket), _Learned())
        ambient = Ambient() if request.url else await self.ambient()
        region = learned.region or address.region or ambient.region
        if not address.takes(ambient.settings):
            ambient = ambient.without_credentials(is_withheld=True)
        elif learned.refuses(ambient):
            ambient = ambient.without_credentials()
        return _Course(learned, region, ambient, is_plain=address.endpoint in self._plain)

    def _open(self, request: Request, url: str, course: _Course) -> AbstractAsyncContextManager[Incoming]:
        line, proxy = self._line(self.reach_of(request.address)), self._proxy(url)
        question = Question(request.method, url, self._headers(request, url, course), request.body, request.confirm)
        if proxy is None and question.is_small:
            return line.exchange.open(question)
        return self._send(question, partial(line.session.request, allow_redirects=False, proxy=proxy))

    @asynccontextmanager
    async def _send(self, question: Question, request: Any) -> AsyncIterator[Incoming]:
        """Send what goes through a proxy or has a large body. Raises TimeoutError where the server takes none of that
        for too long.
        """
        url, size = yarl.URL(question.url, encoded=True), len(question.body)
        # The library takes what the body raises for a failure of the connection, so it is asked here, too.
        await question.confirm()
        async with sending(_confirmed(question), self._silence) as body:
            sent = {"data": body, "headers": {**question.headers, "Content-Length": str(size)}} if size else {}
            async with request(question.method, url, **({"headers": question.headers} | sent)) as response:
                yield Incoming(str(url.origin()), response.status, response.headers, response.content)

    def _headers(self, request: Request, url: str, course: _Course) -> dict[str, str]:
        headers = {
            name: value
            for name, value in request.headers
            if not name.startswith(_CHECKSUMS) or (not course.is_plain and _is_asked(name, course.ambient.settings))
        }
        if not request.url:
            headers |= [PAYER] if request.address.is_paying else []
            headers = signed_headers(course.ambient, course.region, request.method, url, headers)
        # Objects come as they are stored; this header stays out of the signature because some gateways rewrite it.
        headers["Accept-Encoding"] = "identity"
        return headers

    def _proxy(self, url: str) -> str | None:
        server = url[: url.find("/", 8)]
        if server not in self._proxies:
            self._proxies[server] = find_proxy(url)
        return self._proxies[server]

    def _line(self, reach: Reach) -> _Line:
        if reach not in self._lines:
            bundle = os.environ.get("AWS_CA_BUNDLE")
            session = open_session(
                reach,
                connection={
                    "limit": _CONNECTIONS,
                    "ssl": ssl.create_default_context(cafile=bundle) if bundle else True,
                },
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=self._silence),
                auto_decompress=False,
                read_bufsize=1 << 20,
                skip_auto_headers=("User-Agent", "Content-Type"),
            )
            # The library would repeat a request by itself on a connection that broke; `persist` does that, and each
            # try is confirmed first.
            session._retry_connection = False
            self._lines[reach] = _Line(session, Exchange(session))
        return self._lines[reach]

    async def _explain(self, request: Request, course: _Course, trouble: Trouble) -> Exception:
        """A HEAD has no body that could say why: the same question as GET has."""
        if request.url:
            return answer_failure(trouble, request.address, request.key, "by its signed link")
        if course.refusal and trouble.is_refusal:
            course.ambient, trouble = await self.ambient(), course.refusal
        if request.method == "HEAD" and not trouble.code and not trouble.is_transient:
            probe = request._replace(method="GET", headers=(*request.headers, ("Range", "bytes=0-0")))
            with suppress(*_LOST):
                async with self._open(probe, request.url_in(course.region), course) as response:
                    trouble = trouble if response.status < 300 else await _read_trouble(response)
        return answer_failure(trouble, request.address, request.key, course.ambient.who)


def _is_asked(name: str, settings: Settings) -> bool:
    """Tell whether the configuration asks for a header of checksums."""
    return settings.asks_checksums if name == _CHECKSUM_MODE else settings.sends_checksums


async def _confirmed(question: Question) -> AsyncIterator[bytes]:
    """The body.

    Who froze in the middle of it may have lost the right to send the rest, without which the server keeps nothing.
    """
    for start in range(0, len(question.body), _CHUNK_BYTES):
        await question.confirm()
        yield question.body[start : start + _CHUNK_BYTES]


async def _read_trouble(response: Incoming) -> Trouble:
    body = await read_up_to(_TROUBLE_BYTES, response.content.iter_any())
    after = asked_seconds(response.headers.get("Retry-After", ""), now_ns())
    location = response.headers.get("Location", "") if response.status < 400 else ""
    found = read_trouble(response.status, response.headers.get("x-amz-bucket-region", ""), body)
    return found._replace(after=after, location=location)


async def _correct(request: Request, course: _Course, trouble: Trouble) -> bool:
    """Change course where the answer tells a better one: once to another region, once with newer credentials, once
    without signature for reading.
    """
    if request.url:
        return False
    if trouble.region and trouble.region != course.region and not course.moved:
        course.moved = True
        course.region = course.learned.region = trouble.region
        return True
    if await _renew(course, trouble):
        return True
    if trouble.is_refusal and course.ambient.credentials and request.method in ("GET", "HEAD"):
        course.refusal, course.ambient = trouble, course.ambient.without_credentials()
        return True
    return False


async def _renew(course: _Course, trouble: Trouble) -> bool:
    """Take newer credentials where the server says that these have ended."""
    if course.is_renewed or not course.ambient.credentials or not trouble.is_outdated:
        return False
    course.is_renewed = True
    newer = await AMBIENT.renewed(course.ambient.credentials)
    is_other = newer.credentials not in (None, course.ambient.credentials)
    if is_other:
        course.ambient = newer
    return is_other


def _leave_checksums(request: Request, course: _Course, trouble: Trouble) -> bool:
    """Go on without checksums, once, where the server may know none."""
    has_checksums = any(name.startswith(_CHECKSUMS) for name, _ in request.headers)
    if course.is_plain or not has_checksums or not trouble.may_mean_checksums:
        return False
    course.is_plain = True
    return True
