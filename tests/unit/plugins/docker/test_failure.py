"""What the daemon says, in our words."""

import pytest

from bacalhau.lib.errors import EngineFailure, Unavailable
from bacalhau.plugins.docker.failure import is_hub, not_pulled, refused, registry_host

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
            "image not available: r.io/a:1 was not found",
            False,
        ),
        (
            "pull access denied for a, repository does not exist or may require 'docker login'",
            EngineFailure,
            "image not available: r.io/a:1 was not found",
            False,
        ),
        (
            'Head "https://r.io/v2/a/manifests/1": unauthorized',
            EngineFailure,
            "registry r.io refused access to image r.io/a:1: unauthorized",
            False,
        ),
        (
            "toomanyrequests: slow down",
            EngineFailure,
            "failed to pull image r.io/a:1: toomanyrequests: slow down",
            True,
        ),
        (
            "no matching manifest for linux/arm64",
            EngineFailure,
            "failed to pull image r.io/a:1: no matching manifest for linux/arm64",
            False,
        ),
    ],
)
def test_failed_pulls(message, kind, text, retryable):
    failure = not_pulled("r.io/a:1", message)
    assert (type(failure), failure.message, failure.retryable) == (kind, text, retryable)


@pytest.mark.parametrize(
    ("image", "host"),
    [
        ("alpine", "docker.io"),
        ("a/b:1", "docker.io"),
        ("ghcr.io/a/b", "ghcr.io"),
        ("localhost/a", "localhost"),
        ("127.0.0.1:5000/a@sha256:0", "127.0.0.1:5000"),
    ],
)
def test_registry_of_an_image(image, host):
    assert registry_host(image) == host
    assert is_hub(image) == (host == "docker.io")


def test_a_daemon_that_knows_no_gpus_is_told_of_the_toolkit():
    failure = refused("start container", 500, 'could not select device driver "" with capabilities: [[gpu]]')
    assert (failure.hint, failure.retryable) == (
        "install the NVIDIA Container Toolkit for this node's Docker daemon",
        True,
    )
