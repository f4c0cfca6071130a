"""Proofs of executions in the content store: pages that nodes send, and that are removed with their execution.

A page begins with a line that names its execution. So a node can report no block of somebody else's as a page of its
own, to have it read or removed.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import suppress

from bacalhau.border.names import shorten
from bacalhau.lib.errors import BacalhauError, NotFound
from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.proof import FileRow, Proof, Root, unpack_files, unpack_root
from bacalhau.ports.content import OwnContent

LONGEST = 200  # characters of a name or a digest
_LONGEST_ERROR = 500


class Proofs:
    """The proofs in the content store."""

    def __init__(self, content: OwnContent) -> None:
        self._content = content

    async def keep(self, execution_id: str, page: bytes) -> str:
        """Keep a page, durably on return; return its name. Raises StorageFailure."""
        return (await self._content.keep_raw([_owner(execution_id) + page]))[0]

    async def read_root(self, execution: Execution) -> Root:
        """Read the root of an execution's proof. Raises NotFound where it is not held, and BadRequest or StorageFailure
        where it cannot be read.
        """
        proof = execution.proof or Proof()
        return unpack_root(await self._read(execution.id, proof.root))

    async def read_pages(self, execution_id: str, names: Iterable[str]) -> AsyncIterator[list[FileRow]]:
        """Read files page by page. Raises as `read_root`."""
        for name in names:
            yield unpack_files(await self._read(execution_id, name))

    async def remove(self, execution_id: str, root: str) -> None:
        """Remove a proof; what is not held is fine, and what is no page of this execution stays."""
        with suppress(BacalhauError):
            found = unpack_root(await self._read(execution_id, root))
            for name in (*found.input_pages, *found.output_pages):
                await self._remove_own(execution_id, name)
            await self._content.remove([root])

    async def _remove_own(self, execution_id: str, name: str) -> None:
        with suppress(BacalhauError):
            await self._read(execution_id, name)
            await self._content.remove([name])

    async def _read(self, execution_id: str, name: str) -> bytes:
        """Read a page of an execution without the line of its owner."""
        block, owner = await self._content.get(name), _owner(execution_id)
        if not block.startswith(owner):
            raise NotFound(f"{shorten(name)} is no page of the proof of execution {execution_id}")
        return block[len(owner) :]


def _owner(execution_id: str) -> bytes:
    return f"proof {execution_id}\n".encode()


def without_excess(proof: Proof | None) -> Proof | None:
    """Return a proof as a node reported it, or one with an error where its texts are longer than they can be."""
    if proof is None:
        return None
    if max(map(len, (proof.root, proof.inputs, proof.sources, proof.outputs))) > LONGEST:
        return Proof(error="the node reported a proof that is none")
    return Proof(error=shorten(proof.error, _LONGEST_ERROR)) if proof.error else proof
