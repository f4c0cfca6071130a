"""200 jobs on 4 nodes while orchestrator, nodes and message server are killed at random: every job ends as it should,
once.
"""

import itertools
import os
import random
import sys
from collections import Counter
from typing import NamedTuple

from bacalhau.lib.errors import BacalhauError, Conflict
from tests.support.system import OUTPUTS, System, new_node_name, s3_publisher, shell_job
from tests.support.until import until

JOBS, NODES, KILLS_MEANWHILE, KILLS_AFTERWARDS = 200, 4, 9, 5
NAME = new_node_name()
CPUS = 4  # of each node; a job takes one
SETTINGS = {
    "Compute.AllocatedCapacity.CPU": CPUS,
    "Compute.AllocatedCapacity.Memory": "8gb",
    "Compute.Heartbeat.Interval": "500ms",
    "Compute.MaxInterruptions": 1000,
    "Orchestrator.NodeManager.LostGrace": "4s",
}
ROOM = {"CPU": "1", "Memory": "16mb"}
ENDED = ("Completed", "Failed", "Stopped")


class Wanted(NamedTuple):
    """A job and how it must end; `objects` are what it leaves in the bucket."""

    job: dict
    state: str
    objects: int = 0


def noop(params, **task):
    fields = {"Name": "main", "Engine": {"Type": "noop", "Params": params}, "Resources": ROOM}
    return {"Type": "batch", "Count": 1, "Tasks": [fields | task]}


