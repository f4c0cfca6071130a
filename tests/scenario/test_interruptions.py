"""A node whose process is killed again and again while it has work: the work is given up in the end, and the node is
free.
"""

import pytest

from tests.support.containers import HOLD
from tests.support.system import System


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_work_that_a_node_did_not_survive_four_times_is_given_up_but_orderly_stops_do_not_count(
    how, docker_url, docker_image, containers, tmp_path
):
    with System(tmp_path / "system", docker_url, image=docker_image, split=True) as system:
        job_id = system.submit(HOLD)
        containers.until("start", job_id)
        for _ in range(4):
            getattr(system.node, how)()
            mark = len(system.orchestrator.lines)
            system.node.start()
            system.until_joined(mark)
        if how == "stop":
            containers.let_go(job_id)
        job = system.client.wait(job_id, 60)
        [execution] = system.client.executions(job_id)
        containers.until("destroy", job_id)
        assert len(containers.seen("start", job_id=job_id)) == 1
        if how == "stop":
            assert job.state.state_type == "Completed"
            return
        assert job.state.state_type == "Failed"
        assert job.state.message == execution.compute_state.message
        assert job.state.message.startswith("the process of its node ended 4 times, without an orderly stop")
        assert system.run("true").state.state_type == "Completed"
