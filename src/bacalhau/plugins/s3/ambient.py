"""Credentials for S3 where a job does not say: botocore's chain of credentials.

Credentials that end are asked for once in their life: some time before the end a thread asks for the next, while
requests go on with those that are valid. That this fails matters only when they have run out.
"""

import asyncio
import logging
import math
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import StorageFailure
from bacalhau.plugins.s3.settings import Fingerprint, Settings, explained, fingerprint, new_session, settings_of

log = logging.getLogger(__name__)
# It logs what it raises, with a traceback.
logging.getLogger("botocore.credentials").setLevel(logging.ERROR)

_AHEAD_SECONDS = 900.0  # before their end that credentials are renewed; a quarter of their life where that is less
_AGAIN_SECONDS = 60.0  # until the next look, where there were no credentials or none could be had
_METADATA_ADDRESS = ("169.254.169.254", 80)
_METADATA_SECONDS = 0.3
_PLACES = {
    "env": "variables of the environment",
    "container-role": "role of the container",
    "iam-role": "role of the machine",
}
"""Sources of credentials that are no profile, by botocore's word for them."""
_METADATA_SETTINGS = ("ec2_metadata_service_endpoint", "ec2_metadata_service_endpoint_mode", "imds_use_ipv6")


class Ambient(NamedTuple):
    """The identity of this machine: frozen botocore credentials, or None for unsigned requests, and its settings.

    `expires` is when they end, in seconds since 1970. `is_withheld`: there are credentials, and they are for another
    server. `source` says where they come from, such as `profile research`.
    """

    credentials: Any = None
    settings: Settings = Settings()
    expires: float = math.inf
    is_withheld: bool = False
    source: str = ""

    @property
    def region(self) -> str:
        return self.settings.region

    @property
    def who(self) -> str:
        """The identity as messages show it: `as AKIA…abcd`, never the whole key."""
        if self.is_withheld:
            return f"without credentials (those of this machine are for {self.settings.endpoint} alone)"
        key = self.credentials.access_key if self.credentials else ""
        return f"as {key[:4]}…{key[-4:]}" if key else "without credentials"

    @property
    def identity(self) -> str:
        """The identity in a preview: `profile research (AKIA…abcd)`, or `anonymous`."""
        if self.is_withheld:
            return f"anonymous (the credentials of this machine are for {self.settings.endpoint} alone)"
        return f"{self.source} ({self.who[3:]})" if self.credentials else "anonymous"

    def without_credentials(self, *, is_withheld: bool = False) -> "Ambient":
        """Return the same settings for unsigned requests."""
        return self._replace(credentials=None, is_withheld=is_withheld and self.credentials is not None)


def now_seconds() -> float:
    """Return the seconds since 1970."""
    return now_ns() / 1e9


class AmbientCache:
    """The identity of this machine, kept for as long as it is valid. All event loops of the process share it.

    `read` returns it; one thread at a time asks.
    """

    def __init__(self, read: Callable[[], Ambient], now: Callable[[], float] = now_seconds) -> None:
        self._read, self._now = read, now
        self._lock = threading.Lock()
        self._found: Ambient | None = None
        self._seen: Fingerprint = ()
        self._since = self._renew_at = -math.inf
        self._looking: tuple[Fingerprint, Future[Ambient]] | None = None

    async def current(self) -> Ambient:
        """Return the identity. Raises StorageFailure where credentials are configured and cannot be had."""
        seen, now = fingerprint(), self._now()
        found = self._found
        if found is None or self._seen != seen or now >= found.expires:
            return await asyncio.wrap_future(self._look(seen))
        if now >= self._renew_at:
            self._look(seen)
        return found

    async def renewed(self, refused: Any) -> Ambient:
        """Return the identity after a server said that these credentials have ended. Asks at most once a minute."""
        found = await self.current()
        if found.credentials != refused or self._now() < self._since + _AGAIN_SECONDS:
            return found
        return await asyncio.wrap_future(self._look(fingerprint()))

    def _look(self, seen: Fingerprint) -> "Future[Ambient]":
        """Begin to ask, unless somebody does. The thread is a daemon: a program that never answers keeps no process."""
        with self._lock:
            if self._looking is None or self._looking[0] != seen:
                future: Future[Ambient] = Future()
                future.set_running_or_notify_cancel()
                self._looking = (seen, future)
                threading.Thread(target=self._ask, args=(seen, future), name="aws-credentials", daemon=True).start()
            return self._looking[1]

    def _ask(self, seen: Fingerprint, future: "Future[Ambient]") -> None:
        found: Ambient | StorageFailure = StorageFailure("s3: the search for AWS credentials broke off", component="S3")
        try:
            found = self._read()
        except StorageFailure as e:
            found = e
        finally:
            self._keep(seen, found)
            if isinstance(found, Ambient):
                future.set_result(found)
            else:
                future.set_exception(found)

    def _keep(self, seen: Fingerprint, found: Ambient | StorageFailure) -> None:
        with self._lock:
            if self._looking is None or self._looking[0] != seen:
                return  # the configuration has changed meanwhile, and another thread reads the new one
            self._looking, now = None, self._now()
            if isinstance(found, Ambient):
                self._found, self._seen, self._since, self._renew_at = found, seen, now, _renewal(found, now)
            elif self._found and self._seen == seen and now < self._found.expires:
                left = self._found.expires - now
                self._renew_at = now + min(_AGAIN_SECONDS, left / 4)
                log.warning("%s; those at hand are valid for %.0f s more", found.message, left)


def _renewal(found: Ambient, now: float) -> float:
    """Return when the next look is due. Credentials without an end are looked at again when their files change."""
    if found.credentials is None:
        return now + _AGAIN_SECONDS
    return found.expires - min(_AHEAD_SECONDS, (found.expires - now) / 4) if found.expires < math.inf else math.inf


def read_ambient() -> Ambient:
    """Read the identity; blocks for files, programs and perhaps the network.

    Raises StorageFailure where credentials are configured and cannot be had.
    """
    with explained():
        session = new_session()
        settings = settings_of(session)
        credentials = _credentials(session)
        if credentials is None:
            return Ambient(None, settings)
        # Renewal is this module's: botocore would ask a second time for credentials that live less than 15 minutes.
        credentials._advisory_refresh_timeout = credentials._mandatory_refresh_timeout = 0
        frozen = credentials.get_frozen_credentials()
        expires = getattr(credentials, "_expiry_time", None)
        source = _name_source(session, credentials.method)
        return Ambient(frozen, settings, expires.timestamp() if expires else math.inf, source=source)


def _name_source(session: Any, method: str | None) -> str:
    """Name the place where botocore found credentials."""
    if method in _PLACES:
        return _PLACES[method]
    role = session.get_scoped_config().get("role_arn") or os.environ.get("AWS_ROLE_ARN")
    if role and (method or "").startswith("assume-role"):
        return f"role {role}"
    return f"profile {session.profile or 'default'}"


AMBIENT = AmbientCache(read_ambient)


def _credentials(session: Any) -> Any:
    """Load the credentials of the chain. The machine's metadata service comes last and is asked only if something
    listens at its address: elsewhere each look would cost two seconds.
    """
    chain = session.get_component("credential_provider")
    if not any(map(session.get_config_variable, _METADATA_SETTINGS)) and not _has_metadata_service():
        chain.remove("iam-role")
    return chain.load_credentials()


def _has_metadata_service() -> bool:
    if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true" or os.environ.get("AWS_ACCESS_KEY_ID"):
        return False
    try:
        socket.create_connection(_METADATA_ADDRESS, _METADATA_SECONDS).close()
    except OSError:
        return False
    return True
