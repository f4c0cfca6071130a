"""The extras of a container: read, limited, and told when they are refused."""

import pytest

from bacalhau.config.load import load_config
from bacalhau.config.plugins import DockerSettings
from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.network import NetworkConfig
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.docker.extras import Extras, Tmpfs, Ulimit, read_allowance, read_extras
from bacalhau.plugins.docker.params import check_engine
from bacalhau.plugins.docker.rules import read_rules

USUAL = read_allowance(DockerSettings())


def settings(*texts):
    return load_config([f"Engines.Types.Docker.{text}" for text in texts], {}, {}).engines.types.docker


def test_what_people_write_is_read():
    extras, problems = read_extras(
        "2Gi", ("/run", "/scratch/x/:size=64mb,mode=1777,exec,uid=5"), ("memlock=-1", "nofile=10:20", "core=unlimited")
    )
    assert problems == []
    assert extras == Extras(
        2 << 30,
        (Tmpfs("/run", 0, ()), Tmpfs("/scratch/x", 64_000_000, ("mode=1777", "exec", "uid=5"))),
        (Ulimit("memlock", -1, -1), Ulimit("nofile", 10, 20), Ulimit("core", -1, -1)),
    )
    assert read_extras(1 << 20, (), ())[0].shm == 1 << 20
    assert read_extras(None, (), ()) == read_extras("", (), ()) == (Extras(), [])


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"ShmSize": "much"}, "'ShmSize' 'much' is not understood: write a size above 0"),
        ({"ShmSize": 0}, "'ShmSize' 0 is not understood: write a size above 0"),
        ({"Tmpfs": ["run"]}, "'Tmpfs' 'run' is not understood: write /PATH"),
        ({"Tmpfs": ["/a:suid"]}, "'Tmpfs' '/a:suid' is not understood"),
        ({"Tmpfs": ["/.."]}, "'Tmpfs' '/..' is not understood"),
        ({"Tmpfs": ["/a", "/b/../a"]}, "'Tmpfs' names /a twice"),
        ({"Ulimits": ["files=1"]}, "'Ulimits' 'files=1' is not understood: write NAME=SOFT or NAME=SOFT:HARD"),
        ({"Ulimits": ["nofile=2:1"]}, "'Ulimits' 'nofile=2:1' is not understood"),
        ({"Ulimits": ["nofile=-1:1"]}, "'Ulimits' 'nofile=-1:1' is not understood"),
        ({"Ulimits": ["core=0", "core=1"]}, "'Ulimits' names core twice"),
    ],
)
def test_what_cannot_be_read_is_told_at_submission(params, says):
    (problem,) = check_engine(SpecConfig(type="docker", params={"Image": "a"} | params))
    assert problem.startswith(f"invalid docker engine param: {says}")


@pytest.mark.parametrize(
    ("written", "given", "objection"),
    [
        ((), {"shm": "1Tb"}, ""),
        (("MaxShmSize=1Gb",), {"shm": "1Gb"}, ""),
        (("MaxShmSize=1Gb",), {"shm": "2Gb"}, "does not give ShmSize of 2.0 GB: Engines.Types.Docker.MaxShmSize is"),
        (
            ("MaxShmSize=1Gb",),
            {"tmpfs": ("/a:size=2Gb",)},
            "does not give Tmpfs /a of 2.0 GB: Engines.Types.Docker.Max",
        ),
        (
            (),
            {"ulimits": ("rtprio=1",)},
            "does not let jobs set ulimit rtprio: Engines.Types.Docker.AllowedUlimits names",
        ),
        ((), {"ulimits": ("nofile=65536",)}, ""),
        ((), {"ulimits": ("nofile=1:65537",)}, "does not give ulimit nofile of 65537: at most 65536 by Engines"),
        (("MaxOpenFiles=0",), {"ulimits": ("nofile=1000000",)}, ""),
        (("AllowedUlimits=memlock=1000",), {"ulimits": ("memlock=-1",)}, "does not give ulimit memlock of unlimited"),
        (("AllowedUlimits=[]",), {"ulimits": ("core=0",)}, "does not let jobs set ulimit core"),
    ],
)
def test_the_administrator_limits_what_jobs_may_ask(written, given, objection):
    extras, _ = read_extras(given.get("shm"), given.get("tmpfs", ()), given.get("ulimits", ()))
    found = read_rules(settings(*written), is_own=True).list_objections("alpine", NetworkConfig(), extras)
    assert [text[: len(objection)] for text in found] == ([objection] if objection else [])


def test_memory_as_a_folder_keeps_within_the_limit_when_the_job_names_no_size():
    extras, _ = read_extras(None, ("/a", "/b:size=1mb,ro"), ())
    assert USUAL.host_config(extras) == {"Tmpfs": {"/a": "", "/b": "ro,size=1000000"}}
    limited = read_allowance(settings("MaxShmSize=2Mb"))
    assert limited.host_config(extras) == {"Tmpfs": {"/a": "size=2000000", "/b": "ro,size=1000000"}}


@pytest.mark.parametrize(
    ("text", "key"), [("MaxShmSize=much", "MaxShmSize"), ("AllowedUlimits=files", "AllowedUlimits")]
)
def test_settings_that_cannot_be_read_are_named(text, key):
    with pytest.raises(BadRequest, match=f"Engines.Types.Docker.{key}: "):
        read_allowance(settings(text))
