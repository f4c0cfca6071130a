"""A Kubo node by its RPC interface: one place for its addresses, its calls and its errors."""

import asyncio
import os
import re
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus
from uuid import uuid4

import aiohttp

from bacalhau.border.bodies import PAGE, SMALL, read_body
from bacalhau.border.connect import open_session
from bacalhau.border.sending import sending
from bacalhau.lib.aio import read_up_to
from bacalhau.lib.errors import BacalhauError, BadRequest, NotFound, StorageFailure, Unavailable
from bacalhau.lib.hashing import Listener, hashed
from bacalhau.lib.network import network_fault
from bacalhau.lib.tree import walk
from bacalhau.lib.wire import decode
from bacalhau.plugins.ipfs.unixfs.build import not_storable
from bacalhau.plugins.ipfs.unixfs.cid import LARGEST_BLOCK

_PIECE = 1 << 20
_ADD = (
    "add?hash=sha2-256&chunker=size-262144&cid-version=0&raw-leaves=false&inline=false&nocopy=false&fscache=false"
    "&only-hash=false&pin=true&silent=false&progress=false"
)
_MULTIADDR = re.compile(r"^/(ip4|ip6|dns|dns4|dns6)/([^/]+)/tcp/(\d+)(?:/(http|https))?/?$")
_ROOT = "result"
_WORD_SECONDS = 5.0


def rpc_url(endpoint: str) -> str:
    """`http://host:5001` or `/ip4/127.0.0.1/tcp/5001` → URL without a slash at its end. BadRequest for
    anything else.
    """
    if endpoint.startswith(("http://", "https://")):
        return endpoint.rstrip("/")
    match = _MULTIADDR.match(endpoint)
    if not match:
        raise BadRequest(
            f"IPFS endpoint '{endpoint}' is neither a URL nor a multiaddress",
            hint="Write it like /ip4/127.0.0.1/tcp/5001.",
        )
    host = f"[{match[2]}]" if match[1] == "ip6" else match[2]
    return f"{match[4] or 'http'}://{host}:{match[3]}"


