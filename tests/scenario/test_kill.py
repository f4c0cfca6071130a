"""kill -9 of any part at any moment of a job: it completes, its container ran once, its result was published once."""

import pytest

from tests.support.containers import HOLD
from tests.support.gate import Gate
from tests.support.system import OUTPUTS, System, s3_input, s3_publisher


class Moments:
    """A job at each moment of its life, kept there; each prints and publishes the moment's name."""

    def __init__(self, system, containers, gate, s3, bucket):
        self.system, self.containers, self.gate, self.s3, self.bucket = system, containers, gate, s3, bucket
        s3.fill(bucket, {"in/slow": b"slow", "in/other": b"other"})
        self.staged = gate.hold(f"GET /{bucket}/in/slow")
        self.published = gate.hold(f"PUT /{bucket}/publishing/")
        self.jobs = {}

    def begin(self):
        """Back when every job is where it shall be; the last ones are only just submitted."""
        self._submit("staging", "cat /inputs/*", InputSources=[s3_input(self.gate.url, self.bucket, "in/*")])
        for moment in ("running", "ending-unseen"):
            self._submit(moment, HOLD)
        self._submit("publishing", "true")
        self.staged.until_reached()
        self.published.until_reached()
        for moment in ("running", "ending-unseen"):
            self.containers.until("start", self.jobs[moment])
        for number in range(3):
            self._submit(f"submitted-{number}", "true")

    def _submit(self, moment, script, **task):
        publisher = s3_publisher(self.gate.url, self.bucket, moment + "/{executionID}")
        self.jobs[moment] = self.system.submit(
            f"{script}; echo {moment} | tee /outputs/moment", Publisher=publisher, ResultPaths=OUTPUTS, **task
        )

    def end_one_unseen(self):
        self.containers.let_go(self.jobs["ending-unseen"])
        self.containers.until("die", self.jobs["ending-unseen"])

    def release(self):
        self.staged.open()
        self.published.open()
        self.containers.let_go(self.jobs["running"])

    def check(self, folder):
        for moment, job_id in self.jobs.items():
            job = self.system.client.wait(job_id, 60)
            assert (moment, job.state.state_type, job.state.message) == (moment, "Completed", "")
            assert len(self.system.client.executions(job_id)) == 1, moment
            listed = self.s3.boto.list_objects_v2(Bucket=self.bucket, Prefix=f"{moment}/")
            assert (moment, listed["KeyCount"]) == (moment, 1)
            (folder / moment).mkdir()
            self.system.client.get(job_id, folder / moment)
            assert (folder / moment / "outputs" / "moment").read_text() == f"{moment}\n"
            assert (folder / moment / "stdout").read_text() == {"staging": "otherslow"}.get(moment, "") + f"{moment}\n"
            self.containers.until("destroy", job_id)
            assert len(self.containers.seen("start", job_id=job_id)) == 1, moment
        self.containers.until_none_is_left(self.system.node_id)


@pytest.mark.parametrize("victim", ["everything", "node", "orchestrator", "messages"])
def test_a_job_survives(victim, docker_url, docker_image, containers, s3, bucket, tmp_path):
    with (
        Gate(s3.url) as gate,
        System(tmp_path / "system", docker_url, image=docker_image, split=victim != "everything") as system,
    ):
        moments = Moments(system, containers, gate, s3, bucket)
        moments.begin()
        mark = len(system.orchestrator.lines)
        if victim == "messages":
            system.kill_messages()
        else:
            {"everything": system.orchestrator, "node": system.node, "orchestrator": system.orchestrator}[victim].kill()
        moments.end_one_unseen()
        if victim == "messages":
            system.until_joined(mark)
        else:
            system.start()
        moments.release()
        moments.check(tmp_path)


def test_a_job_survives_being_killed_again_and_again(docker_url, docker_image, containers, s3, bucket, tmp_path):
    """Also while it is being taken up again."""
    with Gate(s3.url) as gate, System(tmp_path / "system", docker_url, image=docker_image) as system:
        moments = Moments(system, containers, gate, s3, bucket)
        moments.begin()
        for moment in ("taking up execution", "API: ", f"node {system.node_id} joined"):
            system.kill()
            mark = len(system.orchestrator.lines)
            system.orchestrator.start()
            system.orchestrator.until(moment, mark)
        moments.end_one_unseen()
        moments.release()
        moments.check(tmp_path)


def test_stopping_in_order_leaves_containers_to_the_next_process(
    docker_url, docker_image, containers, s3, bucket, tmp_path
):
    with Gate(s3.url) as gate, System(tmp_path / "system", docker_url, image=docker_image, split=True) as system:
        moments = Moments(system, containers, gate, s3, bucket)
        moments.begin()
        system.stop()
        moments.end_one_unseen()
        system.start()
        moments.release()
        moments.check(tmp_path)
