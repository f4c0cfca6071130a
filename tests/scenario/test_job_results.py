"""Results of one job as inputs of the next: by name and id, whole and in part, from each place that keeps results."""

import pytest

from tests.support.system import OUTPUTS

SCRIPT = "echo $BACALHAU_PARTITION_INDEX > /outputs/f"


def taken(job, target="/in", **params):
    return {"Source": {"Type": "job", "Params": {"Job": job, **params}}, "Target": target}


@pytest.mark.parametrize("kind", ["ipfs", "local", "s3", "s3plain"])
def test_the_next_job_reads_a_result_wherever_it_is(system, s3, kind):
    params = {"Bucket": s3.new_bucket(), "Key": "r/{jobID}/{executionID}", "Endpoint": s3.url}
    encoding = {"s3": "gzip", "s3plain": "plain"}.get(kind)
    publisher = {"Type": "s3", "Params": params | {"Encoding": encoding}} if encoding else {"Type": kind}
    first = system.run(SCRIPT, ResultPaths=OUTPUTS, Publisher=publisher)
    assert first.state.state_type == "Completed", first.state.message
    second = system.run(
        "cat /in/outputs/f; ls /part", InputSources=[taken(first.id[:10]), taken(first.id, "/part", Path="outputs")]
    )
    assert (second.state.state_type, system.output(second.id)) == ("Completed", "0\nf\n"), second.state.message


def test_several_results_stand_in_folders_of_their_own(system):
    first = system.run(SCRIPT, ResultPaths=OUTPUTS, Publisher={"Type": "ipfs"}, job={"Count": 3, "Name": "three"})
    assert first.state.state_type == "Completed", first.state.message
    second = system.run("cat /in/*/f", InputSources=[taken("three", Path="outputs")])
    assert (second.state.state_type, system.output(second.id)) == ("Completed", "0\n1\n2\n"), second.state.message
    third = system.run("true", InputSources=[taken("three", Path="nope")])
    assert third.state.state_type == "Failed"
    assert third.state.message.startswith(f"the result of job {first.id}, execution e-")
    assert third.state.message.endswith(" has no nope")


def test_a_job_waits_for_the_result_of_another(system):
    first = system.submit(f"sleep 2; {SCRIPT}", ResultPaths=OUTPUTS, Publisher={"Type": "ipfs"})
    second = system.submit("cat /in/outputs/f", InputSources=[taken(first, Wait=True)])
    system.until_event(second, lambda item: f"waiting for the result of job {first[:10]}" in item.event.message)
    assert system.client.wait(second, 60).state.state_type == "Completed" and system.output(second) == "0\n"


def test_the_lineage_of_a_job_is_shown_both_ways(system):
    first = system.run(SCRIPT, ResultPaths=OUTPUTS, Publisher={"Type": "ipfs"}, job={"Name": "origin"})
    second = system.run("true", InputSources=[taken("origin", Path="outputs")])
    third = system.cli("job", "describe", "--lineage", second.id).stdout
    assert f"{second.id[:10]} {second.name}, version 1: Completed" in third
    assert f"  /in from job {first.id[:10]}, version 1:" in third and "Read by no job" in third
    assert f"{first.id[:10]} origin, version 1: Completed\n  reads nothing\n" in third
    shown = system.cli("job", "describe", "--lineage", "origin").stdout
    assert f"Read by:\n  {second.id[:10]} {second.name}, version 1\n" in shown
    told = system.cli("job", "describe", "--lineage", "--output", "json", "origin").stdout
    assert f'"JobID": "{second.id}"' in told or f'"JobID":"{second.id}"' in told


def test_the_same_work_is_not_done_twice_and_its_result_outlives_the_job_that_did_it(system, tmp_path):
    job = {"Reuse": {"Enabled": True, "MaxAge": "1h", "Unpinned": True}}
    task = {"ResultPaths": OUTPUTS, "Publisher": {"Type": "ipfs"}, "Network": {"Type": "None"}, "job": job}
    script = "head -c 20 /dev/urandom | md5sum | tee /outputs/f"
    first, second = system.run(script, **task), system.run(script, **task)
    assert (second.state.state_type, second.state.message) == ("Completed", "")
    (old,), (new,) = system.client.executions(first.id), system.client.executions(second.id)
    assert (new.reused.job_id, new.reused.execution_id) == (first.id, old.id)
    assert system.output(second.id) == system.output(first.id) != ""
    assert f"Result of execution {old.id[:10]} of job {first.id[:10]} used" in system.cli("describe", second.id).stdout
    system.cli("job", "delete", first.id)
    told = system.cli("get", second.id, "--output-dir", ".", cwd=tmp_path).stderr
    assert f"1 of 1 results were used again, not computed: they are of job {first.id[:10]}" in told
    assert (tmp_path / "outputs" / "f").read_text() == old.run_output.stdout
    pinned = {**task, "job": {"Reuse": {"Enabled": True}}}
    third = system.run(script, **pinned)
    said = [item.event.message for item in system.client.history(third.id).items]
    assert any("No result is used again: image" in text and "is not pinned by its digest" in text for text in said)
