"""The names of images, read as Docker reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.docker.params import check_engine
from bacalhau.plugins.docker.reference import HUB, full_name, read_repository

WORD = st.from_regex(r"[a-z0-9]{1,8}(?:[._-][a-z0-9]{1,8}){0,2}", fullmatch=True)
PATH = st.lists(WORD, min_size=1, max_size=4).map("/".join)
HOST = st.one_of(
    st.just("localhost"),
    st.from_regex(r"[a-z0-9]{1,8}(?:\.[a-z0-9]{1,8}){1,3}", fullmatch=True),
    st.from_regex(r"[a-z0-9]{1,8}(?:\.[a-z0-9]{1,8}){0,3}:[0-9]{1,5}", fullmatch=True),
    st.from_regex(r"[A-Z][a-zA-Z0-9]{0,8}", fullmatch=True),
    st.just("[fd00::1]:5000"),
).filter(lambda host: host != "index.docker.io")
SUFFIX = st.tuples(
    st.one_of(st.just(""), st.from_regex(r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)),
    st.sampled_from(["", "@sha256:" + "0a" * 32]),
).map("".join)


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("alpine", "docker.io/library/alpine"),
        ("alpine:3", "docker.io/library/alpine"),
        ("docker.io/alpine", "docker.io/library/alpine"),
        ("index.docker.io/library/alpine@sha256:0", "docker.io/library/alpine"),
        ("a/b:1", "docker.io/a/b"),
        ("ghcr.io/a/b", "ghcr.io/a/b"),
        ("localhost/a", "localhost/a"),
        ("localhost:5000/a:2", "localhost:5000/a"),
        ("127.0.0.1:5000/a@sha256:0", "127.0.0.1:5000/a"),
        ("Registry/a", "Registry/a"),
        ("sha256:0a", "docker.io/library/sha256"),
    ],
)
def test_repository_of_an_image(image, repository):
    assert str(read_repository(image)) == repository


@given(HOST, PATH, SUFFIX)
def test_host_and_path_come_back_whatever_the_tag(host, path, suffix):
    image = f"{host}/{path}{suffix}"
    assert check_engine(SpecConfig(type="docker", params={"Image": image})) == []
    wanted = f"library/{path}" if host == HUB and "/" not in path else path
    assert read_repository(image) == (host, wanted)
    assert read_repository(str(read_repository(image))) == read_repository(image)
    assert full_name(image) == f"{read_repository(image)}{suffix}"


@given(PATH, SUFFIX)
def test_a_name_without_host_is_docker_hubs(path, suffix):
    first, slash, _ = path.partition("/")
    if not slash or ("." not in first and first != "localhost"):
        assert full_name(path + suffix) == f"docker.io/{'' if slash else 'library/'}{path}{suffix}"
        assert read_repository(f"docker.io/{path}{suffix}") == read_repository(path + suffix)
