"""A client of the older generation: a key, the id that comes from it, and envelopes as its SDK signs them."""

import base64
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HELLO = {
    "Engine": "Docker",
    "Docker": {"Image": "busybox", "Entrypoint": ["echo", "hello"]},
    "PublisherSpec": {"Type": "ipfs"},
    "Deal": {"Concurrency": 1},
}


class SeedClient:
    def __init__(self, bits: int = 2048) -> None:
        self._key = rsa.generate_private_key(65537, bits)
        modulus = self._key.public_key().public_numbers().n
        self.id = hashlib.sha256(modulus.to_bytes(bits // 8, "big")).hexdigest()
        self.public_key = base64.b64encode(
            self._key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
        ).decode()

    def sign(self, text: str) -> str:
        return base64.b64encode(self._key.sign(text.encode(), padding.PKCS1v15(), SHA256())).decode()

    def envelope(self, payload: dict, *, separators: tuple[str, str] = (", ", ": "), **other: str) -> str:
        """`other` replaces parts of the envelope, or the payload's text after it was signed."""
        text = json.dumps(payload, separators=separators)
        parts = {"client_public_key": self.public_key, "signature": self.sign(text), "payload": text} | other
        quoted = [f'"{name}": {value if name == "payload" else json.dumps(value)}' for name, value in parts.items()]
        return "{" + ", ".join(quoted) + "}"

    def forged(self, payload: dict) -> str:
        """Without the private key: under exponent 1 a signature is the padded hash itself."""
        text = json.dumps(payload)
        digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(text.encode()).digest()
        padded = b"\x00\x01" + b"\xff" * (256 - 3 - len(digest)) + b"\x00" + digest
        modulus = base64.b64decode(self.public_key)[4:-5]
        key = b"\x30\x82" + (len(modulus) + 3).to_bytes(2, "big") + modulus + b"\x02\x01\x01"
        parts = {
            "payload": payload,
            "signature": base64.b64encode(padded).decode(),
            "client_public_key": base64.b64encode(key).decode(),
        }
        return json.dumps(parts)

    def submission(self, spec: dict, **more: str) -> str:
        return self.envelope({"APIVersion": "V1beta1", "ClientID": self.id, "Spec": spec} | more)

    def cancellation(self, job_id: str, **more: str) -> str:
        return self.envelope({"ClientID": self.id, "JobID": job_id} | more)
