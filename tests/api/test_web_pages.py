"""Requests that a browser sends for pages of strangers: they neither change nor read anything, programs are served."""

import socket

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bacalhau.config.access import API, ApiTLS, Auth, Capability, Cors, User, access_problems
from bacalhau.config.schema import Config
from tests.api.room import JOBS, a_job, open_room

PAGE = "https://page.example"
OPEN_TO_PAGE = Config(api=API(cors=Cors(allowed_origins=(PAGE,))))
WRITES = [
    ("PUT", JOBS),
    ("PUT", f"{JOBS}/diff"),
    ("DELETE", f"{JOBS}/x"),
    ("PUT", "/api/v1/orchestrator/nodes/x"),
    ("POST", "/api/v1/requester/submit"),
    ("POST", "/requester/list"),
    ("PATCH", "/nowhere"),
]
SOCKETS = [f"{JOBS}/x/logs", "/api/v1/requester/logs", "/requester/websocket/events"]


@pytest.mark.parametrize("origin", [PAGE, "null", "http://127.0.0.1:1", "http://localhost.page.example", "\xff"])
async def test_pages_of_another_origin_write_nothing(origin, tmp_path):
    async with open_room(tmp_path) as room:
        for method, path in WRITES:
            asked = {"Origin": origin.encode("latin-1")}
            answer = await room.http.request(method, path, json={"Job": a_job()}, headers=asked)
            assert answer.status_code == 403, (method, path)
            assert repr(origin) in answer.json()["Message"]
            assert "API.Cors.AllowedOrigins" in answer.json()["Hint"]
        assert (await room.http.get(JOBS)).json()["Items"] == []


@pytest.mark.parametrize("path", SOCKETS)
async def test_pages_of_another_origin_open_no_socket(path, tmp_path):
    async with open_room(tmp_path) as room:
        with pytest.raises(InvalidStatus) as refusal:
            async with connect(room.url.replace("http", "ws") + path, origin=PAGE):
                pass
        assert refusal.value.response.status_code == 403
        for own in (None, room.url):
            async with connect(room.url.replace("http", "ws") + path, origin=own):
                pass


async def test_pages_of_another_origin_read_nothing(tmp_path):
    async with open_room(tmp_path) as room:
        answer = await room.http.get(JOBS, headers={"Origin": PAGE})
        assert (answer.status_code, "access-control-allow-origin" in answer.headers) == (200, False)
        asked = {"Origin": PAGE, "Access-Control-Request-Method": "PUT"}
        preflight = await room.http.options(JOBS, headers=asked)
        assert not {name for name in preflight.headers if name.startswith("access-control-allow")}


@pytest.mark.parametrize("config", [OPEN_TO_PAGE, Config(api=API(cors=Cors(allowed_origins=("*",))))])
async def test_pages_that_the_administrator_names_are_served(config, tmp_path):
    async with open_room(tmp_path, config) as room:
        answer = await room.http.put(JOBS, json={"Job": a_job()}, headers={"Origin": PAGE})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, PAGE)


async def test_pages_of_the_server_itself_are_served(tmp_path):
    async with open_room(tmp_path) as room:
        answer = await room.http.put(JOBS, json={"Job": a_job()}, headers={"Origin": room.url})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, room.url)


@pytest.mark.parametrize(
    "host", ["page.example", "page.example:1234", "127.0.0.1.page.example", "[", "10.0.0.1", "a b"]
)
async def test_a_name_that_was_made_to_lead_to_loopback_reads_nothing(host, tmp_path):
    async with open_room(tmp_path) as room:
        for path in (JOBS, "/ipfs/x", "/api/v1/requester/nodes", "/"):
            answer = await room.http.get(path, headers={"Host": host})
            assert answer.status_code == 421, path
            assert "API.AllowedHosts" in answer.json()["Hint"]
        with pytest.raises(InvalidStatus) as refusal:
            async with connect(
                room.url.replace("http", "ws") + SOCKETS[0], additional_headers={"Host": "page.example"}
            ):
                pass
        assert refusal.value.response.status_code in (400, 421)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1", "127.0.0.1:9", "[::1]", "[::1]:1234"])
