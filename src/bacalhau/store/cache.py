"""The books of a node's cache on SQLite, in a file beside the cache itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bacalhau.lib.wire import encode
from bacalhau.ports.cache import Kept
from bacalhau.store.database import Housed
from bacalhau.store.statement import Statement

COMPONENT = "InputCache"
_LAST = "\U0010ffff"
_AT_ONCE = 5_000  # rows of one statement


class SqliteCacheBooks(Housed):
    """Implements `ports.cache.CacheBooks` in the database file `path`. Opening raises Conflict or Unavailable."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "cache", COMPONENT)

    async def put(self, kept: Sequence[Kept], boot: str) -> None:
        await self._database.apply(
            tuple(
                Statement("cache_put", {"rows": _json(kept[at : at + _AT_ONCE]), "boot": boot})
                for at in range(0, len(kept), _AT_ONCE)
            )
        )

    async def touch(self, digests: Sequence[str], now: int) -> None:
        await self._change("cache_touch", digests, now=now)

    async def drop(self, digests: Sequence[str]) -> None:
        await self._change("cache_drop", digests)

    async def _change(self, name: str, digests: Sequence[str], **more: int) -> None:
        parts = (digests[at : at + _AT_ONCE] for at in range(0, len(digests), _AT_ONCE))
        await self._database.apply(tuple(Statement(name, {"digests": _json(part), **more}) for part in parts))

    async def find_hashes(self, digests: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for at in range(0, len(digests), _AT_ONCE):
            params = {"digests": _json(digests[at : at + _AT_ONCE])}
            found |= await self._database.read("cache_find_hashes", params, _read_hashes, "lists")
        return found

    async def put_hashes(self, hashes: Mapping[str, bytes]) -> None:
        rows = {digest: made.hex() for digest, made in hashes.items()}
        await self._database.apply((Statement("cache_put_hashes", {"hashes": encode(rows).decode()}),))

    async def settle(self) -> None:
        await self._database.apply((Statement("cache_settle", {}),))

    async def drop_unsettled(self, boot: str) -> None:
        await self._database.apply((Statement("cache_drop_unsettled", {"boot": boot}),))

    async def has_unsettled(self) -> bool:
        return await self._database.read("cache_has_unsettled", {}, lambda rows: bool(rows[0][0]))

    async def list_oldest(self, after: Kept | None, limit: int) -> list[Kept]:
        place = {"used": after.used, "digest": after.digest} if after else {"used": -1, "digest": ""}
        return await self._database.read(
            "cache_list_oldest", {**place, "limit": limit}, lambda rows: [Kept(*row) for row in rows], "lists"
        )

    async def list_sizes(self) -> dict[str, int]:
        return await self._database.read("cache_list_sizes", {}, dict, "lists")

    async def measure(self, beginning: str) -> int:
        params = {"beginning": beginning, "end": beginning + _LAST}
        return await self._database.read("cache_measure", params, lambda rows: int(rows[0][0]), "lists")


def _read_hashes(rows: Sequence[Sequence[str]]) -> dict[str, bytes]:
    return {digest: bytes.fromhex(text) for digest, text in rows}


def _json(values: Sequence[object]) -> str:
    return encode(values).decode()
