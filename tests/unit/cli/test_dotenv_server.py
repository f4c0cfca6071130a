"""A `.env` that came with somebody's folder."""

import pytest

from bacalhau.cli.frame.dotenv import load_dotenv

FILE = "BACALHAU_API_HOST=https://theirs\nBACALHAU_DIR=.\nPATH=/theirs\nAWS_REGION=eu\n"


@pytest.mark.parametrize("credential", ["BACALHAU_API_KEY", "BACALHAU_API_TOKEN", "BACALHAU_API_PASSWORD"])
def test_it_does_not_choose_the_server_of_a_credential(tmp_path, monkeypatch, capsys, credential):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(FILE)
    environ = {credential: "secret"}
    load_dotenv(environ)
    assert environ == {credential: "secret", "AWS_REGION": "eu"}
    assert "BACALHAU_API_HOST, BACALHAU_DIR" in capsys.readouterr().err


def test_without_one_it_fills_what_is_not_set(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(FILE + "BACALHAU_API_KEY=own\n")
    environ = {"BACALHAU_DIR": "/home"}
    load_dotenv(environ)
    assert environ["BACALHAU_API_HOST"] == "https://theirs" and environ["BACALHAU_API_KEY"] == "own"
    assert environ["BACALHAU_DIR"] == "/home" and "PATH" not in environ
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("held", "lines"),
    [
        ("AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL=http://theirs\nAWS_ENDPOINT_URL_S3=http://theirs\n"),
        ("AWS_SESSION_TOKEN", "AWS_CONFIG_FILE=theirs\nAWS_ENDPOINT_URL=http://theirs\nAWS_CA_BUNDLE=theirs\n"),
        ("AWS_PROFILE", "AWS_CONFIG_FILE=theirs\nAWS_SHARED_CREDENTIALS_FILE=theirs\n"),
        ("DOCKER_PASSWORD", "DOCKER_HOST=tcp://theirs\n"),
        ("DOCKER_AUTH_CONFIG", "DOCKER_HOST=tcp://theirs\n"),
    ],
)
def test_nor_the_one_of_other_credentials(tmp_path, monkeypatch, capsys, held, lines):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"{lines}AWS_REGION=eu\nBACALHAU_API_HOST=h\n")
    environ = {held: "secret"}
    load_dotenv(environ)
    assert environ == {held: "secret", "AWS_REGION": "eu", "BACALHAU_API_HOST": "h"}
    assert capsys.readouterr().err.startswith(f"{held} is set, so .env may not set {lines.partition('=')[0]}")


def test_nor_the_daemon_that_is_sent_the_logins_of_the_users_own_file(tmp_path, monkeypatch, capsys):
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text("{}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("DOCKER_HOST=tcp://theirs\nDOCKER_USERNAME=me\nDOCKER_PASSWORD=own\n")
    environ = {}
    load_dotenv(environ)
    assert environ == {"DOCKER_USERNAME": "me", "DOCKER_PASSWORD": "own"}
    told = "~/.docker/config.json is set, so .env may not set DOCKER_HOST: set them in the shell"
    assert capsys.readouterr().err.startswith(told)
