"""Provenance as in-toto statements with SLSA's predicate, for programs that judge where files came from.

Each execution is one statement and one line. Its files are read page by page while it is sent, so that a statement of a
million files takes little memory. A statement whose proof is missing, or cannot be read to its end, says so in its
byproducts, under the name `missing`. The statements are not signed: whoever relies on them signs them.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from bacalhau.lib.clock import rfc3339
from bacalhau.lib.errors import BacalhauError
from bacalhau.lib.wire import encode, go_escaped
from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.proof import Proof, Root
from bacalhau.models.job.job import Job, Task
from bacalhau.models.wire.api import ProvenFile
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.jobs.provenance import files_of, list_proven, not_proven, why_missing
from bacalhau.orchestrator.jobs.recipe import read_recipe

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:bacalhau:execution:v1"
_NODE = "urn:bacalhau:node:"


async def write_statements(orch: Orchestrator, job: Job, execution_id: str = "") -> AsyncIterator[bytes]:
    """Yield the statements of a version of a job as JSON Lines, piece by piece. Raises NotFound for an execution that
    it does not have, or that has not completed.
    """
    is_any = False
    async for execution in list_proven(orch, job, execution_id):
        is_any = True
        async for piece in _Statement(orch, job, execution).write():
            yield piece
    if execution_id and not is_any:
        raise not_proven(job, execution_id)


class _Statement:
    """The statement of one execution. `missing` says what of its proof could not be read."""

    def __init__(self, orch: Orchestrator, job: Job, execution: Execution) -> None:
        self._orch, self._job, self._execution = orch, job, execution
        self.missing = why_missing(job, execution)

    async def write(self) -> AsyncIterator[bytes]:
        root = await self._read_root()
        yield b'{"_type":%s,"subject":[' % _json(STATEMENT)
        async for piece in self._list((), root.output_pages, _subject):
            yield piece
        definition = _json(_definition(self._job, self._execution))[:-1]
        yield b'],"predicateType":%s,"predicate":{"buildDefinition":%s' % (_json(PREDICATE), definition)
        yield b',"resolvedDependencies":['
        async for piece in self._list(_image(root.image), root.input_pages, _dependency):
            yield piece
        yield b']},"runDetails":%s}}\n' % _json(_details(self._execution, root, self.missing))

    async def _read_root(self) -> Root:
        if self.missing:
            return Root()
        try:
            return await self._orch.proofs.read_root(self._execution)
        except BacalhauError as e:
            self.missing = f"it cannot be read: {e.message}"
            return Root()

    async def _list(
        self, first: Iterable[dict[str, Any]], names: Iterable[str], tell: Callable[[ProvenFile], dict[str, Any]]
    ) -> AsyncIterator[bytes]:
        """Yield the items of a list of descriptors, separated by commas; a page that cannot be read ends it."""
        items, before = list(first), b""
        try:
            async for rows in self._orch.proofs.read_pages(self._execution.id, names):
                items += map(tell, files_of(self._job, rows))
                yield before + _json(items)[1:-1]
                items, before = [], b","
        except BacalhauError as e:
            self.missing = f"it cannot be read: {e.message}"
        if items:
            yield _json(items)[1:-1]


def _definition(job: Job, execution: Execution) -> dict[str, Any]:
    """Tell what was to be done, without what was read."""
    proof = execution.proof or Proof()
    return {
        "buildType": BUILD_TYPE,
        "externalParameters": {
            "job": {"id": job.id, "version": job.version, "name": job.name, "namespace": job.namespace},
            "partition": {"index": execution.partition_index, "count": job.wanted},
            **_told_task(job.task),
        },
        "internalParameters": {
            "executionID": execution.id,
            "nodeID": execution.node_id,
            "state": execution.state.label,
            "inputDigest": proof.inputs,
            "sourceDigest": proof.sources,
            "outputDigest": proof.outputs,
        },
    }


def _told_task(task: Task) -> dict[str, Any]:
    recipe = read_recipe(task)
    return {
        "engine": {"type": recipe.engine.type, "settings": recipe.engine.params},
        "command": recipe.command,
        "environment": recipe.environment,
        "resultPaths": [{"name": each.name, "path": each.path} for each in task.result_paths or ()],
    }


def _details(execution: Execution, root: Root, missing: str) -> dict[str, Any]:
    """Tell who did it, when, and what else came of it: the seconds of each stage."""
    times = {"startedOn": root.started, "finishedOn": root.ended}
    byproducts = [
        {"name": each.name, "annotations": {"seconds": each.seconds, "files": each.files, "bytes": each.bytes}}
        for each in root.stages
    ]
    if missing:
        byproducts.append({"name": "missing", "annotations": {"reason": missing}})
    version = {"version": {"bacalhau": root.node_version}} if root.node_version else {}
    return {
        "builder": {"id": _NODE + execution.node_id, **version},
        "metadata": {"invocationId": execution.id, **{name: rfc3339(time) for name, time in times.items() if time}},
        "byproducts": byproducts,
    }


def _image(image: str) -> list[dict[str, Any]]:
    """Describe the image: `NAME@sha256:DIGEST`, or the digest alone of one that no registry knows."""
    if not image:
        return []
    name, _, digest = image.rpartition("sha256:")
    told: dict[str, Any] = {"name": "image", "uri": f"docker://{image}" if name else f"urn:docker:image:{image}"}
    return [told | ({"digest": {"sha256": digest}} if digest and digest != image else {})]


def _subject(file: ProvenFile) -> dict[str, Any]:
    return {"name": file.path, "digest": {"sha256": file.sha256}}


def _dependency(file: ProvenFile) -> dict[str, Any]:
    """Describe a file of an input; one that was used where it is has no digest."""
    told: dict[str, Any] = {"name": f"{file.target.rstrip('/')}/{file.path}"}
    if file.uri:
        told["uri"] = file.uri
    if file.sha256:
        told["digest"] = {"sha256": file.sha256}
    pins = {"etag": file.etag, "version": file.version}
    return told | {"annotations": {"size": file.size, **{name: pin for name, pin in pins.items() if pin}}}


def _json(value: Any) -> bytes:
    return go_escaped(encode(value))
