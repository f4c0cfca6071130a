"""Introductions of clients without credentials to a server: the server's methods, the client's answer, the token."""

from typing import Any

from bacalhau.lib.wire import Model, always

CHALLENGE = "challenge"
PHRASE = "InputPhrase"


class Requirement(Model, rename=None):
    """The requirement of a method: of a challenge the phrase to sign, base64; of others as they like."""

    type: str = always(factory=lambda: CHALLENGE)
    params: dict[str, Any] | None = always(factory=dict)


class ListMethodsResponse(Model):
    next_token: str = always(factory=str)
    methods: dict[str, Requirement] | None = always(factory=dict)


class IntroduceRequest(Model):
    """`method_data` is base64 of the method's own JSON."""

    name: str = ""
    method_data: str = ""


class Authentication(Model, rename=None):
    success: bool = always(factory=bool)
    token: str = ""
    reason: str = ""


class IntroduceResponse(Model):
    authentication: Authentication = always(factory=Authentication)


class Signed(Model):
    """The answer to a challenge, both base64."""

    phrase_signature: str = ""
    public_key: str = ""
