"""Inputs that stay on a node for the next task: no task can change them, and the end of a process takes nothing."""

import os

from tests.support.containers import HOLD
from tests.support.gate import Gate
from tests.support.system import OUTPUTS, Identity, System, s3_input

ATTACKS = (
    "id -u; cat /in/x /in/sub/y;"
    " echo changed > /in/x; echo more >> /in/sub/y; chmod 777 /in/x; chown 1:1 /in/x; rm -f /in/x; mv /in/sub /in/s2;"
    " touch /in/new; mount -o remount,rw /in; ln /in/x /outputs/x; cp /in/x /outputs/copy; true"
)


def test_root_in_a_container_cannot_change_what_the_cache_holds(
    docker_url, docker_image, containers, s3, bucket, tmp_path
):
    s3.fill(bucket, {"in/x": b"x as it is\n", "in/sub/y": b"y as it is\n"})
    with System(tmp_path / "system", docker_url, image=docker_image, identity=Identity(umask=0o077)) as system:
        inputs = [s3_input(s3.url, bucket, "in/", "/in")]
        for _ in range(2):
            job = system.run(ATTACKS, InputSources=inputs, ResultPaths=OUTPUTS, Publisher={"Type": "local"})
            assert (job.state.state_type, job.state.message) == ("Completed", "")
            assert system.output(job.id) == "0\nx as it is\ny as it is\n"
            assert "Read-only file system" in system.client.executions(job.id)[-1].run_output.stderr
            containers.until("destroy", job.id)
        objects = [path for path in (system.dir / "compute/cache/objects").rglob("*") if path.is_file()]
        assert sorted(path.read_bytes() for path in objects) == [b"x as it is\n", b"y as it is\n"]
        assert {oct(path.stat().st_mode & 0o777) for path in objects} == {"0o644"}
        assert {(path.stat().st_uid, path.stat().st_gid) for path in objects} == {(os.geteuid(), os.getegid())}


def test_a_node_that_is_killed_keeps_its_cache_and_what_its_tasks_see(
    docker_url, docker_image, containers, s3, bucket, tmp_path
):
    """Killed while a task runs with an input of the cache, and while another input is on its way."""
    s3.fill(bucket, {"in/x": b"x" * 100_000, "late/y": b"y" * 100_000})
    with Gate(s3.url) as gate, System(tmp_path / "system", docker_url, image=docker_image) as system:
        late = gate.hold(f"GET /{bucket}/late/y")
        inputs = [s3_input(gate.url, bucket, "in/", "/in")]
        runs = system.submit(f"{HOLD}; wc -c < /in/x", InputSources=inputs)
        stages = system.submit("wc -c < /in/y", InputSources=[s3_input(gate.url, bucket, "late/", "/in")])
        containers.until("start", runs)
        late.until_reached()
        system.kill()
        system.start()
        containers.let_go(runs)
        late.open()
        gate.hold(f"GET /{bucket}/in/x")  # whoever asks for it again waits for ever
        again = system.submit("wc -c < /in/x", InputSources=inputs)
        for job_id in (runs, stages, again):
            job = system.client.wait(job_id, 60)
            assert (job.state.state_type, system.output(job_id).strip()) == ("Completed", "100000"), job.state.message
        containers.until_none_is_left(system.node_id)
        cache = system.dir / "compute/cache"
        objects = [path for path in (cache / "objects").rglob("*") if path.is_file()]
        assert [path.stat().st_size for path in objects] == [100_000, 100_000]
