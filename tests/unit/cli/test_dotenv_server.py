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
