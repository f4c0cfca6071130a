"""Signatures of clients: RSA keys, PKCS #1 v1.5 over SHA-256, and the client's id that its key gives."""

import base64
import binascii
import hashlib

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

MAX_KEY_BITS = 8192  # verifying takes longer with every bit; clients make keys of 2048


def read_public_key(text: str) -> RSAPublicKey:
    """Read a public key from base64 of DER, PKCS #1 or PKIX. Raises ValueError saying what is wrong."""
    try:
        der = base64.b64decode(text, validate=True)
        key = load_der_public_key(der) if der else None
    except (binascii.Error, ValueError, UnsupportedAlgorithm) as e:
        raise ValueError(f"not the base64 of an RSA key in DER form: {e}") from e
    if key is None:
        raise ValueError("asn1: syntax error: sequence truncated")
    if not isinstance(key, RSAPublicKey) or key.key_size > MAX_KEY_BITS:
        raise ValueError(f"not an RSA key of at most {MAX_KEY_BITS} bits")
    return key


def is_signed(key: RSAPublicKey, signature: str, data: bytes) -> bool:
    """Return True if `signature` (base64) over `data` is by the owner of `key`. Raises ValueError for no base64."""
    try:
        key.verify(base64.b64decode(signature, validate=True), data, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    except binascii.Error as e:
        raise ValueError(f"the signature is no base64: {e}") from e
    return True


def client_id_of(key: RSAPublicKey) -> str:
    """The SHA-256 of the modulus, in hexadecimal."""
    modulus = key.public_numbers().n
    return hashlib.sha256(modulus.to_bytes((modulus.bit_length() + 7) // 8, "big")).hexdigest()
