"""Answers to the question what an input holds, a page at a time, with this node's own credentials and rules."""

import asyncio

from bacalhau.compute.core import ComputeNode
from bacalhau.lib.errors import StorageFailure
from bacalhau.models.job.inventory import Row, pack_rows
from bacalhau.models.wire.messages import ListInputRequest, ListInputResponse
from bacalhau.ports.guard import list_objections
from bacalhau.ports.storage import Entry, Listable, ListedPage, Sharing, Storage


async def list_input(node: ComputeNode, question: ListInputRequest) -> ListInputResponse:
    """List a page of an input. Raises StorageFailure."""
    source = question.input.source
    storage = node.plugins.sources.get(source.kind)
    if storage is None:
        raise StorageFailure(f"this node cannot read inputs from {source.kind}")
    if objections := list_objections(storage, source, question.namespace):
        raise StorageFailure(objections)
    page, sharing = await _page(storage, question)
    return await asyncio.to_thread(_answer, page, sharing)


async def _page(storage: Storage, question: ListInputRequest) -> tuple[ListedPage, Sharing]:
    source = question.input.source
    if isinstance(storage, Listable):
        return await storage.list_page(source, question.place), storage.sharing(source, question.count)
    return ListedPage((await storage.resolve(source)).entries), Sharing()


def _answer(page: ListedPage, sharing: Sharing) -> ListInputResponse:
    is_owned = sharing.by == "owner" and sharing.mark is not None
    marks = [] if sharing.mark is None else [sharing.mark(entry) for entry in page.entries]
    parts = [int(mark) for mark in marks] if is_owned else [0] * len(page.entries)
    rows = [_row(part, entry) for part, entry in zip(parts, page.entries, strict=True)]
    texts = () if is_owned or not any(marks) else tuple(map(str, marks))
    return ListInputResponse(page=pack_rows(rows), following=page.following, sharing=sharing.by, marks=texts)


def _row(part: int, entry: Entry) -> Row:
    return Row(part, entry.key, entry.path, entry.size, entry.etag, entry.version, entry.checksum)
