"""The cursor of a list: base64 of `SortBy:Y|N:Limit:Offset`, the original's form.

History counts by Offset. Lists of jobs and executions end their tokens with `:Key:ID` instead, the place of the last
item that was shown: what is added or removed before it moves nothing.
"""

import base64
import binascii
import re
from typing import NamedTuple

from bacalhau.lib.base64url import read_base64url
from bacalhau.lib.errors import BadRequest

_NUMBER = re.compile(r"[0-9]{1,10}")


class PagingToken(NamedTuple):
    """`key` and `id` are the place of the last item shown; `id` "" is the beginning."""

    sort_by: str = ""
    reverse: bool = False
    limit: int = 0
    offset: int = 0
    key: str = ""
    id: str = ""

    def encoded(self) -> str:
        text = f"{self.sort_by}:{'Y' if self.reverse else 'N'}:{self.limit}:{self.offset}"
        if self.id:
            text += f":{self.key}:{self.id}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_token(text: str) -> PagingToken:
    """Read a paging token. Raises BadRequest."""
    try:
        parts = read_base64url(text).decode("utf-8", "replace").split(":")
    except (binascii.Error, ValueError) as e:
        raise BadRequest(f"failed to decode paging token: invalid paging token: {text}", component="APIServer") from e
    if len(parts) not in (4, 6):
        raise BadRequest(f"invalid number of parts: invalid paging token: {text}", component="APIServer")
    if parts[1] not in ("Y", "N") or not all(_NUMBER.fullmatch(part) for part in parts[2:4]):
        raise BadRequest(f"malformed token: invalid paging token: {text}", component="APIServer")
    return PagingToken(parts[0], parts[1] == "Y", int(parts[2]), int(parts[3]), *parts[4:])
