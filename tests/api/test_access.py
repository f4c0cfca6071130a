"""Who is let in: anybody by default, after an introduction if they like; else users, keys and tokens, each with what it
may do.
"""

import base64
import json

import bcrypt
import pytest
import websockets
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from bacalhau.api.access import token as api_token
from bacalhau.api.access.signature import client_id_of
from bacalhau.api.app import make_app
from bacalhau.config.load import load_config
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BadRequest
from tests.api.room import JOBS, NODES, a_job, open_room
from tests.support.web import file_server

KEY = "a-key-of-twenty-letters"
READER = {"Alias": "reader", "APIKey": KEY, "Capabilities": [{"Actions": ["read:*"]}]}
ADMIN = {"Username": "Ada", "Password": "plain-password", "Capabilities": [{"Actions": ["*"]}]}
HASHED = {
    "username": "hal",
    "password": bcrypt.hashpw(b"hashed-password", bcrypt.gensalt(4)).decode(),
    "capabilities": [{"actions": ["read:job", "write:job"]}],
}


def configured(tmp_path, *users, **auth):
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps({"API": {"Auth": {"Users": users, **auth}}}))
    return load_config([str(file)], {"HOME": str(tmp_path)}, {})


def basic(name, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def bearer(value):
    return {"Authorization": f"Bearer {value}"}


def signed(phrase, key=None, tamper=b""):
    key = key or generate_private_key(65537, 2048)
    signature = key.sign(phrase + tamper, PKCS1v15(), SHA256())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    inner = {"PhraseSignature": base64.b64encode(signature).decode(), "PublicKey": base64.b64encode(public).decode()}
    return key, {"Name": "clientkey", "MethodData": base64.b64encode(json.dumps(inner).encode()).decode()}


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/api/v1/healthz", "/api/v1/livez", "/api/v1/agent/alive"])
async def test_health_checks_need_no_credentials_where_users_are_named(tmp_path, path):
    async with open_room(tmp_path / "room", configured(tmp_path, ADMIN)) as room:
        assert (await room.http.get(path, follow_redirects=True)).status_code == 200
        assert (await room.http.get(JOBS)).status_code == 401


async def test_a_client_introduces_itself_with_its_key(tmp_path):
    async with open_room(tmp_path) as room:
        listed = (await room.http.get("/api/v1/auth")).json()
        assert listed["NextToken"] == "" and listed["Methods"].keys() == {"clientkey"}
        method = listed["Methods"]["clientkey"]
        assert method["type"] == "challenge" and (await room.http.get("/api/v1/auth/clientkey")).json() == method
        phrase = base64.b64decode(method["params"]["InputPhrase"])
        assert phrase.decode() == room.orch.node_id
        key, body = signed(phrase)
        answer = await room.http.post("/api/v1/auth/clientkey", json=body)
        assert answer.status_code == 200 and answer.json()["Authentication"]["success"] is True
        token = answer.json()["Authentication"]["token"]
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        assert (claims["iss"], claims["sub"], claims["aud"]) == (
            room.orch.node_id,
            client_id_of(key.public_key()),
            [room.orch.node_id],
        )
        assert claims["exp"] > now_ns() // 10**9
        assert (await room.http.get(JOBS, headers=bearer(token))).status_code == 200


async def test_a_forged_introduction_is_refused_with_its_reason(tmp_path):
    async with open_room(tmp_path) as room:
        _, forged = signed(room.orch.node_id.encode(), tamper=b"!")
        answer = await room.http.post("/api/v1/auth/clientkey", json=forged)
        assert answer.status_code == 401
        assert answer.json() == {
            "Authentication": {"success": False, "reason": "the signature over the phrase is not by this key"}
        }
        nonsense = await room.http.post("/api/v1/auth/clientkey", json={"MethodData": "AAA"})
        assert nonsense.status_code == 400 and "MethodData" in nonsense.json()["Message"]
        unknown = await room.http.get("/api/v1/auth/nope")
        assert unknown.status_code == 404 and "clientkey" in unknown.json()["Hint"]


async def test_users_and_what_each_may_do(tmp_path, subtests):
    cases = [
        ("nobody", {}, 401, 401, 401),
        ("reader's key", bearer(KEY), 200, 403, 403),
        ("another key", bearer("x" * 30), 401, 401, 401),
        ("admin in other letters", basic("aDA", "plain-password"), 200, 200, 400),
        ("wrong password", basic("ada", "plain-passwordx"), 401, 401, 401),
        ("hashed", basic("hal", "hashed-password"), 200, 200, 403),
        ("hashed, wrong", basic("hal", "hashed"), 401, 401, 401),
        ("another scheme", {"Authorization": "Digest x"}, 401, 401, 401),
        ("broken", {"Authorization": "Basic !!"}, 401, 401, 401),
        ("not ASCII", {"Authorization": b"Basic \xe9"}, 401, 401, 401),
    ]
    async with open_room(tmp_path, configured(tmp_path, READER, ADMIN, HASHED)) as room:
        for name, headers, reads, writes, changes_nodes in cases:
            with subtests.test(name):
                for _ in range(2):
                    assert (await room.http.get(JOBS, headers=headers)).status_code == reads
                assert (await room.http.put(JOBS, json={"Job": a_job()}, headers=headers)).status_code == writes
                assert (
                    await room.http.put(f"{NODES}/n-1", json={"Action": "dance"}, headers=headers)
                ).status_code == changes_nodes


async def test_refusals_say_why(tmp_path):
    async with open_room(tmp_path, configured(tmp_path, READER)) as room:
        answer = await room.http.get(JOBS)
        body = answer.json()
        assert (body["Status"], body["Message"], body["Code"], body["Component"]) == (
            401,
            "Request Unauthorized",
            "Unauthorized",
            "Authorizer",
        )
        assert body["Details"] == {"reason": "Missing Authorization header"} and body["RequestID"]
        forbidden = (await room.http.put(JOBS, json={}, headers=bearer(KEY))).json()
        assert (forbidden["Message"], forbidden["Code"]) == ("Request Forbidden", "Forbidden")
        assert forbidden["Details"]["reason"] == "user 'reader' does not have the required capability 'write:job'"


async def test_what_stays_open(tmp_path):
    async with open_room(tmp_path, configured(tmp_path, READER)) as room:
        for path in ("/api/v1/agent/alive", "/api/v1/agent/version", "/api/v1/agent/authconfig", "/api/v1/auth"):
            assert (await room.http.get(path)).status_code == 200
        assert (await room.http.get("/api/v1/auth")).json()["Methods"] == {}
        for path in (
            "/ipfs/QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN",
            "/api/v1/agent/node",
            "/api/v1/openapi.json",
            "/api/v1/authx",
            "/nowhere",
        ):
            assert (await room.http.get(path)).status_code == 401


async def test_one_place_in_two_spellings_needs_the_same_right(tmp_path):
    async with open_room(
        tmp_path, configured(tmp_path, {"APIKey": KEY, "Capabilities": [{"Actions": ["write:node"]}]})
    ) as room:
        for path in (JOBS, JOBS + "/", JOBS.replace("/v1", "//v1"), JOBS.replace("/jobs", "//jobs")):
            assert (await room.http.get(room.url + path, headers=bearer(KEY))).status_code == 403


async def test_a_log_socket_is_refused_before_it_opens(tmp_path):
    async with open_room(tmp_path, configured(tmp_path, READER)) as room:
        url = room.url.replace("http", "ws") + f"{JOBS}/j-1/logs"
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with websockets.connect(url):
                pass
        assert refused.value.response.status_code == 401
        async with websockets.connect(url, additional_headers=bearer(KEY)) as socket:
            assert "job not found" in json.loads(await socket.recv())["error"]


def keys(*private):
    return json.dumps(KeySet(list(private)).as_dict(private=False)).encode()


def deep(levels):
    return b"[" * levels + b"]" * levels


async def test_tokens_of_an_identity_provider(tmp_path, monkeypatch):
    first, second = RSAKey.generate_key(2048, {"kid": "1"}), RSAKey.generate_key(2048, {"kid": "2"})
    claims = {
        "iss": "https://id.example",
        "aud": "bacalhau",
        "sub": "ada",
        "exp": now_ns() // 10**9 + 60,
        "permissions": ["read:job"],
    }

    def token(key, **changes):
        return bearer(
            jwt.encode(
                {"alg": "RS256", "kid": key.kid}, {k: v for k, v in (claims | changes).items() if v is not None}, key
            )
        )

    async with file_server() as published:
        published.files["/keys"] = keys(first)
        provider = {
            "ProviderID": "idp",
            "JWKSUri": f"{published.url}/keys",
            "Issuer": "https://id.example",
            "Audience": "bacalhau",
        }
        async with open_room(tmp_path, configured(tmp_path, Oauth2=provider)) as room:
            assert (await room.http.get("/api/v1/agent/authconfig")).json()["Config"]["ProviderID"] == "idp"
            assert (await room.http.get(JOBS, headers=token(first))).status_code == 200
            assert (await room.http.put(JOBS, json={}, headers=token(first))).status_code == 403
            for wrong in ({"iss": "x"}, {"aud": "x"}, {"exp": 1}, {"exp": None}, {"iss": None}):
                answer = await room.http.get(JOBS, headers=token(first, **wrong))
                assert answer.status_code == 401 and "invalid token" in answer.json()["Details"]["reason"]
            assert (await room.http.get(JOBS, headers=token(second))).status_code == 401
            assert len(published.asked) == 1
            monkeypatch.setattr(api_token, "_AGAIN_SECONDS", 0)
            published.files["/keys"] = keys(second)
            assert (await room.http.get(JOBS, headers=token(second))).status_code == 200
            published.refusals = [500]
            away = await room.http.get(JOBS, headers=token(RSAKey.generate_key(2048, {"kid": "3"})))
            assert away.status_code == 503 and "cannot read the keys of idp" in away.json()["Message"]


@pytest.mark.parametrize(
    ("refusals", "document"), [([500], b""), ([], b"{}"), ([], b"[1]"), ([], b'{"keys": [{"kty": "RSA"}]}')]
)
async def test_a_provider_without_keys_is_not_asked_for_every_token(refusals, document, tmp_path):
    async with file_server() as published:
        published.refusals, published.files["/keys"] = refusals, document
        provider = {"ProviderID": "idp", "JWKSUri": f"{published.url}/keys", "Issuer": "https://id.example"}
        async with open_room(tmp_path, configured(tmp_path, Oauth2=provider)) as room:
            forged = bearer(jwt.encode({"alg": "RS256"}, {"sub": "x"}, RSAKey.generate_key(2048)))
            answers = [await room.http.get(JOBS, headers=forged) for _ in range(2)]
            assert [(answer.status_code, answer.json()["Code"]) for answer in answers] == [
                (503, "ServiceUnavailable")
            ] * 2
            assert answers[0].json()["Message"] == answers[1].json()["Message"]
            assert len(published.asked) == 1


@pytest.mark.parametrize(
    "head",
    [b'{"alg":"RS256","crit":[1]}', b'{"alg":"RS256","kid":{}}', b'{"alg":1}', b'{"alg":"RS256","x":%b}' % deep(900)]
    + [b'{"alg":"RS256","x":%b}' % deep(depth) for depth in range(940, 1000, 3)],
)
async def test_no_head_of_a_token_is_too_strange_for_a_refusal(head, tmp_path):
    async with file_server() as published:
        published.files["/keys"] = keys(RSAKey.generate_key(2048, {"kid": "1"}))
        provider = {"ProviderID": "idp", "JWKSUri": f"{published.url}/keys", "Issuer": "https://id.example"}
        async with open_room(tmp_path, configured(tmp_path, Oauth2=provider)) as room:
            first, rest = (base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (head, b"{}"))
            answer = await room.http.get(JOBS, headers=bearer(f"{first}.{rest}.{rest}"))
            assert (answer.status_code, answer.json()["Code"]) == (401, "Unauthorized")


def test_a_configuration_that_cannot_be_right_is_refused_whole(tmp_path):
    from_file = configured(
        tmp_path, {"Username": "a b", "Password": "short"}, {"APIKey": "short"}, {}, Methods={"x": {"Type": "ask"}}
    )
    with pytest.raises(BadRequest) as refused:
        make_app(None, from_file)
    for text in (
        "Users[0]: Username must be",
        "Users[0]: Password must be",
        "Users[1]: APIKey must be",
        "Users[2]: needs either",
        "Methods.x: only the type challenge",
    ):
        assert text in refused.value.message


@pytest.mark.parametrize("part", [b"[" * 40_000, b'{"a":' * 8_000, b'{"a":NaN}', b"\xff" * 99, b"9" * 5_000])
async def test_no_token_is_too_strange_for_a_refusal(part, tmp_path):
    async with open_room(tmp_path, configured(tmp_path, READER)) as room:
        text = base64.urlsafe_b64encode(part).decode().rstrip("=")
        for value in (f"Bearer {text}.{text}.x", f"Basic {text}", f"Bearer {text}"):
            answer = await room.http.get(JOBS, headers={"Authorization": value})
            assert (answer.status_code, answer.json()["Code"]) == (401, "Unauthorized")


async def test_results_of_other_jobs_are_inputs_only_for_those_who_may_read_jobs(tmp_path):
    writer = {"Alias": "writer", "APIKey": "another-key-of-letters", "Capabilities": [{"Actions": ["write:job"]}]}
    both = {
        "Alias": "both",
        "APIKey": "a-third-key-of-letters",
        "Capabilities": [{"Actions": ["write:job", "read:job"]}],
    }
    job = a_job()
    job["Tasks"][0]["InputSources"] = [{"Source": {"Type": "job", "Params": {"Job": "first"}}, "Target": "/in"}]
    async with open_room(tmp_path / "room", configured(tmp_path, writer, both)) as room:
        for method, path in (("PUT", JOBS), ("PUT", f"{JOBS}/diff")):
            answer = await room.http.request(method, path, json={"Job": job}, headers=bearer(writer["APIKey"]))
            assert answer.status_code == 403 and "'read:job'" in answer.json()["Message"], answer.text
        answer = await room.http.put(JOBS, json={"Job": job}, headers=bearer(both["APIKey"]))
        assert answer.status_code == 400 and "job first is not known" in answer.json()["Message"]
        assert (await room.http.put(JOBS, json={"Job": a_job()}, headers=bearer(writer["APIKey"]))).status_code == 200
