"""The signed envelope of the older generation: whoever sends it holds the private key that the client's id comes from.

The signature is over the payload's bytes as they stand in the body, so they are cut out and never written anew.
"""

from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from bacalhau.api.access.signature import client_id_of, is_signed, read_public_key
from bacalhau.api.http.request import Ask, parse_body, parse_request
from bacalhau.lib.errors import BacalhauError, BadRequest
from bacalhau.lib.wire import Model, decode

_UNSIGNED = "error verifying request signature: client's signature is invalid: "

T = TypeVar("T", bound=Model)


async def read_envelope(request: Ask, kind: type[T]) -> T:
    """Read a request's body and open the signed envelope in it."""
    return await parse_request(request, lambda text: open_envelope(text, kind))


def open_envelope(body: bytes | str, kind: type[T]) -> T:
    """The payload of `{payload, signature, client_public_key}`.

    Raises BadRequest: unsigned, forged, or signed by another client.
    """
    parts = _parts(body)
    payload = bytes(parts.get("payload") or b"null")
    if payload == b"null":
        raise BadRequest("no payload contained in signed message")
    key = _verified_key(_text(parts, "client_public_key"), _text(parts, "signature"), payload)
    opened = _payload(payload, kind)
    claimed = getattr(opened, "client_id", "")
    if not claimed:
        raise BadRequest("error validating request: payload must contain a client ID")
    if claimed != client_id_of(key):
        raise BadRequest("error validating request: client's public key does not match client ID")
    return opened


def _parts(body: bytes | str) -> dict[str, msgspec.Raw]:
    """The envelope's values as they were written, by lower-case key."""
    try:
        return {
            key.lower(): value for key, value in decode(body if body.strip() else "{}", dict[str, msgspec.Raw]).items()
        }
    except msgspec.DecodeError as e:
        raise BadRequest(f"error unmarshalling envelope: {e}") from e


def _text(parts: dict[str, msgspec.Raw], name: str) -> str:
    try:
        return decode(bytes(parts.get(name) or b'""'), str)
    except msgspec.DecodeError as e:
        raise BadRequest(f"error unmarshalling envelope: {name}: {e}") from e


def _verified_key(text: str, signature: str, payload: bytes) -> RSAPublicKey:
    try:
        key = read_public_key(text)
    except ValueError as e:
        raise BadRequest(f"{_UNSIGNED}failed to decode public key: {e}") from e
    try:
        good = is_signed(key, signature, payload)
    except ValueError as e:
        raise BadRequest(f"{_UNSIGNED}failed to decode signature: {e}") from e
    if not good:
        raise BadRequest(
            f"{_UNSIGNED}crypto/rsa: verification error", hint="sign the payload's bytes exactly as they are sent"
        )
    return key


def _payload(payload: bytes, kind: type[T]) -> T:
    try:
        opened, _ = parse_body(payload, kind)
    except BacalhauError as e:
        raise BadRequest(f"error unmarshalling payload: {e.message}", hint=e.hint) from e
    return opened
