"""The address of a bucket and the URLs of its objects. Pure."""

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from bacalhau.plugins.s3.settings import Settings

_HOST_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")  # dots would break the certificate of a virtual host
_DOMAINS = {"cn-": "amazonaws.com.cn", "eusc-": "amazonaws.eu"}  # by the beginning of the region
_PORTS = {"http": 80, "https": 443}


class BucketAddress(NamedTuple):
    """`endpoint` "" is AWS itself; `region` "" is whatever this machine is set to.

    `is_ours`: the endpoint is the administrator's choice and not a job's, so no rule of addresses holds for it.
    `is_paying`: requests are paid by whoever asks. `settings` say how the hosts of AWS, and of our endpoint, are
    addressed.
    """

    bucket: str
    region: str = ""
    endpoint: str = ""
    is_ours: bool = False
    is_paying: bool = False
    settings: Settings = Settings()

    def url(self, key: str, query: tuple[tuple[str, str], ...], region: str) -> str:
        """The address of an object, or of the bucket for key ""; everything is escaped as the signature wants it."""
        base = self._base(region)
        # A host needs its slash even for the bucket, a path must not end in one.
        address = f"{base}/{quote(key, safe='/~')}" if key or base.count("/") == 2 else base
        joined = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(query))
        return f"{address}?{joined}" if joined else address

    def _base(self, region: str) -> str:
        """Return the URL of the bucket without a slash at its end, the bucket in the host or in the path."""
        server = (self.endpoint or f"https://{aws_host(region, self.settings)}").rstrip("/")
        if not self._is_host(server):
            return f"{server}/{self.bucket}"
        scheme, host = server.split("://", 1)
        return f"{scheme}://{self.bucket}.{host}"

    def _is_host(self, server: str) -> bool:
        """Tell whether the bucket is a part of the host, which is not known of a job's endpoint."""
        if not _HOST_NAME.fullmatch(self.bucket):
            return False
        if not self.endpoint:
            return self.settings.style != "path"
        return self.is_ours and self.settings.style == "virtual" and not _is_literal(server)

    def takes(self, settings: Settings) -> bool:
        """Tell whether the credentials of a machine with these settings are for this server: where the configuration
        names an endpoint, they are for that alone.
        """
        return self.is_ours or not settings.endpoint

    @property
    def server(self) -> str:
        """The server as messages name it."""
        return self.endpoint or "AWS"


def find_bucket(
    settings: Settings, bucket: str, region: str, endpoint: str, *, is_paying: bool = False
) -> BucketAddress:
    """Find a bucket and its server as a job names them; the endpoint may come from the configuration."""
    is_ours = not endpoint or (bool(settings.endpoint) and _same_server(endpoint, settings.endpoint))
    return BucketAddress(bucket, region, endpoint or settings.endpoint, is_ours, is_paying, settings)


def _same_server(one: str, other: str) -> bool:
    return _server_of(one) == _server_of(other)


def _server_of(endpoint: str) -> tuple[str, str, int | None, str]:
    parts = urlsplit(endpoint)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme), parts.path.rstrip("/")


def _is_literal(server: str) -> bool:
    try:
        ipaddress.ip_address(urlsplit(server).hostname or "")
    except ValueError:
        return False
    return True


def aws_host(region: str, settings: Settings) -> str:
    """Return the host of a region, by its FIPS endpoint or that for IPv6 where the settings ask for it."""
    domain = next((each for start, each in _DOMAINS.items() if region.startswith(start)), "amazonaws.com")
    return f"s3{'-fips' * settings.is_fips}{'.dualstack' * settings.is_dualstack}.{region}.{domain}"
