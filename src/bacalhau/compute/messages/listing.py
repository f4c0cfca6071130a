"""Answers to the question what an input holds, a page at a time, with this node's own credentials and rules.

While the orchestrator takes in a page, the node reads the one that follows it: a server gives one page after the other,
and otherwise either side would wait for the other.
"""

import asyncio

from msgspec.structs import replace

from bacalhau.compute.core import ComputeNode
from bacalhau.lib.errors import BacalhauError, StorageFailure
from bacalhau.lib.patience import GaveUp, hurried
from bacalhau.models.job.inventory import Row, pack_rows
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.messages import ListInputRequest, ListInputResponse
from bacalhau.ports.guard import list_objections
from bacalhau.ports.storage import Access, Entry, Listable, ListedPage, Sharing, Storage, Told

HURRY = 5.0  # seconds, after which what is tried again is told instead; the orchestrator asks again
LONGEST = 25.0  # seconds for a page of a server that is slow; the bus gives up after 30


async def list_input(node: ComputeNode, question: ListInputRequest) -> ListInputResponse:
    """List a page of an input, or say what it waits for. Raises StorageFailure for what will not pass by itself."""
    ahead = node.ahead.take(question)
    answer = (await ahead if ahead is not None else None) or await _list(node, question)
    if len(answer.following) == 1:  # several are asked for side by side anyway
        following = replace(question, place=answer.following[0])
        node.ahead.put(following, node.crew.start(_read_ahead(node, following)))
    return answer


async def _read_ahead(node: ComputeNode, question: ListInputRequest) -> ListInputResponse | None:
    """List a page, None where that fails: it is listed again when it is asked for, and the failure told then."""
    try:
        answer = await _list(node, question)
    except BacalhauError:
        return None
    return None if answer.fault else answer


async def _list(node: ComputeNode, question: ListInputRequest) -> ListInputResponse:
    source = question.input.source
    storage = node.plugins.sources.get(source.kind)
    if storage is None:
        raise StorageFailure(f"this node cannot read inputs from {source.kind}")
    if objections := list_objections(storage, source, question.namespace):
        raise StorageFailure(objections)
    try:
        with hurried(question.seconds or HURRY):
            async with asyncio.timeout(LONGEST):
                page, sharing = await _page(storage, question)
    except GaveUp as e:
        return ListInputResponse(fault=e.cause.message, hint=e.hint, is_heard=e.heard)
    except TimeoutError:
        return ListInputResponse(fault=f"{source.kind}: no answer within {LONGEST:g} s")
    answer = await asyncio.to_thread(_answer, page, sharing)
    if question.place:
        return answer
    access = await access_of(storage, source)  # after the page, whose answer may have told another region
    return replace(answer, identity=access.identity, region=access.region)


async def access_of(storage: Storage, source: SpecConfig) -> Access:
    """Say how a source is read, as far as it tells. Raises StorageFailure."""
    return await storage.access(source) if isinstance(storage, Told) else Access()


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
    return ListInputResponse(
        page=pack_rows(rows),
        following=page.following,
        sharing=sharing.by,
        marks=texts,
        missing=page.missing,
        missing_keys=page.missing_keys,
    )


def _row(part: int, entry: Entry) -> Row:
    return Row(part, entry.key, entry.path, entry.size, entry.etag, entry.version, entry.checksum)
