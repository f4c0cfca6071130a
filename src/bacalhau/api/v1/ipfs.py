"""The IPFS gateway: published results over plain HTTP, as files and folders for people, as CARs and raw blocks for
verifiers.

What the bytes are is `plugins.ipfs.gateway`'s; here are formats, ranges and headers. All content is immutable: its name
is its hash.
"""

import html
import mimetypes
import re
from collections.abc import AsyncIterator
from typing import Literal, NamedTuple
from urllib.parse import quote

import msgspec
from litestar import Response, route
from litestar.params import FromPath
from litestar.response import Stream
from litestar.types import ControllerRouterHandler

from bacalhau.api.http.answer import JSON, go_json
from bacalhau.api.http.request import Ask, named, orchestrator
from bacalhau.api.v1.query import Query, read_query
from bacalhau.lib.wire import Model, always
from bacalhau.plugins.ipfs import gateway
from bacalhau.plugins.ipfs.gateway import Found
from bacalhau.ports.content import ContentStore

# Media type, ending of a saved file and mark in the ETag of the formats that are not the content itself.
_FORMATS = {
    "car": ("application/vnd.ipld.car; version=1", "car", "car"),
    "raw": ("application/vnd.ipld.raw", "bin", "raw"),
    "tar": ("application/x-tar", "tar", "x-tar"),
}
_ACCEPTED = {"application/vnd.ipld.car": "car", "application/vnd.ipld.raw": "raw", "application/x-tar": "tar"}
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class ReadContent(Query, frozen=True, kw_only=True):
    """The gateway specification's parameters, as far as UnixFS needs them."""

    format: Literal["car", "raw", "tar"] | None = None
    dag_scope: Literal["all", "entity", "block"] = msgspec.field(default="all", name="dag-scope")
    entity_bytes: str = msgspec.field(default="0:*", name="entity-bytes")


class FolderEntry(Model):
    """`size` in bytes of all blocks below it."""

    name: str = always(factory=str)
    cid: str = always(factory=str)
    size: int = always(factory=int)


class Folder(Model):
    path: str = always(factory=str)
    entries: tuple[FolderEntry, ...] = always(factory=tuple)


class _Wanted(NamedTuple):
    """`path` is the address below the host, as the client gave it."""

    content: ContentStore
    found: Found
    path: str
    request: Ask

    @property
    def head_only(self) -> bool:
        return self.request.method == "HEAD"


@route("/ipfs/{cid:str}", http_method=["GET", "HEAD"], include_in_schema=False)
async def read_root(request: Ask, cid: FromPath[str]) -> Response[bytes] | Stream:
    return await _read(request, named(cid), "")


@route("/ipfs/{cid:str}/{path:path}", http_method=["GET", "HEAD"], include_in_schema=False)
async def read_path(request: Ask, cid: FromPath[str], path: FromPath[str]) -> Response[bytes] | Stream:
    return await _read(request, named(cid), named(path).strip("/"))


async def _read(request: Ask, cid: str, path: str) -> Response[bytes] | Stream:
    query = read_query(request.scope["query_string"], ReadContent)
    content = orchestrator(request).content
    found = await gateway.resolve_path(content, cid, path)
    wanted = _Wanted(content, found, f"/ipfs/{cid}/{path}".rstrip("/"), request)
    chosen = query.format or _accepted(request.headers.get("accept", ""))
    mark = f"{found.cid}.{_FORMATS[chosen][2]}" if chosen else found.cid
    tag = _tag(mark, query) if chosen == "car" else f'"{mark}"'
    if tag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers={"ETag": tag})
    headers = {
        "ETag": tag,
        "Cache-Control": "public, max-age=29030400, immutable",
        "X-Ipfs-Path": quote(wanted.path),
        "X-Ipfs-Roots": found.cid,
    }
    if chosen:
        return await _formatted(wanted, query, chosen, headers)
    if found.kind == "directory":
        return await _folder(wanted, {"X-Ipfs-Path": headers["X-Ipfs-Path"], "Cache-Control": "no-cache"})
    return _file(wanted, headers)


def _accepted(accept: str) -> str:
    named_types = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return next((_ACCEPTED[kind] for kind in named_types if kind in _ACCEPTED), "")


def _tag(mark: str, query: ReadContent) -> str:
    # A CAR of the same root differs by what was asked for, and its order is not promised: weak.
    return f'W/"{mark}.{query.dag_scope}.{query.entity_bytes.replace(":", "-").replace("*", "")}"'


async def _formatted(
    wanted: _Wanted, query: ReadContent, chosen: str, headers: dict[str, str]
) -> Response[bytes] | Stream:
    media_type, ending, _ = _FORMATS[chosen]
    content, found = wanted.content, wanted.found
    headers |= {
        "Content-Disposition": f'attachment; filename="{found.cid}.{ending}"',
        "X-Content-Type-Options": "nosniff",
    }
    if chosen == "raw":
        return Response(await gateway.raw_block(content, found.cid), media_type=media_type, headers=headers)
    if chosen == "tar":
        return _stream(wanted, gateway.stream_tar(content, found.cid), media_type, headers)
    begin, end = gateway.entity_bytes(query.entity_bytes, found.size)
    return _stream(
        wanted, gateway.stream_car(content, found.cid, query.dag_scope, begin, end, found.trail), media_type, headers
    )


def _stream(
    wanted: _Wanted, chunks: AsyncIterator[bytes], media_type: str, headers: dict[str, str], status: int = 200
) -> Stream:
    return Stream(iter(()) if wanted.head_only else chunks, media_type=media_type, headers=headers, status_code=status)


def _file(wanted: _Wanted, headers: dict[str, str]) -> Response[bytes] | Stream:
    size = wanted.found.size
    # What a job wrote must not act as a page of this server.
    headers |= {"Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
    media_type = mimetypes.guess_type(wanted.path)[0] or "application/octet-stream"
    span = _span(wanted.request.headers.get("range", ""), size)
    if span is None:
        begin, end, status = 0, size, 200
    else:
        begin, end = span
        status = 206
        if begin >= end:
            return Response(b"", status_code=416, headers={"Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - begin)
    return _stream(
        wanted, gateway.stream_file(wanted.content, wanted.found.cid, begin, end), media_type, headers, status
    )


def _span(text: str, size: int) -> tuple[int, int] | None:
    """[begin, end) of one range, empty when there is nothing in it; None for no range, and for several, which need not
    be served.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    begin, end = int(match[1]), int(match[2]) + 1 if match[2] else size
    return None if end <= begin < size else (begin, min(end, size))


async def _folder(wanted: _Wanted, headers: dict[str, str]) -> Response[bytes]:
    listed = await gateway.list_directory(wanted.content, wanted.found.cid)
    if "text/html" in wanted.request.headers.get("accept", ""):
        return Response(_page(wanted.path, listed), media_type="text/html; charset=utf-8", headers=headers)
    entries = tuple(FolderEntry(name=e.name, cid=e.cid, size=e.size) for e in listed)
    return Response(go_json(Folder(path=wanted.path, entries=entries)), media_type=JSON, headers=headers)


def _page(path: str, listed: list[gateway.Listed]) -> bytes:
    title = html.escape(path)
    rows = "".join(
        f'<li><a href="{html.escape(quote(f"{path}/{e.name}"))}">{html.escape(e.name)}</a> {e.size}</li>'
        for e in listed
    )
    return f"<!doctype html><meta charset=utf-8><title>{title}</title><h1>{title}</h1><ul>{rows}</ul>\n".encode()


GATEWAY_ROUTES: list[ControllerRouterHandler] = [read_root, read_path]
