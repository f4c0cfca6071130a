"""Pinning images and counting the progress of a pull."""

import pytest

from bacalhau.plugins.docker.image import PullProgress, pin
from bacalhau.ports.progress import Step


def test_progress_counts_layers_and_bytes():
    progress = PullProgress()
    lines = [
        {"status": "Pulling from library/alpine", "id": "3.19"},
        {"status": "Already exists", "id": "aaa"},
        {"status": "Pulling fs layer", "id": "bbb"},
        {"status": "Pulling fs layer", "id": "ccc"},
        {"status": "Downloading", "id": "bbb", "progressDetail": {"current": 40, "total": 100}},
        {"status": "Download complete", "id": "bbb", "progressDetail": {}},
        {"status": "Extracting", "id": "bbb", "progressDetail": {"current": 1, "total": 100}},
        {"status": "Pull complete", "id": "bbb"},
        {"status": "Digest: sha256:1"},
    ]
    steps = [progress.add(line) for line in lines]
    assert steps[0] == Step("pulling", 0, 0)
    assert steps[4] == Step("pulling", 1, 3, 40, 100)
    assert steps[5] == Step("pulling", 1, 3, 100, 100)
    assert steps[-1] == Step("pulling", 2, 3, 100, 100)


@pytest.mark.parametrize(
    ("image", "digests", "pinned"),
    [
        ("alpine:3", ["other@sha256:1", "alpine@sha256:2"], "alpine@sha256:2"),
        ("docker.io/library/alpine", ["alpine@sha256:2"], "alpine@sha256:2"),
        ("127.0.0.1:5000/a/b:1", ["127.0.0.1:5000/a/b@sha256:3"], "127.0.0.1:5000/a/b@sha256:3"),
        ("mine:1", [], "sha256:id"),
        ("mine:1", ["pushed.elsewhere/mine@sha256:4"], "sha256:id"),
    ],
)
def test_pinned_by_the_digest_of_the_repository_or_the_id(image, digests, pinned):
    assert pin(image, {"Id": "sha256:id", "RepoDigests": digests}) == pinned
