"""Tokens of single sign-on and of challenges, by the URL of the API they are for, in the data directory."""

from pathlib import Path

import msgspec

from bacalhau.client.private_file import write_private
from bacalhau.lib.wire import decode

_FILE = "sso_tokens.json"


def get_token(data_dir: Path, url: str) -> str:
    """Read the token that is kept for this URL; "" when there is none."""
    return _read(data_dir).get(_key(url), "")


def put_token(data_dir: Path, url: str, token: str) -> None:
    """Keep a token; the empty text removes the one that is kept."""
    tokens = _read(data_dir) | {_key(url): token}
    data_dir.mkdir(parents=True, exist_ok=True)
    write_private(
        data_dir / _FILE, msgspec.json.encode({key: value for key, value in tokens.items() if value}).decode()
    )


def bearer(token: str) -> dict[str, str]:
    """Make the header that carries a token; no header for ""."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def _key(url: str) -> str:
    return url.rstrip("/").lower()


def _read(data_dir: Path) -> dict[str, str]:
    try:
        return decode((data_dir / _FILE).read_bytes(), dict[str, str])
    except (OSError, msgspec.DecodeError):
        return {}
