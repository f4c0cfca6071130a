"""Results in the orchestrator's own bucket: neither the node that stores them nor the client that fetches them has
credentials.
"""

import json

import httpx
import pytest

from tests.support.system import OUTPUTS, OWNER, shell_job

MANAGED = {"Type": "s3managed"}


@pytest.fixture(scope="module")
def managed(start_system, s3):
    bucket = s3.new_bucket()
    section = {"BUCKET": bucket, "KEY": "kept/", "REGION": "us-east-1", "ENDPOINT": s3.url}
    variables = OWNER | {f"BACALHAU_PUBLISHERS_TYPES_S3MANAGED_{name}": value for name, value in section.items()}
    system = start_system(split=True, variables=variables)
    assert system.node.stop() == 0
    poor = system.add_node(system.folder / "poor", **dict.fromkeys(OWNER, ""))
    poor.start()
    poor.until("joined its orchestrator", 0)
    return system


def test_stored_by_the_node_and_fetched_by_the_client_with_links(managed, s3, tmp_path):
    script = (
        "echo $BACALHAU_PARTITION_INDEX; echo $BACALHAU_PARTITION_INDEX > /outputs/$BACALHAU_PARTITION_INDEX; head -c"
        " 3000000 /dev/urandom > /outputs/r$BACALHAU_PARTITION_INDEX"
    )
    job = managed.run(script, ResultPaths=OUTPUTS, Publisher=MANAGED, job={"Count": 2})
    assert (job.state.state_type, job.state.message) == ("Completed", "")
    executions = managed.client.executions(job.id)
    assert [e.published_result.params for e in executions] == [
        {"JobID": job.id, "ExecutionID": e.id} for e in executions
    ]
    bucket = managed.environment["BACALHAU_PUBLISHERS_TYPES_S3MANAGED_BUCKET"]
    keys = {found["Key"] for found in s3.boto.list_objects_v2(Bucket=bucket)["Contents"]}
    assert keys == {f"kept/{job.id}/{e.id}.tar.gz" for e in executions}
    results = managed.client.results(job.id)
    assert [(r.type, r.params["Managed"], r.params["SourceSpec"]["Bucket"]) for r in results] == [
        ("s3PreSigned", True, "")
    ] * 2
    managed.cli("get", job.id, "--output-dir", ".", cwd=tmp_path)
    assert sorted((tmp_path / "stdout").read_text().split()) == ["0", "1"]
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == {"0", "1", "r0", "r1"}
    assert "s3:///" not in managed.cli("job", "describe", job.id).stdout


def test_parameters_have_no_effect_and_are_named(managed):
    job = shell_job(managed.image, "true", Publisher={"Type": "s3managed", "Params": {"Bucket": "b"}})
    answer = httpx.put(f"{managed.url}/api/v1/orchestrator/jobs", json={"Job": job}).json()
    assert "'Bucket' in 'Job.Tasks[0].Publisher.Params'" in answer["Warnings"][0]


def test_without_a_bucket_the_publisher_is_refused_at_submission(system):
    with pytest.raises(Exception, match="publisher s3managed is not set up on this orchestrator") as refused:
        system.submit("true", Publisher=MANAGED)
    assert "Publishers.Types.S3Managed.Bucket" in json.dumps(str(refused.value))


def test_a_result_is_the_input_of_another_job_and_used_again_by_a_node_without_credentials(managed, tmp_path):
    task = {"ResultPaths": OUTPUTS, "Publisher": MANAGED, "Network": {"Type": "None"}}
    task["job"] = {"Reuse": {"Enabled": True, "MaxAge": "1h", "Unpinned": True}}
    script = "head -c 20 /dev/urandom | md5sum | tee /outputs/f"
    first, again = managed.run(script, **task), managed.run(script, **task)
    assert (first.state.state_type, first.state.message) == ("Completed", "")
    (old,), (new,) = managed.client.executions(first.id), managed.client.executions(again.id)
    assert (new.reused.job_id, new.reused.execution_id) == (first.id, old.id)
    for job in (first, again):
        source = {"Type": "job", "Params": {"Job": job.id, "Path": "outputs"}}
        reader = managed.run("cat /in/f", InputSources=[{"Source": source, "Target": "/in"}])
        assert (reader.state.state_type, managed.output(reader.id)) == ("Completed", old.run_output.stdout), (
            reader.state
        )
        shown = managed.cli("job", "describe", "--output", "json", reader.id).stdout
        assert "s3managed" in shown and "X-Amz-Signature" not in shown
    direct = {"Type": "s3managed", "Params": {"JobID": first.id, "ExecutionID": old.id}}
    with pytest.raises(Exception, match="results of publisher s3managed are no inputs by themselves: write job://ID"):
        managed.submit("true", InputSources=[{"Source": direct, "Target": "/in"}])
