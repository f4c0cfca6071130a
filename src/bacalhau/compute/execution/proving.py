"""Makes the proof of an execution when its result is published."""

import asyncio
from collections.abc import Iterable

from bacalhau.compute.core import ComputeNode
from bacalhau.compute.execution.reading import begin_written, complete_written, find_read
from bacalhau.compute.remote.proof import hand_in
from bacalhau.compute.state.attempt import Attempt
from bacalhau.lib.clock import now_ns
from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.proof import FileRow, Proof, Root, Stage, Written
from bacalhau.models.job.job import Job
from bacalhau.models.node.version import this_version

SECOND = 1_000_000_000


class Proving:
    """The proof of one execution in the making. `ran` is when its task had ended, in Unix ns.

    There is none where nothing was read and nothing is published, nor for an orchestrator of another make.
    """

    def __init__(self, node: ComputeNode, execution: Execution, attempt: Attempt, ran: int) -> None:
        self._node, self._execution, self._attempt, self._ran = node, execution, attempt, ran
        self._folder = node.execution_folder(execution.id)
        task = (execution.job or Job()).task
        self._reads, self._publishes = bool(task.input_sources), bool(task.publisher_type)
        self.written = begin_written(self._folder) if self._publishes else Written()

    @property
    def is_wanted(self) -> bool:
        return self._node.is_fenced and (self._reads or self._publishes)

    async def hand_in(self) -> Proof:
        """Complete the proof, and hand it in. A proof that cannot be made is one with an error."""
        published = now_ns()
        try:
            if self._publishes:
                await asyncio.to_thread(complete_written, self.written, self._folder / "result")
        except OSError as e:
            return Proof(error=f"the result cannot be read: {e.strerror or e}")
        read = find_read(self._folder) if self._reads else ()
        if read is None:
            return Proof(error="what was read was not taken down, because the disk of the node refused")
        stages = await asyncio.to_thread(self._stages, read, published)
        self._node.stages.bytes.update({stage.name: stage.bytes for stage in stages})
        root = Root(
            stages=stages,
            started=self._attempt.started,
            ended=published,
            image=self._attempt.image,
            node_version=this_version().git_version,
        )
        return await hand_in(self._node, self._execution, root, read, self.written.rows)

    def _stages(self, read: Iterable[FileRow], published: int) -> tuple[Stage, ...]:
        """Sum up the stages. An earlier process of the node may have begun this one; its own time is then unknown."""
        attempt, stages = self._attempt, list[Stage]()
        if attempt.staged:
            files, size = _sum(read)
            seconds = (attempt.staged - attempt.started) / SECOND
            stages.append(Stage(name="staging", seconds=seconds, files=files, bytes=size))
            stages.append(Stage(name="running", seconds=(self._ran - attempt.staged) / SECOND))
        if self._publishes:
            files, size = _sum(self.written.rows)
            seconds = (published - self._ran) / SECOND
            stages.append(Stage(name="publishing", seconds=seconds, files=files, bytes=size))
        return tuple(stages)


def _sum(rows: Iterable[FileRow]) -> tuple[int, int]:
    """Count files and their bytes."""
    files = size = 0
    for row in rows:
        files, size = files + 1, size + row.size
    return files, size
