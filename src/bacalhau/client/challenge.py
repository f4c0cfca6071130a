"""Introducing this client to a server that refuses strangers: it signs a phrase with its own key, and gets a token
for it.

Servers of the original want this where they have an access policy. Loaded by who was refused, for it needs
cryptography.
"""

import base64
import re
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from bacalhau.client.private_file import put_first
from bacalhau.lib.errors import BadRequest, Unauthorized
from bacalhau.lib.wire import encode
from bacalhau.models.wire.introduction import (
    CHALLENGE,
    PHRASE,
    IntroduceRequest,
    IntroduceResponse,
    ListMethodsResponse,
    Signed,
)

KEY_FILE = "user_id.pem"  # as the original names it: one folder serves both
_PHRASE = re.compile(rb"[A-Za-z0-9._:@-]{1,256}")  # an id of a node, and nothing that is read as a request
_BITS, _EXPONENT = 2048, 65537


def introduce(offered: ListMethodsResponse, home: Path) -> IntroduceRequest | None:
    """Sign the phrase of the server; None where the server offers no method that this client knows.

    Raises Unauthorized where it wants what this client has not, BadRequest for a broken key.
    """
    methods = offered.methods or {}
    for name, method in methods.items():
        if method.type == CHALLENGE:
            return IntroduceRequest(
                name=name, method_data=_base64(_signed(str((method.params or {}).get(PHRASE, "")), home / KEY_FILE))
            )
    if methods:
        wanted = ", ".join(f"{name} ({method.type})" for name, method in sorted(methods.items()))
        raise Unauthorized(
            f"the server lets people in by {wanted}, which this client cannot do",
            hint="set BACALHAU_API_TOKEN to a token that another client got",
        )
    return None


def token_of(answer: IntroduceResponse) -> str:
    """Return the token. Raises Unauthorized when there is none."""
    found = answer.authentication
    if not found.token:
        raise Unauthorized(
            f"the server does not accept this client: {found.reason or 'it gave no token'}",
            hint="ask its administrator",
        )
    return found.token


def _signed(phrase: str, path: Path) -> bytes:
    """Sign a phrase. Raises Unauthorized for one that is no base64, or that could be more than a phrase.

    The older generation's requests are JSON that the same key signs: who gets one signed acts under this client's name.
    """
    key = _read_key(path)
    try:
        plain = base64.b64decode(phrase, validate=True)
        if not _PHRASE.fullmatch(plain):
            raise Unauthorized(
                "the server wants what is no phrase signed: a phrase has up to 256 letters, digits and . _ : @ -",
                hint="do not use this server, or tell its administrator",
            )
        signature = key.sign(plain, PKCS1v15(), SHA256())
    except ValueError as e:
        raise Unauthorized(
            f'the server wants "{phrase}" signed, which is no base64: {e}', hint="tell its administrator"
        ) from e
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return encode(Signed(phrase_signature=_base64(signature), public_key=_base64(public)))


def _read_key(path: Path) -> RSAPrivateKey:
    """Read this client's own key, which is made on first use."""
    try:
        if not path.exists():
            made = generate_private_key(_EXPONENT, _BITS)
            put_first(path, made.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode())
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise _bad_key(path, e) from e
    if not isinstance(key, RSAPrivateKey):
        raise _bad_key(path, "it is no RSA key")
    return key


def _bad_key(path: Path, reason: object) -> BadRequest:
    return BadRequest(
        f"cannot use this client's key {path}: {reason}",
        hint="it must be an RSA key in PEM form without a password; when the file is away a new one is made",
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