class Kubo:
    """Open it with `async with Kubo.open(endpoint)`. Also a source of blocks, by `get`."""

    def __init__(self, url: str, session: aiohttp.ClientSession, patience: float) -> None:
        self._url = url
        self._session = session
        self._patience = patience

    @classmethod
    @asynccontextmanager
    async def open(cls, endpoint: str, patience: float = 120.0) -> AsyncIterator["Kubo"]:
        """`patience`: seconds of silence that a call bears."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=patience)
        url = rpc_url(endpoint)
        async with open_session(server=url, timeout=timeout, auto_decompress=False) as session:
            yield cls(url, session, patience)

    async def identify(self) -> str:
        """The node's peer id; Unavailable when nobody answers."""
        async with self._call("id") as response:
            answer = await read_body(response.content.iter_any(), SMALL, f"Kubo at {self._url}")
            return str(decode(answer, dict[str, Any]).get("ID", ""))

    async def get(self, cid: str) -> bytes:
        """Read one block, unverified; from the node's peers if it has to, which is waited for as long as silence is
        borne. Raises NotFound where the node has it not and asks nobody.
        """
        async with self._call(f"block/get?arg={cid}") as response:
            return await read_up_to(LARGEST_BLOCK + 1, response.content.iter_any())

    async def is_cut_off(self) -> bool:
        """Tell whether the node is connected to no other one, or does not say so within 5 s."""
        try:
            async with asyncio.timeout(_WORD_SECONDS), self._call("swarm/peers") as response:
                answer = await read_body(response.content.iter_any(), PAGE, f"Kubo at {self._url}")
                return not decode(answer, dict[str, Any]).get("Peers")
        except (TimeoutError, BacalhauError):
            return True

    async def holds(self, cid: str) -> bool:
        """Tell whether the node has the block itself."""
        try:
            async with self._call(f"block/stat?arg={cid}&offline=true"):
                return True
        except NotFound:
            return False

    async def add(self, folder: Path, tell: Listener | None = None) -> str:
        """Add and pin a tree, hidden files and empty directories too; the CID of its root.

        `tell` is told of each file.
        """
        boundary = uuid4().hex
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        root = ""
        async with self._call(_ADD, data=_multipart(folder, boundary, tell), headers=headers) as response:
            async for line in response.content:
                event = decode(line, dict[str, Any]) if line.strip() else {}
                if event.get("Type") == "error":
                    raise StorageFailure(f"Kubo could not add the tree: {event.get('Message', '')}", retryable=True)
                root = event["Hash"] if event.get("Name") == _ROOT and "Hash" in event else root
        if not root:
            raise StorageFailure("Kubo ended its answer before it named the root of the tree", retryable=True)
        return root

    @asynccontextmanager
    async def _call(
        self, call: str, data: AsyncIterator[bytes] | None = None, headers: dict[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Kubo's one translation of errors."""
        try:
            async with AsyncExitStack() as stack:
                body = await stack.enter_async_context(sending(data, self._patience)) if data else None
                post = self._session.post(f"{self._url}/api/v0/{call}", data=body, headers=headers)
                response = await stack.enter_async_context(post)
                if response.status != 200:
                    raise _refusal(
                        call,
                        response.status,
                        (await read_up_to(4096, response.content.iter_any())).decode(errors="replace"),
                    )
                yield response
        except TimeoutError as e:
            raise Unavailable(
                f"Kubo at {self._url} was silent for {self._patience:g} s ({call.partition('?')[0]})"
            ) from e
        except aiohttp.ClientError as e:
            raise Unavailable(
                f"Kubo at {self._url} cannot be reached: {network_fault(e)}",
                hint="Is the daemon up, and the endpoint its RPC address?",
            ) from e
        except ValueError as e:
            raise Unavailable(f"Kubo at {self._url} gave an answer that is not Kubo's: {e}") from e


def _refusal(call: str, status: int, body: str) -> BacalhauError:
    """Kubo explains itself in JSON; what is plain text comes from its guard, a proxy, or something else at that
    address.
    """
    name = call.partition("?")[0]
    try:
        message = str(decode(body, dict[str, Any])["Message"])
    except (ValueError, KeyError, TypeError):
        hint = "Is the endpoint Kubo's RPC address, and does its configuration allow this client?"
        return Unavailable(
            f"Kubo's call {name} was refused: {body.strip() or status}", hint=hint, retryable=status >= 500
        )
    if re.search(r"not found|could not find|no link named|deadline exceeded|timeout", message, re.IGNORECASE):
        return NotFound(f"Kubo cannot find it: {message}")
    return StorageFailure(f"Kubo's call {name} failed: {message}", retryable=status >= 500)


async def _multipart(folder: Path, boundary: str, tell: Listener | None) -> AsyncIterator[bytes]:
    """The tree as Kubo reads it: one part an entry, parents before children, names as paths below the root's name."""
    pieces = _parts(folder, boundary, tell)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
    yield f"--{boundary}--\r\n".encode()


def _parts(folder: Path, boundary: str, tell: Listener | None) -> Iterator[bytes]:
    yield from _part(folder, "", os.lstat(folder).st_mode, boundary, tell)
    for name, status in walk(folder):
        yield from _part(folder, name, status.st_mode, boundary, tell)


def _part(folder: Path, below: str, mode: int, boundary: str, tell: Listener | None) -> Iterator[bytes]:
    path, name = folder / below, f"{_ROOT}/{below}" if below else _ROOT
    if stat.S_ISLNK(mode):
        yield _head(name, "application/symlink", boundary) + os.fsencode(os.readlink(path)) + b"\r\n"
    elif stat.S_ISDIR(mode):
        yield _head(name, "application/x-directory", boundary) + b"\r\n"
    elif stat.S_ISREG(mode):
        yield _head(name, "application/octet-stream", boundary)
        yield from hashed(_content(path), below, tell)
        yield b"\r\n"
    else:
        raise not_storable(str(path))


def _content(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _head(name: str, kind: str, boundary: str) -> bytes:
    quoted = quote_plus(os.fsencode(name), safe="")
    return (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\nContent-Type:'
        f" {kind}\r\n\r\n".encode()
    )
