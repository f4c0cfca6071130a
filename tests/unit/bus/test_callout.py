"""What a node shows when it connects, and what is signed for it."""

import base64
import json

import nkeys
import pytest

from bacalhau.bus.callout import Issuer, new_issuer_seed, read_claims, read_credentials, show_password
from bacalhau.lib.errors import BadRequest, Unauthorized


def question(**options: str) -> bytes:
    inside = {"nats": {"user_nkey": "UABC", "server_id": {"id": "NSERVER"}, "connect_opts": options}}
    return b".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=") for part in (b"{}", json.dumps(inside).encode(), b"signature")
    )


def shown(**options: str):
    return read_credentials(read_claims(question(**options)))


def inside(token: str) -> dict:
    middle = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))


def test_our_node():
    who = shown(name="n1", user="n1", **{"pass": show_password("s3cret", "l1fe", "a.token.with.dots")})
    assert who == ("n1", "s3cret", "a.token.with.dots", True, "l1fe")
    assert shown(name="n1", user="n1", **{"pass": "s3cret.t"}) == ("n1", "s3cret", "t", True, "")


def test_node_of_another_make():
    assert shown(name="n2", auth_token="t") == ("n2", "", "t", False, "")
    assert shown(name="n2") == ("n2", "", "", False, "")


@pytest.mark.parametrize(
    "options",
    [
        {"name": "n1", "user": "n2", "pass": "s.t"},
        {"name": "n1", "user": "n1", "pass": ".t"},
        {"name": "n1", "user": "n1"},
    ],
)
def test_credentials_that_are_somebody_elses_or_empty(options):
    with pytest.raises(Unauthorized):
        shown(**options)


@pytest.mark.parametrize("name", ["", "a.b", "*", ">", "a b"])
def test_impossible_names(name):
    with pytest.raises(BadRequest):
        shown(name=name)


@pytest.mark.parametrize("data", [b"", b"a.b", b"a.!!!.c", b"a.e30.c"])
def test_noise(data):
    with pytest.raises(BadRequest):
        read_claims(data)


def test_admission_is_signed_and_bound_to_the_node():
    issuer = Issuer(new_issuer_seed())
    asked = read_claims(question(name="n1", user="n1", **{"pass": "s."}))
    answer = issuer.admit(asked, read_credentials(asked)).decode()
    outer = inside(answer)
    assert (outer["iss"], outer["sub"], outer["aud"]) == (issuer.public, "UABC", "NSERVER")
    user = inside(outer["nats"]["jwt"])
    assert user["sub"] == "UABC" and user["name"] == "n1"
    assert all(".n1." in subject for subject in user["nats"]["pub"]["allow"] + user["nats"]["sub"]["allow"])
    signed, _, signature = answer.rpartition(".")
    assert len(base64.urlsafe_b64decode(signature + "==")) == 64 and signed


def test_seed_is_one_of_an_account():
    seed = new_issuer_seed()
    assert nkeys.decode_seed(seed)[0] == nkeys.PREFIX_BYTE_ACCOUNT
    assert Issuer(seed).public.startswith("A")
