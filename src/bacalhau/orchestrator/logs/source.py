"""Everything one execution printed, from a place on, from whoever has it: the copy here, the record, or the node
itself.

Nodes of other makes do not send their logs; they are asked, and what they say is counted as it comes.
"""

import asyncio
from collections import deque

from bacalhau.lib.aio import Crew, Signal
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BacalhauError
from bacalhau.models.execution.execution import ComputeStateType, Execution, RunCommandResult
from bacalhau.models.node.node import CONNECTED
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.logs.text import Decoder, LogText
from bacalhau.orchestrator.state.board import Watch
from bacalhau.ports.logs import STDERR, STDOUT, Offsets, Piece

LATE_NS = 30_000_000_000  # how long after an execution's end its node may take to send the rest
CANCEL_NS = 10_000_000_000  # the same for one that was cancelled
ORDER_NS = 3_000_000_000  # and for one whose record lacks nothing but the order of its streams
ASK_AGAIN_NS = 400_000_000
QUEUE = 32  # texts
LOST = "the rest of the output is lost: its node is gone"


class NodeStream:
    """The answer of a node that is asked for a log.

    `is_over` when nothing more will come of it; `failed_at` (Unix ns) when it could not.
    """

    def __init__(self, at: Offsets, watch: Watch) -> None:
        self.is_over = False
        self.failed_at = 0
        self._at = {STDOUT: 0, STDERR: 0}
        self._from = at
        self._watch = watch
        self._pieces: deque[Piece] = deque()
        self._taken = Signal()

    async def pump(self, orch: Orchestrator, execution: Execution, tail: bool, follow: bool) -> None:
        """Run by a crew. A node that cannot be read is not an error: the copy and the record may say as much."""
        try:
            async for stream, text in orch.bus.stream_logs(execution.node_id, execution.id, tail=tail, follow=follow):
                data = text.encode()
                self._pieces.append(Piece(stream, self._at[stream], data))
                self._at[stream] += len(data)
                self._watch.wake()
                while len(self._pieces) >= QUEUE:
                    await self._taken.wait(60)
        except BacalhauError:
            self.failed_at = now_ns()
        finally:
            self.is_over = True
            self._watch.wake()

    def take(self) -> list[Piece]:
        """Take the pieces that are new to the reader."""
        pieces = [p for p in self._pieces if p.end > self._from.of(p.stream)]
        self._pieces.clear()
        self._taken.fire()
        return pieces


class ExecutionLog:
    """Read again and again; `is_over` when nothing more can come, `is_late` when something should have come.

    `is_from_now`: nothing old.
    """

    def __init__(self, orch: Orchestrator, execution: Execution, at: Offsets, watch: Watch) -> None:
        self.execution = execution
        self.is_over = False
        self.is_late = False
        self.is_from_now = False
        self._orch = orch
        self._watch = watch
        self._decoder = Decoder(execution.id, at)
        self._cursor = orch.logs.files.cursor(execution.id, at)
        self._stream: NodeStream | None = None

    async def read(self, execution: Execution, crew: Crew, *, follow: bool) -> list[LogText]:
        """Read the output that there is now. `execution` is as it is now; `crew` takes what asks a node."""
        self.execution = execution
        self.is_late = False
        if execution.is_live:
            self._ask_if_needed(crew, follow=follow)
        if self._stream is not None and not self._stream.failed_at:
            return self._read_stream()
        pieces, is_whole = await asyncio.to_thread(self._look_at_copy)
        if pieces:
            return self._decoder.take(pieces)
        if execution.is_live:
            self.is_over = not follow
            self.is_late = self._stream is not None
            return []
        return self._conclude(crew, is_whole=is_whole, follow=follow)

    def _ask_if_needed(self, crew: Crew, *, follow: bool) -> None:
        """A live execution: our nodes send by themselves while somebody follows; others, and for what there is just
        now, ours, are asked.
        """
        is_first = self._stream is None
        must_ask_others = follow and not self._sends() and (is_first or self._is_to_ask_again())
        must_ask_once = not follow and is_first and self._decoder.end == Offsets()
        if (must_ask_others or must_ask_once) and self._may_ask():
            self._ask(crew, tail=self.is_from_now and is_first, follow=follow)

    def _read_stream(self) -> list[LogText]:
        """A node that has said everything ends the reading."""
        stream = self._stream
        texts = self._decoder.take(stream.take()) if stream else []
        if texts or stream is None or not stream.is_over:
            return texts
        self.is_over = True
        return self._decoder.rest()

    def _look_at_copy(self) -> tuple[list[Piece], bool]:
        """New pieces, and whether the copy held all there is before it was read."""
        place = self._orch.logs.files.place(self.execution.id)
        return self._cursor.read(), place is not None and place[1]

    def _conclude(self, crew: Crew, *, is_whole: bool, follow: bool) -> list[LogText]:
        """An ended execution, whose copy has been read as far as it goes."""
        output = self.execution.run_output
        if not is_whole and self._is_expected(follow):
            self.is_late = True
            return []
        is_cut = output is not None and (output.stdout_truncated or output.stderr_truncated)
        if not is_whole and is_cut and self._stream is None and not self._sends() and self._may_ask():
            self._ask(crew, tail=False, follow=False)
            return []
        self.is_over = True
        texts = [] if is_whole else self._recorded()
        return texts + self._decoder.rest() + (self._decoder.say(LOST) if is_cut and not is_whole else [])

    def _is_expected(self, follow: bool) -> bool:
        """The node should still send something; soon after the end, that is.

        A cancelled execution has no record: its node tells all, or silence.
        """
        output = self.execution.run_output
        node_can = self._sends() and (follow or self._is_connected())
        if self.execution.state == ComputeStateType.CANCELLED:
            limit = 0 if self._orch.logs.ended_silent(self.execution.id) else CANCEL_NS
        elif output is not None and output.is_complete:
            limit = 0 if output.is_whole or self._has_all(output) else ORDER_NS
        else:
            limit = LATE_NS
        return node_can and now_ns() - self.execution.modify_time < limit

    def _has_all(self, output: RunCommandResult) -> bool:
        """Tell whether all that a complete record holds has been read."""
        return self._decoder.end == Offsets(len(output.stdout.encode()), len(output.stderr.encode()))

    def _recorded(self) -> list[LogText]:
        """Return the output in the record that was not read yet."""
        output = self.execution.run_output
        texts = ((STDOUT, output.stdout), (STDERR, output.stderr)) if output else ()
        return self._decoder.take([Piece(stream, 0, data) for stream, text in texts if (data := text.encode())])

    def _is_to_ask_again(self) -> bool:
        """A node that cannot be asked says so at once."""
        return self._stream is not None and 0 < self._stream.failed_at < now_ns() - ASK_AGAIN_NS

    def _sends(self) -> bool:
        """Tell whether the node of the execution is of our make, and so sends what it prints."""
        node = self._orch.cluster.get(self.execution.node_id)
        return node is not None and node.native

    def _is_connected(self) -> bool:
        node = self._orch.cluster.get(self.execution.node_id)
        return node is not None and node.connection_state.status == CONNECTED

    def _may_ask(self) -> bool:
        return self._is_connected() or self._orch.cluster.get(self.execution.node_id) is None

    def _ask(self, crew: Crew, *, tail: bool, follow: bool) -> None:
        self._stream = NodeStream(self._decoder.end, self._watch)
        crew.start(self._stream.pump(self._orch, self.execution, tail, follow))
