"""Profiles: what the commands print and keep, and which server they choose."""

import json

import pytest
import yaml

from bacalhau.app.tls import server_tls
from bacalhau.cli.frame.program import run
from bacalhau.client.endpoint import resolve_endpoint
from bacalhau.client.overrides import Overrides
from bacalhau.config.access import ApiTLS
from bacalhau.lib.errors import NotFound

PROD = "https://prod.example.com:443"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in ("API_HOST", "API_PORT", "API_KEY", "API_TOKEN", "API_USERNAME", "API_PASSWORD", "PROFILE"):
        monkeypatch.delenv(f"BACALHAU_{name}", raising=False)
    monkeypatch.setenv("BACALHAU_DIR", str(tmp_path / "data"))
    return tmp_path / "data" / "profiles"


@pytest.fixture
def cli(capsys):
    def call(*args):
        return (run(["profile", *args]), *capsys.readouterr())

    return call


def test_the_life_of_a_profile_as_the_original_tells_it(cli):
    assert cli("list") == (0, "No profiles found\n", "")
    assert cli("save", "p1", "--endpoint", "http://127.0.0.1:1234") == (0, 'Profile "p1" saved\n', "")
    assert cli("list") == (
        0,
        " CURRENT  NAME  ENDPOINT               AUTH \n          p1    http://127.0.0.1:1234       \n",
        "",
    )
    assert cli("show", "p1") == (
        0,
        (
            "Name:        p1\nEndpoint:    http://127.0.0.1:1234\nAuth:        none\nTLS:         secure\nTimeout:    "
            " 30s\n"
        ),
        "",
    )
    assert cli("select", "p1") == (0, 'Switched to profile "p1"\n', "")
    assert (
        cli("list", "--output", "json")[1]
        == '[{"current":"*","name":"p1","endpoint":"http://127.0.0.1:1234","auth":""}]\n'
    )
    assert cli("delete", "p1", "--force") == (0, 'Profile "p1" deleted\n', "")
    assert cli("list", "--output", "json")[1] == "[]\n"


def test_saving_again_changes_only_what_is_given(cli, home):
    cli("save", "production", "--endpoint", PROD, "--description", "D", "--timeout", "60s", "--token", "abcdefghijwxyz")
    assert (
        cli("save", "production", "--insecure", "--select")[1]
        == 'Profile "production" saved\nSwitched to profile "production"\n'
    )
    shown = cli("show")[1].splitlines()
    assert shown == [
        "Name:        production (current)",
        f"Endpoint:    {PROD}",
        "Auth:        token (abcd****wxyz)",
        "TLS:         insecure",
        "Timeout:     60s",
        "Description: D",
    ]
    assert "token (abcdefghijwxyz)" in cli("show", "--show-token")[1]
    kept = home / "production.yaml"
    assert yaml.safe_load(kept.read_text()) == {
        "endpoint": PROD,
        "description": "D",
        "timeout": "60s",
        "auth": {"token": "abcdefghijwxyz"},
        "tls": {"insecure": True},
    }
    assert kept.stat().st_mode & 0o077 == 0 and (home / "current").is_symlink()
    cli("save", "production", "--insecure=false")
    assert "TLS:         secure\n" in cli("show")[1]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["save", "new"], "endpoint is required when creating a new profile"),
        (["save", "new", "--endpoint", "nope"], '"nope" is no endpoint'),
        (["save", "new", "--endpoint", PROD, "--timeout", "5"], 'invalid argument "5" for "--timeout" flag'),
        (["save", "../x", "--endpoint", PROD], '"../x" cannot be the name of a profile'),
        (["save", "current", "--endpoint", PROD], "current is taken"),
        (["select", "nope"], 'profile "nope" not found'),
        (["delete", "nope"], 'profile "nope" not found'),
        (["show"], "no current profile"),
    ],
)
def test_mistakes(args, message, cli):
    code, out, err = cli(*args)
    assert (code, out) == (1, "") and message in err


def test_deleting_the_one_in_use_is_asked_about(cli, monkeypatch, tmp_path):
    cli("save", "p", "--endpoint", PROD, "--select")
    for answer, end in (("n", "Deletion cancelled\n"), ("y", 'Profile "p" deleted\n')):
        (tmp_path / "answer").write_text(f"{answer}\n")
        with (tmp_path / "answer").open() as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            assert cli("delete", "p")[1] == f'Profile "p" is the current profile. Delete anyway? [y/N]: {end}'


