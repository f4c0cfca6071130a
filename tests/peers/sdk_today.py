"""Run by the interpreter that has `bacalhau-sdk` 1.4: what a program of its users does, told as one JSON document.

Arguments: an image with `sh`, and where an S3 server listens.
"""

import contextlib
import io
import json
import re
import sys
import time
from importlib.metadata import metadata

from bacalhau_apiclient.api.ops_api import OpsApi
from bacalhau_apiclient.api.utils_api import UtilsApi
from bacalhau_apiclient.models.all_of_execution_published_result import SpecConfig
from bacalhau_apiclient.models.api_put_job_request import ApiPutJobRequest
from bacalhau_apiclient.models.job import Job
from bacalhau_apiclient.models.result_path import ResultPath
from bacalhau_apiclient.models.task import Task
from bacalhau_sdk.jobs import Jobs

IMAGE, S3 = sys.argv[1:]
jobs = Jobs()


def quietly(call, *args, **more):
    """The answer, and what the SDK printed: that is how it tells of an error."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        answer = call(*args, **more)
    return answer, said.getvalue()


def readme_program():
    """The first program of the SDK's own long description; only the image is ours."""
    (text, *_) = re.findall(
        r"```python\n(.*?)```", metadata("bacalhau-sdk").get_payload() or metadata("bacalhau-sdk")["Description"], re.S
    )
    names = {}
    exec(text.replace("ubuntu:latest", IMAGE).replace("/bin/bash", "sh"), names)
    return names["put_job_response"]


def put(name, script, publisher=None, **more):
    engine = SpecConfig(type="docker", params={"Image": IMAGE, "Entrypoint": ["sh"], "Parameters": ["-c", script]})
    task = Task(name="main", engine=engine, publisher=publisher or SpecConfig(), **more)
    return jobs.put(ApiPutJobRequest(job=Job(name=name, type="batch", count=1, tasks=[task])))


def until(job_id, *states):
    """Asks as fast as it can: a client that polls is never refused."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        state = jobs.get(job_id).job.state.state_type
        if state in states:
            return state
    raise AssertionError(f"job {job_id} is {state}")


def hello():
    first, _ = quietly(readme_program)
    job_id = first.job_id
    until(job_id, "Completed")
    found = jobs.get(job_id, include="executions,history")
    (execution,) = found.executions.items
    same = jobs.executions(job_id).items
    history = jobs.history(job_id).items
    twice, refusal = quietly(readme_program)
    return {
        "id": job_id,
        "stdout": execution.run_output.stdout,
        "exit_code": execution.run_output.exit_code,
        "node": execution.node_id,
        "same": [e.id for e in same] == [execution.id],
        "levels": sorted({item.type for item in history}),
        "included": len(found.history.items),
        "twice": [twice, refusal],
    }


def listed():
    for number in range(6):
        put(f"many-{number}", "true")
    first = jobs.list(limit=5)
    rest = jobs.list(limit=5, next_token=first.next_token)
    backwards = jobs.list(limit=7, reverse=True)
    forwards = [job.id for job in (*first.items, *rest.items)]
    return {
        "pages": [len(first.items), len(rest.items)],
        "distinct": len(set(forwards)),
        "reversed": [j.id for j in backwards.items] == forwards[::-1],
    }


def results():
    params = {"Bucket": "results", "Key": "sdk/{jobID}", "Endpoint": S3, "Region": "us-east-1"}
    path = ResultPath(name="outputs", path="/outputs")
    job_id = put(
        "published", "echo one > /outputs/one", SpecConfig(type="s3", params=params), result_paths=[path]
    ).job_id
    until(job_id, "Completed")
    (item,) = jobs.results(job_id).items
    return {"type": item.type, "keys": sorted(item.params)}


def stopped():
    job_id = put("long", "sleep 600").job_id
    until(job_id, "Running")
    answer = jobs.stop(job_id, reason="enough")
    until(job_id, "Stopped")
    again, _ = quietly(jobs.stop, job_id)
    return {
        "evaluation": bool(answer.evaluation_id),
        "message": jobs.get(job_id).job.state.message,
        "again": again is not None,
    }


def unknown():
    answer, said = quietly(jobs.get, "j-00000000-0000-4000-8000-000000000000")
    return {"answer": answer, "said": said}


def agent():
    """Calls of the generated client below the SDK, those of its older addresses among them."""
    client = jobs.orchestrator_service.api_client
    ops, utils = OpsApi(client), UtilsApi(client)
    own, version = ops.agentnode(), ops.agentversion()
    return {
        "alive": "OK" in str(ops.agentalive()),
        "node": own.node_id,
        "capacity": own.compute_node_info.max_capacity.cpu > 0,
        "version": version.git_version,
        "debug": ops.agentdebug() is not None,
        "id": utils.id(),
        "live": utils.livez(),
    }


def finished_or_unknown():
    """`results_states_job.py` of its examples: results and executions of a job, and of one that is not there."""
    job_id = put("finished", "true").job_id
    until(job_id, "Completed")
    there = [quietly(ask, job_id)[0] is not None for ask in (jobs.results, jobs.executions)]
    not_there = [quietly(ask, "j-00000000-0000-4000-8000-000000000000") for ask in (jobs.results, jobs.executions)]
    again, said = quietly(jobs.stop, job_id)
    return {
        "there": there,
        "not_there": [answer is None and "(404)" in text for answer, text in not_there],
        "stopped": [again, "cannot stop" in said],
    }


STEPS = (hello, listed, results, stopped, unknown, agent, finished_or_unknown)
sys.stdout.write(json.dumps({step.__name__: step() for step in STEPS}))
