"""A node that is full brings the inputs of the execution that comes next, also over the end of its process."""

from tests.support.containers import HOLD
from tests.support.gate import Gate
from tests.support.system import System, s3_input

SETTINGS = {"Compute.AllocatedCapacity.CPU": "1", "Compute.AllocatedCapacity.Memory": "4gb"}
WHOLE = {"CPU": "1", "Memory": "64mb"}


def test_the_second_of_two_executions_finds_its_inputs_when_it_begins(
    docker_url, docker_image, containers, s3, bucket, tmp_path
):
    s3.fill(bucket, {"in/x": b"x" * 100_000, "in/y": b"y" * 100_000})
    objects = tmp_path / "system/orchestrator/compute/cache/objects"
    with (
        Gate(s3.url) as gate,
        System(tmp_path / "system", docker_url, image=docker_image, settings=SETTINGS) as system,
    ):
        coming = gate.hold(f"GET /{bucket}/in/y")
        runs = system.submit(HOLD, Resources=WHOLE)
        containers.until("start", runs)
        inputs = [s3_input(gate.url, bucket, "in/", "/in")]
        comes = system.submit("cat /in/x /in/y | wc -c", Resources=WHOLE, InputSources=inputs)
        coming.until_reached()
        system.kill()  # while it is on its way
        assert not [path for path in objects.rglob("*") if path.is_file()]
        mark = len(system.node.lines)
        system.start()
        coming.open()
        system.node.until(f"prefetched 200.0 kB of inputs of job {comes}", mark)
        assert sorted(path.stat().st_size for path in objects.rglob("*") if path.is_file()) == [100_000, 100_000]
        assert system.client.get_job(comes).state.state_type == "Queued"
        gate.hold(f"GET /{bucket}/in/")  # whoever asks for one again waits for ever
        containers.let_go(runs)
        job = system.client.wait(comes, 60)
        assert (job.state.state_type, system.output(comes).strip()) == ("Completed", "200000"), job.state.message
        containers.until_none_is_left(system.node_id)
