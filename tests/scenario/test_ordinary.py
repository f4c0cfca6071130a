"""A whole node that is an ordinary user, under a umask that closes all to others: inputs are read, results of every
publisher are complete, whatever the container did to them, and nothing stays behind.
"""

import pytest

from tests.support.ordinary_node import ordinary_system
from tests.support.system import OUTPUTS, s3_input, s3_publisher
from tests.support.until import until

SCRIPT = """
umask 077; cd /outputs; cat /in/x /in/sub/y > read; mkdir -p a/b; cp read a/b/private
head -c 3000000 /dev/zero > a/big; mkdir /in/mine; cp read /in/mine/private; chmod 400 read
[ $(id -u) != 0 ] || { chown -R 1234 /outputs /in; chmod 700 /outputs /in; }
"""


@pytest.fixture(scope="module")
def ordinary(docker_url, docker_image, containers):
    with ordinary_system(docker_url, docker_image) as system:
        yield system


def executions_left(system):
    return sorted(path.relative_to(system.dir) for path in system.dir.glob("compute/executions/*"))


@pytest.mark.parametrize("publisher", ["ipfs", "local", "s3"])
@pytest.mark.parametrize("user", ["root", "another"])
def test_results_are_complete_and_nothing_is_left(ordinary, plain_user_image, s3, bucket, tmp_path, user, publisher):
    s3.fill(bucket, {"in/x": b"x", "in/sub/y": b"y"})
    kinds = {"s3": s3_publisher(s3.url, bucket, "out/{jobID}/")}
    kinds["s3"]["Params"]["Encoding"] = "plain"
    job = ordinary.run(
        SCRIPT,
        engine={} if user == "root" else {"Image": plain_user_image},
        InputSources=[s3_input(s3.url, bucket, "in/", "/in", Writable=True)],
        ResultPaths=OUTPUTS,
        Publisher=kinds.get(publisher, {"Type": publisher}),
    )
    assert job.state.state_type == "Completed", job.state.message
    ordinary.cli("get", job.id, "--output-dir", tmp_path)
    got = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert got.pop("outputs/a/big") == bytes(3_000_000)
    read = {"outputs/read": b"xy", "outputs/a/b/private": b"xy"}
    assert got == read | {"stdout": b"", "stderr": b"", "exitCode": b"0"}
    until(lambda: not executions_left(ordinary), "no folder of the execution is left")
