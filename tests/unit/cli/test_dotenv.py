"""`.env` of the working directory."""

from bacalhau.cli.frame.dotenv import load_dotenv


def test_ours_fill_what_is_not_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [
        "# comment",
        "export BACALHAU_API_PORT=1 # here",
        "AWS_REGION='a b'",
        'DOCKER_USERNAME="q#x"',
        "PATH=/evil",
        "nonsense",
        "BACALHAU_API_HOST=x",
    ]
    (tmp_path / ".env").write_text("\n".join(lines))
    env = {"BACALHAU_API_HOST": "kept", "PATH": "/bin"}
    load_dotenv(env)
    assert env == {
        "BACALHAU_API_HOST": "kept",
        "PATH": "/bin",
        "BACALHAU_API_PORT": "1",
        "AWS_REGION": "a b",
        "DOCKER_USERNAME": "q#x",
    }


def test_the_devstack_file_replaces(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stack.env").write_text("export BACALHAU_API_PORT=2\n")
    env = {"BACALHAU_API_PORT": "1", "DEVSTACK_ENV_FILE": "stack.env"}
    load_dotenv(env)
    assert env["BACALHAU_API_PORT"] == "2"


def test_no_file_is_no_matter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env: dict[str, str] = {}
    load_dotenv(env)
    assert env == {}
