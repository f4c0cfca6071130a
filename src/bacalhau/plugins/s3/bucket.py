"""The address of a bucket and the URLs of its objects. Pure but for the environment's default endpoint."""

import os
import re
from typing import NamedTuple
from urllib.parse import quote

_HOST_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")  # dots would break the certificate of a virtual host


class BucketAddress(NamedTuple):
    """`endpoint` "" is AWS itself; `region` "" is whatever this machine is set to.

    `is_ours`: the endpoint is the administrator's choice and not a job's, so no rule of addresses holds for it.
    """

    bucket: str
    region: str = ""
    endpoint: str = ""
    is_ours: bool = False

    def url(self, key: str, query: tuple[tuple[str, str], ...], region: str) -> str:
        """The address of an object, or of the bucket for key ""; everything is escaped as the signature wants it."""
        if self.endpoint:
            base = f"{self.endpoint.rstrip('/')}/{self.bucket}"
        elif _HOST_NAME.fullmatch(self.bucket):
            base = f"https://{self.bucket}.{aws_host(region)}"
        else:
            base = f"https://{aws_host(region)}/{self.bucket}"
        # A host needs its slash even for the bucket, a path must not end in one.
        address = f"{base}/{quote(key, safe='/~')}" if key or base.count("/") == 2 else base
        joined = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(query))
        return f"{address}?{joined}" if joined else address

    @property
    def server(self) -> str:
        """The server as messages name it."""
        return self.endpoint or "AWS"


def find_bucket(bucket: str, region: str, endpoint: str) -> BucketAddress:
    """A bucket and its server as a job names them; the endpoint may come from the environment."""
    ours = os.environ.get("AWS_ENDPOINT_URL_S3", "") or os.environ.get("AWS_ENDPOINT_URL", "")
    return BucketAddress(bucket, region, endpoint or ours, is_ours=not endpoint)


def aws_host(region: str) -> str:
    return f"s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
