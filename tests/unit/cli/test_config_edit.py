"""`config set` and the file it writes, which may hold tokens and keys."""

import pytest

from bacalhau.cli.frame.program import run


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


@pytest.mark.parametrize(
    ("held", "why"),
    [(b"- 3\n", "must hold keys and values"), (b"API: \xff", "broken YAML"), (b"API: [", "broken YAML")],
)
def test_a_file_that_is_no_configuration_stays_as_it_is(held, why, tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_bytes(held)
    assert run(["config", "set", "-c", str(path), "API.Port=4321"]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and str(path) in printed.err and why in printed.err
    assert path.read_bytes() == held
