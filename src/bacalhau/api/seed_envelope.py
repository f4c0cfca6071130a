"""The signed envelope of the older generation: whoever sends it holds the private key that the client's id comes from.

The signature is over the payload's bytes as they stand in the body, so they are cut out and never written anew.
"""

import base64
import binascii
import hashlib
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from bacalhau.api.request import parse_body
from bacalhau.lib.errors import BacalhauError, BadRequest
from bacalhau.lib.wire import Model, decode

MAX_KEY_BITS = 8192  # verifying takes longer with every bit; clients of that generation make keys of 2048
_UNSIGNED = "error verifying request signature: client's signature is invalid: "

T = TypeVar("T", bound=Model)


def open_envelope(body: bytes | str, kind: type[T]) -> T:
    """The payload of `{payload, signature, client_public_key}`. Raises BadRequest: unsigned, forged, or signed by another client."""
    parts = _parts(body)
    payload = bytes(parts.get("payload") or b"null")
    if payload == b"null":
        raise BadRequest("no payload contained in signed message")
    key = _public_key(_text(parts, "client_public_key"))
    _verify(key, _text(parts, "signature"), payload)
    opened = _payload(payload, kind)
    claimed = getattr(opened, "client_id", "")
    if not claimed:
        raise BadRequest("error validating request: payload must contain a client ID")
    if claimed != client_id_of(key):
        raise BadRequest("error validating request: client's public key does not match client ID")
    return opened


def client_id_of(key: RSAPublicKey) -> str:
    """The SHA-256 of the modulus, in hexadecimal."""
    modulus = key.public_numbers().n
    return hashlib.sha256(modulus.to_bytes((modulus.bit_length() + 7) // 8, "big")).hexdigest()


def _parts(body: bytes | str) -> dict[str, msgspec.Raw]:
    """The envelope's values as they were written, by lower-case key."""
    try:
        return {key.lower(): value for key, value in decode(body if body.strip() else "{}", dict[str, msgspec.Raw]).items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise BadRequest(f"error unmarshalling envelope: {e}") from e


def _text(parts: dict[str, msgspec.Raw], name: str) -> str:
    try:
        return decode(bytes(parts.get(name) or b'""'), str)
    except msgspec.DecodeError as e:
        raise BadRequest(f"error unmarshalling envelope: {name}: {e}") from e


def _public_key(text: str) -> RSAPublicKey:
    try:
        der = base64.b64decode(text, validate=True)
        if not der:
            raise BadRequest(f"{_UNSIGNED}failed to decode public key: asn1: syntax error: sequence truncated")
        key = load_der_public_key(der)
    except (binascii.Error, ValueError, UnsupportedAlgorithm) as e:
        raise BadRequest(f"{_UNSIGNED}failed to decode public key: client_public_key must be the base64 of an RSA key in DER form (PKCS #1): {e}") from e
    if not isinstance(key, RSAPublicKey) or key.key_size > MAX_KEY_BITS:
        raise BadRequest(f"{_UNSIGNED}client_public_key must be an RSA key of at most {MAX_KEY_BITS} bits")
    return key


def _verify(key: RSAPublicKey, signature: str, payload: bytes) -> None:
    try:
        key.verify(base64.b64decode(signature, validate=True), payload, PKCS1v15(), SHA256())
    except InvalidSignature as e:
        raise BadRequest(f"{_UNSIGNED}crypto/rsa: verification error", hint="sign the payload's bytes exactly as they are sent") from e
    except binascii.Error as e:
        raise BadRequest(f"{_UNSIGNED}failed to decode signature: {e}") from e


def _payload(payload: bytes, kind: type[T]) -> T:
    try:
        opened, _ = parse_body(payload, kind)
    except BacalhauError as e:
        raise BadRequest(f"error unmarshalling payload: {e.message}", hint=e.hint) from e
    return opened