def test_which_server(cli, monkeypatch):
    cli("save", "a", "--endpoint", "http://a:1", "--token", "secret", "--timeout", "7s")
    cli("save", "b", "--endpoint", "https://b:2", "--insecure", "--select")
    current = resolve_endpoint()
    assert (current.url, current.insecure, current.headers.get("Authorization")) == ("https://b:2", True, None)
    named = resolve_endpoint(overrides=Overrides(profile="a"))
    assert (named.url, named.seconds, named.headers["Authorization"]) == ("http://a:1", 7.0, "Bearer secret")
    monkeypatch.setenv("BACALHAU_PROFILE", "a")
    assert resolve_endpoint().url == "http://a:1"
    assert resolve_endpoint(overrides=Overrides(profile="b")).url == "https://b:2"
    monkeypatch.setenv("BACALHAU_API_KEY", "key")
    assert resolve_endpoint().headers["Authorization"] == "Bearer key"
    monkeypatch.setenv("BACALHAU_API_HOST", "elsewhere")
    assert resolve_endpoint().url == "http://elsewhere:1234"
    assert resolve_endpoint(overrides=Overrides(profile="b")).url == "https://b:2"
    assert resolve_endpoint(overrides=Overrides(profile="b", api_host="127.0.0.1")).url == "http://127.0.0.1:1234"
    assert resolve_endpoint(overrides=Overrides(profile="b", config=("api.port=1234",))).url == "http://elsewhere:1234"
    with pytest.raises(NotFound, match='profile "nope" not found'):
        resolve_endpoint(overrides=Overrides(profile="nope"))


def test_a_file_that_holds_no_profile(cli, home):
    home.mkdir(parents=True)
    (home / "broken.yaml").write_text("endpoint: [")
    (home / "empty.yaml").write_text("description: x\n")
    for name in ("broken", "empty"):
        code, _, err = cli("show", name)
        assert code == 1 and f"cannot read the profile {home / name}.yaml" in err


def test_the_list_knows_json_from_nothing(cli):
    assert json.loads(cli("list", "--output", "json")[1]) == []


@pytest.fixture
def pem(tmp_path, monkeypatch):
    """A file with a certificate, in the folder that commands run in."""
    monkeypatch.chdir(tmp_path)
    server_tls(ApiTLS(self_signed=True), tmp_path / "server")
    return (tmp_path / "server" / "api.crt").rename(tmp_path / "ca.pem")


def test_the_certificates_of_a_profile_are_kept_shown_used_and_forgotten(cli, home, pem):
    assert cli("save", "p", "--endpoint", PROD, "--cacert", "ca.pem", "--select")[0] == 0
    assert yaml.safe_load((home / "p.yaml").read_text())["tls"] == {"cacert": str(pem)}
    assert f"CA file:     {pem}\n" in cli("show", "p")[1]
    assert resolve_endpoint().ca_file == str(pem)
    assert resolve_endpoint(overrides=Overrides(cacert="other.pem")).ca_file == "other.pem"
    cli("save", "p", "--insecure")
    assert yaml.safe_load((home / "p.yaml").read_text())["tls"] == {"insecure": True, "cacert": str(pem)}
    cli("save", "p", "--cacert=", "--insecure=false")
    assert not yaml.safe_load((home / "p.yaml").read_text())["tls"]
    assert resolve_endpoint().ca_file == ""


def test_a_file_without_certificates_is_not_saved(cli, home, pem):
    code, out, err = cli("save", "p", "--endpoint", PROD, "--cacert", "nowhere.pem")
    assert (code, out) == (1, "") and err.startswith("Error: cannot use the certificates in nowhere.pem: no such file")
    assert not home.exists()


@pytest.mark.parametrize(
    "flags", [["--tls"], ["--api-host", "h"], ["--api-port", "1"], ["--profile", "q"], ["-c", "API.Host=h"]], ids=str
)
def test_what_a_profile_does_not_keep_is_not_said_to_be_saved(cli, home, flags):
    code, out, err = cli("save", "p", "--endpoint", PROD, *flags)
    assert (code, out) == (1, "") and "a profile keeps its server as --endpoint" in err
    assert not home.exists()
