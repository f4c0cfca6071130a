"""What the daemon says, in our words."""

import pytest

from bacalhau.lib.errors import EngineFailure, Unavailable
from bacalhau.plugins.docker.failure import FilesLimitRefused, not_executed, not_pulled, refused

RUNC = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "


def test_the_cause_of_a_failed_start_comes_first():
    failure = refused("start container", 400, RUNC + 'exec: "nope": executable file not found in $PATH: unknown')
    assert (
        failure.message
        == 'failed to start container: executable file not found: exec: "nope": executable file not found in $PATH'
    )
    assert not failure.retryable


def test_what_is_not_understood_is_passed_on():
    failure = refused("create container", 500, "no space left on device\n")
    assert failure.message == "failed to create container: no space left on device"
    assert failure.retryable


@pytest.mark.parametrize(
    ("message", "kind", "text", "retryable"),
    [
        (
            'Get "https://r.io/v2/": dial tcp: lookup r.io: no such host',
            Unavailable,
            "cannot reach registry r.io: no such host",
            True,
        ),
        (
            'Get "https://r.io/v2/": net/http: TLS handshake timeout',
            Unavailable,
            "cannot reach registry r.io: TLS handshake timeout",
            True,
        ),
        (
            "manifest for r.io/a:1 not found: manifest unknown: manifest unknown",
            EngineFailure,
            "image not available: r.io/a:1 was not found (registry r.io was asked as user me)",
            False,
        ),
        (
            "pull access denied for a, repository does not exist or may require 'docker login'",
            EngineFailure,
            "image not available: r.io/a:1 was not found (registry r.io was asked as user me)",
            False,
        ),
        (
            'Head "https://r.io/v2/a/manifests/1": unauthorized',
            EngineFailure,
            "registry r.io, which was asked as user me, refused access to image r.io/a:1: unauthorized",
            False,
        ),
        (
            "toomanyrequests: slow down",
            EngineFailure,
            "failed to pull image r.io/a:1 (registry r.io was asked as user me): toomanyrequests: slow down",
            True,
        ),
        (
            "no matching manifest for linux/arm64",
            EngineFailure,
            "failed to pull image r.io/a:1 (registry r.io was asked as user me): no matching manifest for linux/arm64",
            False,
        ),
    ],
)
def test_failed_pulls(message, kind, text, retryable):
    failure = not_pulled("r.io/a:1", message, "as user me")
    assert (type(failure), failure.message, failure.retryable) == (kind, text, retryable)


def test_a_program_that_process_1_cannot_start_fails_as_without_it():
    failure = not_executed("[FATAL tini (7)] exec nope failed: No such file or directory\n")
    assert failure.message == (
        'failed to start container: executable file not found: exec: "nope": no such file or directory'
    )
    assert not failure.retryable
    assert not_executed("[FATAL tini (7)] exec nope failed: No such file or directory\nmore\n") is None
    assert not_executed("sh: nope: not found\n") is None


@pytest.mark.parametrize(
    "message",
    [
        RUNC + "error setting rlimits for ready process: error setting rlimit type 7: operation not permitted",
        "crun: setrlimit `RLIMIT_NOFILE`: Operation not permitted: OCI permission denied",
    ],
)
def test_a_daemon_that_may_not_raise_the_limit_of_files_is_known_by_its_words(message):
    assert isinstance(refused("start container", 400, message), FilesLimitRefused)


def test_a_daemon_that_knows_no_gpus_is_told_of_the_toolkit():
    failure = refused("start container", 500, 'could not select device driver "" with capabilities: [[gpu]]')
    assert (failure.hint, failure.retryable) == (
        "install the NVIDIA Container Toolkit for this node's Docker daemon",
        True,
    )