class Chaos:
    def __init__(self, system, chance, s3, bucket):
        self.system, self.chance, self.s3, self.bucket = system, chance, s3, bucket
        self.nodes = [system.node] + [
            system.add_node(system.folder / f"node-{n}", "--name", f"{NAME}-{n}") for n in range(1, NODES)
        ]
        self.wanted = [self._choose(n) for n in range(JOBS)]
        self.ids = {}
        self.ended = set()
        self.killed = Counter()
        self.victims = ["orchestrator"] * 3 + ["messages"] * 3 + ["node"] * (KILLS_MEANWHILE + KILLS_AFTERWARDS - 6)
        chance.shuffle(self.victims)

    def _choose(self, number):
        """Of ten: one container, one job that cannot work, one that somebody stops, three that publish, four that just
        run.
        """
        kind = number % 10
        publisher = s3_publisher(self.s3.url, self.bucket, f"job-{number:03d}/" + "{jobID}")
        seconds = round(self.chance.uniform(0, 0.6), 3)
        if kind == 0:
            return Wanted(
                shell_job(
                    self.system.image,
                    f"sleep {seconds}; date > /outputs/now",
                    Resources=ROOM,
                    ResultPaths=OUTPUTS,
                    Publisher=publisher,
                ),
                "Completed",
                1,
            )
        if kind == 1:
            forbidden = {"Source": {"Type": "localDirectory", "Params": {"SourcePath": "/etc"}}, "Target": "/inputs"}
            return Wanted(noop({}, InputSources=[forbidden]), "Failed")
        if kind == 2:
            return Wanted(noop({"Sleep": 3600}), "Stopped")
        if kind < 6:
            return Wanted(noop({"Sleep": seconds, "Stdout": str(number)}, Publisher=publisher), "Completed", 1)
        return Wanted(noop({"Sleep": seconds}), "Completed")

    def run(self):
        for node in self.nodes[1:]:
            node.start()
        kills = set(self.chance.sample(range(JOBS), KILLS_MEANWHILE))
        for number in range(JOBS):
            if number in kills:
                self._kill()
            until(lambda number=number: self._submit(number), f"job {number} is submitted")
            if self.wanted[number].state == "Stopped" and number >= 20:
                until(lambda number=number: self._stop(number - 20), f"job {number - 20} is stopped")
        self._kill_for_long()
        for _ in range(KILLS_AFTERWARDS):
            enough = min(len(self.ended) + self.chance.randrange(1, 25), JOBS - 15)
            until(lambda enough=enough: self._count_ended() >= enough, f"{enough} jobs have ended", 120)
            self._kill()
        for number in range(JOBS):
            if self.wanted[number].state == "Stopped":
                until(lambda number=number: self._stop(number), f"job {number} is stopped")

    def _kill(self):
        """A process dies and is started again at once; the message server is started by its orchestrator."""
        kind = self.victims.pop()
        self.killed[kind] += 1
        if kind == "messages":
            until(self._kill_messages, "the message server runs")
            return
        process = self.system.orchestrator if kind == "orchestrator" else self.chance.choice(self.nodes)
        process.kill()
        process.start()

    def _kill_for_long(self):
        """A node is away for so long that its work is done elsewhere; then it comes back with what it had."""
        node = self.chance.choice(self.nodes[1:])
        name = f"{NAME}-{self.nodes.index(node)}"
        self._until_joined(name)
        mark = len(self.system.orchestrator.lines)
        node.kill()
        self.system.orchestrator.until(f"node {name} left", mark)
        until(lambda: not self._executions_on(name), "what ran on it is placed elsewhere", 120)
        node.start()
        self.killed["for long"] += 1

    def _until_joined(self, node_id):
        def is_there():
            try:
                return self.system.client.node(node_id).connection == "CONNECTED"
            except BacalhauError:
                return False

        until(is_there, f"{node_id} has joined")

    def _executions_on(self, node_id):
        try:
            found = (
                e
                for job_id in self.ids.values()
                if job_id not in self.ended
                for e in self.system.client.executions(job_id)
            )
            return [e.id for e in found if e.node_id == node_id and e.is_live]
        except BacalhauError:
            return ["unknown"]

    def _kill_messages(self):
        """False while it is only being started after the kill before."""
        try:
            self.system.kill_messages()
        except (ProcessLookupError, FileNotFoundError):
            return False
        return True

    def _submit(self, number):
        """Once, whatever became of an earlier try. False while nobody answers."""
        name = f"job-{number:03d}"
        try:
            self.ids[number] = self.system.client.submit(self.wanted[number].job | {"Name": name})
        except Conflict:
            self.ids[number] = self.system.client.get_job(name).id
        except BacalhauError as e:
            assert e.retryable, e
            return False
        return True

    def _stop(self, number):
        try:
            self.system.client.stop(self.ids[number])
        except BacalhauError as e:
            assert e.retryable, e
            return False
        return True

    def _count_ended(self):
        try:
            listed = self.system.client.list_jobs(limit=JOBS).items
        except BacalhauError:
            return 0
        self.ended = {job.id for job in listed if job.state.state_type in ENDED}
        return len(self.ended)

    def check(self, containers):
        for number, wanted in enumerate(self.wanted):
            until(lambda number=number: self._has_ended(number), f"job {number} has ended", 180)
            job = self.system.client.get_job(self.ids[number])
            assert (number, job.state.state_type) == (number, wanted.state), job.state.message
            assert len(self.system.client.results(job.id)) == wanted.objects, number
        listed = self.s3.boto.list_objects_v2(Bucket=self.bucket)["Contents"]
        assert Counter(item["Key"].partition("/")[0] for item in listed) == Counter(
            f"job-{n:03d}" for n, w in enumerate(self.wanted) if w.objects
        )
        self._nothing_is_held()
        for node_id in self.node_ids():
            containers.until_none_is_left(node_id)

    def _has_ended(self, number):
        try:
            return self.system.client.wait(self.ids[number], 20).state.state_type in ENDED
        except BacalhauError as e:
            assert e.retryable, e
            return False

    def node_ids(self):
        return [self.system.node_id, *(f"{NAME}-{n}" for n in range(1, NODES))]

    def _nothing_is_held(self):
        """As many jobs as there are nodes, each as large as a whole node."""
        until(
            lambda: sum(n.connection == "CONNECTED" for n in self.system.client.nodes()) == NODES + 1,
            "all nodes are back",
        )
        whole = noop({"Sleep": 0}, Resources={"CPU": str(CPUS), "Memory": "8gb"})
        jobs = [self.system.client.submit(whole) for _ in itertools.repeat(None, NODES * 2)]
        assert {self.system.client.wait(job_id, 60).state.state_type for job_id in jobs} == {"Completed"}

        def are_free():
            computes = [node.info.compute for node in self.system.client.nodes() if node.info.node_type == "Compute"]
            return all(c.available_capacity == c.max_capacity for c in computes)

        until(are_free, "all nodes are free")


def test_nothing_is_lost(docker_url, docker_image, containers, s3, bucket, tmp_path):
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
    sys.stdout.write(f"CHAOS_SEED={seed}\n")
    with System(tmp_path / "system", docker_url, image=docker_image, split=True, settings=SETTINGS) as system:
        chaos = Chaos(system, random.Random(seed), s3, bucket)
        chaos.run()
        sys.stdout.write(f"killed: {dict(chaos.killed)}\n")
        chaos.check(containers)
