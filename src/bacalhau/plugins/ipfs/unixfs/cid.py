"""Content identifiers as text and bytes, and the hashes behind them.

Everything here is pure; what a block means is left to `dagpb` and `dag`.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from bacalhau.lib.errors import BadRequest

RAW = 0x55
DAG_PB = 0x70
LARGEST_BLOCK = 4 << 20  # bytes

_IDENTITY = 0x00
_SHA2_256 = 0x12
_HASHES: dict[int, Callable[[bytes], bytes]] = {
    _IDENTITY: lambda block: block,
    _SHA2_256: lambda block: hashlib.sha256(block).digest(),
    0x13: lambda block: hashlib.sha512(block).digest(),
    0xB220: lambda block: hashlib.blake2b(block, digest_size=32).digest(),
}
_LONGEST_TEXT = 200
_REMEMBERED = 8192  # texts; each block of a batch that is published has its own read or written four times
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_VALUE = {letter: value for value, letter in enumerate(_BASE58)}


class Cid(NamedTuple):
    """`multihash` is the hash code, the digest's length and the digest.

    `str()` gives the text (`Qm…`, `b…`), `raw` the bytes.
    """

    version: int
    codec: int
    multihash: bytes

    @property
    def raw(self) -> bytes:
        return self.multihash if self.version == 0 else varint(1) + varint(self.codec) + self.multihash

    def __str__(self) -> str:
        return (
            to_base58(self.multihash)
            if self.version == 0
            else "b" + base64.b32encode(self.raw).decode().rstrip("=").lower()
        )

    @property
    def key(self) -> str:
        """One text for the two spellings of a SHA-256 dag-pb block (`Qm…` and `bafybei…`), which name the
        same bytes.
        """
        return str(
            Cid(0, DAG_PB, self.multihash) if self.codec == DAG_PB and self.multihash[:2] == b"\x12\x20" else self
        )

    @property
    def inline(self) -> bytes | None:
        """The block itself, where the CID carries it instead of a hash."""
        return self.multihash[read_varint(self.multihash, 1)[1] :] if self.multihash[0] == _IDENTITY else None

    def matches(self, block: bytes) -> bool:
        """Tell whether `block` hashes to this CID."""
        code, start = read_varint(self.multihash, 0)
        _, start = read_varint(self.multihash, start)
        return _HASHES[code](block) == self.multihash[start:]


def cid_of(block: bytes, codec: int, version: int) -> Cid:
    """The SHA-256 CID of a block."""
    return Cid(version, codec, b"\x12\x20" + hashlib.sha256(block).digest())


def parse_cid(text: str) -> Cid:
    """`Qm…`, or multibase `b` (base32), `z` (base58btc) or `f` (base16). Raises BadRequest saying what is wrong."""
    try:
        return _parse(text)
    except ValueError as e:
        shown = text if len(text) <= 80 else text[:77] + "..."
        raise BadRequest(
            f"CID '{shown}' is not valid: {e}", hint="A CID looks like Qm… (46 characters) or bafy…."
        ) from e


def parse_path(text: str) -> tuple[Cid, str]:
    """`CID`, `CID/sub/path`, also with `ipfs://` or `/ipfs/` in front → CID and path without outer slashes."""
    clean = text.strip().removeprefix("ipfs://").removeprefix("/ipfs/")
    root, _, path = clean.partition("/")
    return parse_cid(root), path.strip("/")


def read_cid(data: bytes, start: int = 0) -> tuple[Cid, int]:
    """The binary CID at `start` and where it ends. Raises ValueError."""
    if data[start : start + 2] == b"\x12\x20":
        end = start + 34
        if len(data) < end:
            raise ValueError("it is cut short")
        return Cid(0, DAG_PB, bytes(data[start:end])), end
    version, at = read_varint(data, start)
    if version != 1:
        raise ValueError(f"CID version {version} is not known")
    codec, at = read_varint(data, at)
    code, digest_at = read_varint(data, at)
    size, digest_at = read_varint(data, digest_at)
    if code not in _HASHES:
        raise ValueError(f"hash function 0x{code:x} is not supported")
    if len(data) < digest_at + size:
        raise ValueError("it is cut short")
    if code != _IDENTITY and size != len(_HASHES[code](b"")):
        raise ValueError(f"a digest of {size} bytes does not fit its hash function")
    return Cid(1, codec, bytes(data[at : digest_at + size])), digest_at + size


def varint(value: int) -> bytes:
    """Unsigned LEB128."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes, start: int) -> tuple[int, int]:
    """Value and end. Raises ValueError when it is cut short or longer than 10 bytes."""
    value = shift = 0
    for at in range(start, min(start + 10, len(data))):
        value |= (data[at] & 0x7F) << shift
        if data[at] < 0x80:
            return value, at + 1
        shift += 7
    raise ValueError("a number in it is cut short or too long")


@lru_cache(maxsize=_REMEMBERED)
def to_base58(data: bytes) -> str:
    number, letters = int.from_bytes(data, "big"), []
    while number:
        number, rest = divmod(number, 58)
        letters.append(_BASE58[rest])
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + "".join(reversed(letters))


def from_base58(text: str) -> bytes:
    """Decode base58. Raises ValueError naming the first foreign character."""
    number = 0
    for letter in text:
        if letter not in _BASE58_VALUE:
            raise ValueError(f"'{letter}' is not a base58 character")
        number = number * 58 + _BASE58_VALUE[letter]
    return b"\0" * (len(text) - len(text.lstrip("1"))) + number.to_bytes((number.bit_length() + 7) // 8, "big")


@lru_cache(maxsize=_REMEMBERED)
def _parse(text: str) -> Cid:
    if not text:
        raise ValueError("it is empty")
    if len(text) > _LONGEST_TEXT:
        raise ValueError(f"it has {len(text)} characters")
    data = from_base58(text) if text.startswith("Qm") else _from_multibase(text)
    if text.startswith("Qm") and (len(data) != 34 or data[:2] != b"\x12\x20"):
        raise ValueError(f"it has {len(text)} characters, version 0 has 46")
    cid, end = read_cid(data)
    if end != len(data):
        raise ValueError("something follows its digest")
    if cid.version == 0 and not text.startswith("Qm"):
        raise ValueError("version 0 is written without a multibase prefix")
    return cid


def _from_multibase(text: str) -> bytes:
    kind, body = text[0], text[1:]
    if kind == "z":
        return from_base58(body)
    if kind == "f":
        return bytes.fromhex(body)
    if kind != "b":
        raise ValueError(f"it begins with '{kind}'; known are Qm, b, z and f")
    if body != body.lower():
        raise ValueError("base32 is written in lower case")
    try:
        return base64.b32decode(body.upper() + "=" * (-len(body) % 8))
    except binascii.Error as e:
        raise ValueError("a character is not base32, or some are missing") from e
