"""The API's certificate: the administrator's, or one made at start for those who only want the line encrypted."""

import datetime
import ipaddress
import os
import socket
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bacalhau.config.access import ApiTLS
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BadRequest

_DAYS = 365
_RENEW_DAYS = 30


def server_tls(settings: ApiTLS, folder: Path) -> ssl.SSLContext | None:
    """Load the TLS context of the API; None for plain HTTP.

    A self-signed certificate is kept in `folder`, so that clients may trust it. Raises BadRequest for unusable files.
    """
    if not settings.cert_file and not settings.self_signed:
        return None
    cert, key = Path(settings.cert_file), Path(settings.key_file)
    if not settings.cert_file:
        cert, key = _self_signed(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as e:
        raise BadRequest(
            f"API.TLS: cannot use certificate {cert} with key {key}: {e}",
            hint="set API.TLS.CertFile and API.TLS.KeyFile to PEM files that belong together",
        ) from e
    return context


def _self_signed(folder: Path) -> tuple[Path, Path]:
    cert, key = folder / "api.crt", folder / "api.key"
    if key.exists() and _is_good(cert):
        return cert, key
    folder.mkdir(parents=True, exist_ok=True)
    private = ec.generate_private_key(ec.SECP256R1())
    _write(key, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    _write(cert, _certificate(private).public_bytes(Encoding.PEM))
    return cert, key


def _is_good(cert: Path) -> bool:
    """Clients that trust it need not be told of another one yet."""
    try:
        made = x509.load_pem_x509_certificate(cert.read_bytes())
    except (OSError, ValueError):
        return False
    return made.not_valid_after_utc.timestamp() - now_ns() / 1e9 > _RENEW_DAYS * 86400


def _certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    host = socket.gethostname()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    now = datetime.datetime.fromtimestamp(now_ns() / 1e9, datetime.UTC)
    names = [
        x509.DNSName(host),
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    made = x509.CertificateBuilder(
        issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=x509.random_serial_number()
    )
    made = made.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(
        now + datetime.timedelta(days=_DAYS)
    )
    made = made.add_extension(x509.SubjectAlternativeName(names), critical=False).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    return made.sign(key, SHA256())


def _write(path: Path, text: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
