"""`config set` and the file it writes, which may hold tokens and keys."""

from bacalhau.cli.main import run


def test_a_new_file_is_for_nobody_else(tmp_path):
    path = tmp_path / "config.yaml"
    assert run(["config", "set", "-c", str(path), "Compute.Auth.Token=secret"]) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert "secret" in path.read_text()


def test_a_file_stays_as_open_as_it_was(tmp_path):
    path = tmp_path / "config.yaml"
    for mode in (0o600, 0o640, 0o644):
        path.write_text("API:\n  Port: 1\n")
        path.chmod(mode)
        assert run(["config", "set", "-c", str(path), "api.port=4321"]) == 0
        assert (path.stat().st_mode & 0o777, path.read_text()) == (mode, "API:\n  Port: 4321\n")
