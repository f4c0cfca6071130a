"""Run by the interpreter that has `bacalhau-sdk` 1.3.2: what a program of its users does, told as one JSON document.

Arguments: an image with `sh`, and where an S3 server listens.
"""

import contextlib
import io
import json
import re
import sys
import time
from importlib.metadata import metadata

from bacalhau_apiclient.api.misc_api import MiscApi
from bacalhau_apiclient.api.utils_api import UtilsApi
from bacalhau_apiclient.models.deal import Deal
from bacalhau_apiclient.models.job_spec_docker import JobSpecDocker
from bacalhau_apiclient.models.publisher_spec import PublisherSpec
from bacalhau_apiclient.models.spec import Spec
from bacalhau_apiclient.models.storage_spec import StorageSpec
from bacalhau_apiclient.models.version_request import VersionRequest
from bacalhau_apiclient.rest import ApiException
from bacalhau_sdk import api
from bacalhau_sdk.config import get_client_id

IMAGE, S3 = sys.argv[1:]


def readme_program():
    """The programs of the SDK's own long description that submit and that ask for results; only the image and the id
    are ours.
    """
    programs = re.findall(
        r"```python\n(.*?)```", metadata("bacalhau-sdk").get_payload() or metadata("bacalhau-sdk")["Description"], re.S
    )
    submits, asks = (program for program in programs if "import" in program)
    names, shown = {}, io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(submits.replace('image="ubuntu"', f'image="{IMAGE}"'), names)
    job_id = re.search(r"'id': '([^']+)'", shown.getvalue())[1]
    until(job_id, "Completed")
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        exec(re.sub(r'job_id="[^"]+"', f'job_id="{job_id}"', asks), names)
    return job_id, shown.getvalue()


def until(job_id, state):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        now = api.states(job_id).state.state
        if now == state:
            return
        assert now not in ("Error", "Cancelled"), now
    raise AssertionError(f"job {job_id} is {now}")


def submitted(*command, publisher="IPFS", **spec):
    docker = JobSpecDocker(image=IMAGE, entrypoint=[*command])
    outputs = [StorageSpec(storage_source="IPFS", name="outputs", path="/outputs")]
    whole = {
        "engine": "Docker",
        "publisher": publisher,
        "docker": docker,
        "deal": Deal(concurrency=1),
        "outputs": outputs,
    } | spec
    return api.submit({"APIVersion": "V1beta1", "ClientID": get_client_id(), "Spec": Spec(**whole)}).job.metadata.id


def hello():
    job_id, results = readme_program()
    state = api.states(job_id).state
    events = api.events(job_id).events
    return {
        "cid": state.executions[0].published_results.cid,
        "results": results,
        "stdout": state.executions[0].run_output.stdout,
        "states": sorted({e.job_state.new for e in events if e.job_state}),
        "last": [e.execution_state.new for e in events if e.execution_state][-1],
        "owner": api.list().jobs[0].job.metadata.client_id == get_client_id(),
    }


def piped():
    """A second job reads what the first has published, and publishes to S3."""
    first = submitted("sh", "-c", "echo one > /outputs/one")
    until(first, "Completed")
    cid = api.results(first).results[0].data.cid
    params = {"Bucket": "results", "Key": "seed/{jobID}", "Endpoint": S3, "Region": "us-east-1"}
    inputs = [StorageSpec(storage_source="IPFS", cid=cid, path="/before")]
    second = submitted(
        "cat",
        "/before/outputs/one",
        publisher=None,
        publisher_spec=PublisherSpec(type="S3", params=params),
        inputs=inputs,
    )
    until(second, "Completed")
    data = api.results(second).results[0].data
    return {
        "stdout": api.states(second).state.executions[0].run_output.stdout,
        "source": data.storage_source,
        "key": data.s3.key,
        "job": second,
    }


def listed():
    """At most five, oldest first."""
    for _ in range(5):
        submitted("true")
    jobs = api.list().jobs
    created = [info.job.metadata.created_at for info in jobs]
    return {"count": len(jobs), "in_order": created == sorted(created)}


def cancelled():
    job_id = submitted("sleep", "600")
    first = api.cancel(job_id).state.state
    return [first, api.cancel(job_id).state.state, api.states(job_id).state.state]


def refused():
    said = []
    for call in (
        lambda: api.cancel("j-00000000"),
        lambda: submitted("true", deal=Deal(concurrency=0)),
        lambda: submitted("true", publisher="Tape"),
    ):
        try:
            call()
        except ApiException as e:
            said.append([e.status, json.loads(e.body)["Message"]])
    return said


def server():
    utils = UtilsApi(api.client)
    build = MiscApi(api.client).api_serverversion(VersionRequest(client_id=get_client_id())).build_version_info
    return {
        "version": build.gitversion,
        "os": build.goos,
        "free": utils.healthz().free_space.root.free,
        "id": utils.id(),
        "node": utils.node_info().node_type,
    }


sys.stdout.write(json.dumps({step.__name__: step() for step in (hello, piped, listed, cancelled, refused, server)}))
