"""A process dies at every single step of a job's life, one after the other: each job ends as it should, once, and
nothing is left.
"""

import threading

import pytest

from bacalhau.lib.errors import BacalhauError, Conflict
from bacalhau.lib.failpoint import VARIABLE, Point
from tests.support.system import OUTPUTS, System, s3_input, s3_publisher, shell_job
from tests.support.until import until

STOPS = (Point.STOPPING, Point.STOPPED, Point.NODE_CANCELLED)  # reached when somebody stops a job
ORCHESTRATOR = [point for point in Point if point.startswith("orchestrator.")]
NODE = [point for point in Point if point.startswith("node.")]
CPUS, SETTINGS = (
    16,
    {
        "Compute.AllocatedCapacity.CPU": 16,
        "Compute.AllocatedCapacity.Memory": "64gb",
        "Compute.Heartbeat.Interval": "500ms",
        "Compute.MaxInterruptions": 1000,  # the walk kills the node at some twenty places
        "Orchestrator.NodeManager.LostGrace": "10m",  # however slow this machine: a node that comes back keeps its work
    },
)


class Walk:
    """Every point in turn: the victim is started with it, a job is submitted, and the victim dies there."""

    def __init__(self, system, make_job, s3, bucket):
        self.system, self.make_job, self.s3, self.bucket = system, make_job, s3, bucket
        self.jobs = {}

    def through(self, points, victim):
        victim.kill()
        for point in points:
            mark = len(victim.lines)
            victim.start(**{VARIABLE: f"{point}=kill"})
            poke = threading.Thread(target=self._poke, args=(point, victim, mark))
            poke.start()
            victim.until_killed(60)
            poke.join(60)
        self.system.start()
        for point in points:
            self._submit(point)
            if point in STOPS:
                self._stop(point)

    def _poke(self, point, victim, mark):
        """It may die at any moment of this, also before it can be asked."""
        until(
            lambda: (
                not victim.is_running
                or victim is self.system.node
                or any("API: " in line for line in victim.lines[mark:])
            ),
            "the API answers",
        )
        try:
            self._submit(point)
            if point in STOPS:
                self._stop(point)
        except BacalhauError:
            assert victim is self.system.orchestrator

    def _submit(self, point):
        """Once, whatever became of an earlier try."""
        try:
            self.jobs[point] = self.system.client.submit(self.make_job(point) | {"Name": point})
        except Conflict:
            self.jobs[point] = self.system.client.get_job(point).id

    def _stop(self, point):
        job_id = self.jobs[point]
        self.system.until_event(
            job_id, lambda item: (item.event.details or {}).get("NewState") in ("Running", "Stopped")
        )
        self.system.client.stop(job_id)

    def check(self):
        for point, job_id in self.jobs.items():
            job = self.system.client.wait(job_id, 120)
            wanted = "Stopped" if point in STOPS else "Completed"
            assert (point, job.state.state_type) == (point, wanted), job.state.message
            assert len(self.system.client.executions(job_id)) == 1, point
            listed = self.s3.boto.list_objects_v2(Bucket=self.bucket, Prefix=f"{point}/")
            assert (point, listed["KeyCount"]) == (point, int(wanted == "Completed"))
        self._nothing_is_held()

    def _nothing_is_held(self):
        """A job as large as the node finds room, and the node says that it is free again."""
        whole = noop(Resources={"CPU": str(CPUS), "Memory": "64gb"})
        assert self.system.client.wait(self.system.client.submit(whole), 60).state.state_type == "Completed"

        def is_free():
            compute = self.system.client.node(self.system.node_id).info.compute
            return compute.available_capacity == compute.max_capacity

        until(is_free, "the node is free")


def noop(params=None, **task):
    """A job without a container."""
    fields = {
        "Name": "main",
        "Engine": {"Type": "noop", "Params": params or {}},
        "Resources": {"CPU": "10m", "Memory": "1mb"},
    }
    return {"Type": "batch", "Count": 1, "Tasks": [fields | task]}


@pytest.fixture
def system(anyio_backend, docker_url, docker_image, containers, tmp_path):
    with System(tmp_path / "system", docker_url, image=docker_image, split=True, settings=SETTINGS) as system:
        yield system


def test_the_orchestrator_dies_at_every_step(system, s3, bucket):
    def make_job(point):
        sleep = 3600 if point in STOPS else 0
        publisher = s3_publisher(s3.url, bucket, point + "/{executionID}")
        inputs = [s3_input(s3.url, bucket, "in/", "/in")] if point == Point.LISTED else []
        return noop({"Stdout": point, "Sleep": sleep}, Publisher=publisher, InputSources=inputs)

    s3.fill(bucket, {"in/x": b"x"})
    walk = Walk(system, make_job, s3, bucket)
    walk.through(ORCHESTRATOR, system.orchestrator)
    walk.check()


def test_the_node_dies_at_every_step(system, s3, bucket, containers):
    s3.fill(bucket, {"in/data": b"data"})

    def make_job(point):
        script = "sleep 3600" if point in STOPS else "cat /inputs/* > /outputs/data"
        publisher = s3_publisher(s3.url, bucket, point + "/{executionID}")
        return shell_job(
            system.image,
            script,
            InputSources=[s3_input(s3.url, bucket, "in/*")],
            ResultPaths=OUTPUTS,
            Publisher=publisher,
        )

    walk = Walk(system, make_job, s3, bucket)
    walk.through(NODE, system.node)
    walk.check()
    for point, job_id in walk.jobs.items():
        assert len(containers.seen("start", job_id=job_id)) == 1 or point in STOPS, point
    containers.until_none_is_left(system.node_id)
