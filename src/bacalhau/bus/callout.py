"""The orchestrator decides which nodes may connect: the server asks it for each one, over NATS' auth callout.

Our nodes show user = their id and password = `<secret>~<life>.<token>`, where each process has a life of its own; nodes
of other makes show their id as connection name and perhaps a token. The answer is a signed user token with permissions
for that node's own subjects. Whether secret and token are right is left to the `Authorize` that is handed in.
"""

import base64
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
import nkeys
from nats.aio.msg import Msg

from bacalhau.bus.answer import say
from bacalhau.bus.link import Link
from bacalhau.bus.subject import check_node_id, permissions
from bacalhau.lib.aio import Crew
from bacalhau.lib.base64url import read_base64url
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BacalhauError, BadRequest, Unauthorized
from bacalhau.lib.ids import new_uuid
from bacalhau.lib.wire import decode

logger = logging.getLogger(__name__)

SUBJECT = "$SYS.REQ.USER.AUTH"
ACCOUNT = "$G"
REMEMBERED = 1000  # names whose last refusal is known
_HEADER = b'{"typ":"JWT","alg":"ed25519-nkey"}'

Authorize = Callable[[str, str, str], Awaitable[bool]]
"""(node id, secret, token): whether the node is a member, or may only register and wait; raises Unauthorized when it
may not connect.

Nodes of other makes have secret "": an id that is known with a secret must then be refused.
"""


class Credentials(NamedTuple):
    """The credentials of a node; `native` tells ours from nodes of other makes.

    `life` differs from process to process, "" is not told.
    """

    node_id: str
    secret: str
    token: str
    native: bool
    life: str = ""


class _Options(msgspec.Struct):
    name: str = ""
    user: str = ""
    password: str = msgspec.field(default="", name="pass")
    auth_token: str = ""


class _ServerID(msgspec.Struct):
    id: str


class _Asked(msgspec.Struct):
    user_nkey: str
    server_id: _ServerID
    connect_opts: _Options


class Claims(msgspec.Struct):
    """A request's inside, as far as it matters here."""

    nats: _Asked


def new_issuer_seed() -> bytes:
    """A fresh signing key, as the seed text that `Issuer` takes."""
    made: bytes = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_ACCOUNT)
    return made


class Issuer:
    """Signs what the server believes; it knows the public half from its configuration."""

    def __init__(self, seed: bytes) -> None:
        self._key = nkeys.from_seed(seed)
        self.public: str = self._key.public_key.decode().rstrip("=")

    def sign(self, claims: dict[str, Any]) -> bytes:
        signed = (
            _b64(_HEADER)
            + b"."
            + _b64(msgspec.json.encode(claims | {"iss": self.public, "iat": now_ns() // 10**9, "jti": new_uuid()}))
        )
        return signed + b"." + _b64(self._key.sign(signed))

    def admit(self, asked: Claims, who: Credentials, *, member: bool = True) -> bytes:
        """The answer that lets a node in, to its own subjects only."""
        may = permissions(who.node_id, native=who.native, member=member)
        user = {
            "sub": asked.nats.user_nkey,
            "aud": ACCOUNT,
            "name": who.node_id,
            "nats": {
                "type": "user",
                "version": 2,
                "subs": -1,
                "data": -1,
                "payload": -1,
                "pub": {"allow": may.publish},
                "sub": {"allow": may.subscribe},
            },
        }
        return self._answer(asked, {"jwt": self.sign(user).decode()})

    def refuse(self, asked: Claims, reason: str) -> bytes:
        return self._answer(asked, {"error": reason})

    def _answer(self, asked: Claims, what: dict[str, str]) -> bytes:
        nats = asked.nats
        return self.sign(
            {
                "sub": nats.user_nkey,
                "aud": nats.server_id.id,
                "nats": what | {"type": "authorization_response", "version": 2},
            }
        )


class Callout:
    """Answers the server's questions. `is_connected` tells whether somebody is there under a node id."""

    def __init__(
        self, link: Link, crew: Crew, issuer: Issuer, authorize: Authorize, is_connected: Callable[[str], bool]
    ) -> None:
        self.receivers = {SUBJECT: self._receive}
        self._link = link
        self._crew = crew
        self._issuer = issuer
        self._authorize = authorize
        self._is_connected = is_connected
        self._refused: dict[str, str] = {}
        self._lives: dict[str, str] = {}

    def node_gone(self, node_id: str) -> None:
        """Forget the process of a node: its next connection may be another process's."""
        self._lives.pop(node_id, None)

    def _receive(self, msg: Msg) -> None:
        try:
            asked = read_claims(msg.data)
        except BadRequest as e:
            logger.warning("%s", e)
            return
        self._crew.start(self._decide(asked, msg.reply))

    async def _decide(self, asked: Claims, reply: str) -> None:
        try:
            who = read_credentials(asked)
            member = await self._authorize(who.node_id, who.secret, who.token)
            self._check_life(who)
            answer = self._issuer.admit(asked, who, member=member)
            self._refused.pop(who.node_id, None)
        except BacalhauError as e:
            self._note_refusal(asked.nats.connect_opts.name, str(e))
            answer = self._issuer.refuse(asked, e.message)
        except Exception:
            logger.exception("deciding about node '%s' failed", asked.nats.connect_opts.name)
            answer = self._issuer.refuse(asked, "internal error")
        await say(self._link, reply, answer)

    def _check_life(self, who: Credentials) -> None:
        """A node may come back before its last connection has ended; a copy of it may not join it. Raises
        Unauthorized.
        """
        if who.life and who.life != self._lives.get(who.node_id, who.life) and self._is_connected(who.node_id):
            hint = "a data directory belongs to one node: give the copy one of its own"
            raise Unauthorized(f"another process is connected as node {who.node_id}", hint=hint)
        self._lives[who.node_id] = who.life

    def _note_refusal(self, name: str, reason: str) -> None:
        """Said once: who is refused asks again and again."""
        if self._refused.get(name) == reason:
            return
        if len(self._refused) >= REMEMBERED:
            self._refused.clear()
        self._refused[name] = reason
        logger.warning("node '%s' may not connect: %s", name, reason)


def read_claims(data: bytes) -> Claims:
    """The inside of a request. The signature is the server's own and came over the server itself: nothing to check."""
    parts = data.split(b".")
    if len(parts) != 3:
        raise BadRequest("a question for authorization is no token")
    try:
        return decode(read_base64url(parts[1]), Claims)
    except (ValueError, msgspec.DecodeError) as e:
        raise BadRequest(f"a question for authorization cannot be read: {e}") from e


def show_password(secret: str, life: str, token: str) -> str:
    """Join secret, life and token for `read_credentials`; a secret holds neither dot nor tilde."""
    return f"{secret}~{life}.{token}"


def read_credentials(asked: Claims) -> Credentials:
    """Read the credentials of a node. Raises BadRequest for an impossible id, Unauthorized when the names differ."""
    shown = asked.nats.connect_opts
    node_id = check_node_id(shown.name)
    if not shown.user:
        return Credentials(node_id, "", shown.auth_token, native=False)
    proof, _, token = shown.password.partition(".")
    secret, _, life = proof.partition("~")
    if shown.user != node_id or not secret:
        raise Unauthorized(f"node '{node_id}' shows the credentials of '{shown.user}'")
    return Credentials(node_id, secret, token, native=True, life=life)


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