async def test_names_of_this_machine_are_served(host, tmp_path):
    async with open_room(tmp_path) as room:
        assert (await room.http.get(JOBS, headers={"Host": host})).status_code == 200


def reached_from_elsewhere(**changes):
    return Config(api=API(host="0.0.0.0", **changes))


@pytest.mark.parametrize("host", ["evil.example", "evil.example:1234", "10.0.0.1.evil.example", "local.evil.example."])
async def test_a_name_that_was_made_to_lead_to_an_open_server_reads_nothing(host, tmp_path):
    async with open_room(tmp_path, reached_from_elsewhere()) as room:
        for headers in ({"Host": host}, {"Host": host, "Origin": f"http://{host}"}):
            for method in ("GET", "PUT"):
                answer = await room.http.request(method, JOBS, headers=headers)
                assert answer.status_code == 421
                assert "API.AllowedHosts" in answer.json()["Hint"]


@pytest.mark.parametrize(
    "host",
    [
        "10.1.2.3",
        "10.1.2.3:1234",
        "[fd00::1]:1234",
        "localhost",
        "orchestrator",
        "orchestrator:1234",
        "host.docker.internal",
        "api.default.svc.cluster.local",
        "LAB.local.",
        socket.gethostname(),
        socket.getfqdn(),
    ],
)
async def test_names_that_no_page_can_have_are_served(host, tmp_path):
    async with open_room(tmp_path, reached_from_elsewhere()) as room:
        assert (await room.http.get(JOBS, headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "config",
    [
        reached_from_elsewhere(allowed_hosts=("Cluster.example",)),
        reached_from_elsewhere(allowed_hosts=("*.example",)),
        reached_from_elsewhere(allowed_hosts=("*",)),
        reached_from_elsewhere(cors=Cors(allowed_origins=("https://cluster.example",))),
        reached_from_elsewhere(tls=ApiTLS(self_signed=True)),
        Config(api=API(allowed_hosts=("cluster.example",))),
        Config(api=API(allowed_hosts=("*",))),
    ],
)
async def test_names_that_the_administrator_gives_are_served(config, tmp_path):
    async with open_room(tmp_path, config) as room:
        assert (await room.http.get(JOBS, headers={"Host": "cluster.example:1234"})).status_code == 200


async def test_where_everybody_shows_who_they_are_any_name_is_served(tmp_path):
    user = User(api_key="k" * 20, capabilities=(Capability(actions=("*",)),))
    async with open_room(tmp_path, reached_from_elsewhere(auth=Auth(users=(user,)))) as room:
        assert (await room.http.get(JOBS, headers={"Host": "cluster.example"})).status_code == 401


@pytest.mark.parametrize("host", ["a/b", "http://a", "*.*", "a:1", "", "a*b"])
def test_a_name_that_no_host_can_have_is_refused_at_start(host):
    (problem,) = access_problems(API(allowed_hosts=(host,)))
    assert repr(host) in problem and "API.AllowedHosts" in problem


@pytest.mark.parametrize(
    "kind", ["text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "multipart/form-data", "x"]
)
async def test_bodies_that_a_page_may_send_unasked_are_not_read(kind, tmp_path):
    async with open_room(tmp_path) as room:
        for method, path in [("PUT", JOBS), ("PUT", f"{JOBS}/diff"), ("POST", "/requester/list")]:
            answer = await room.http.request(method, path, content=b"{}", headers={"Content-Type": kind})
            assert answer.status_code == 415, path
            assert "application/json" in answer.text


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", None])
async def test_json_is_read_whether_or_not_it_says_so(kind, tmp_path):
    async with open_room(tmp_path) as room:
        body = httpx.Request("PUT", room.url, json={"Job": a_job()}).content
        headers = {"Content-Type": kind} if kind else {}
        assert (await room.http.put(JOBS, content=body, headers=headers)).status_code == 200


@pytest.mark.parametrize("origin", ["page.example", "https://page.example/path", "https://*.page.example", "null", ""])
def test_an_origin_that_no_page_can_have_is_refused_at_start(origin):
    (problem,) = access_problems(API(cors=Cors(allowed_origins=(origin,))))
    assert repr(origin) in problem and "scheme://host" in problem
