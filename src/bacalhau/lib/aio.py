"""The only place that makes tasks, so that everything that runs has a parent and every crash is seen."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")
A_STEP = 16  # tasks that begin in one step of the event loop: about 2 ms of work


@asynccontextmanager
async def _bare_group() -> AsyncIterator[asyncio.TaskGroup]:
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as group_error:
        raise (error := first_error(group_error)) from error.__cause__


@asynccontextmanager
async def background(*loops: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """Run endless loops beside the block; the first crash ends the block with the real error, bare."""
    async with _bare_group() as group:
        tasks = [group.create_task(loop, name=getattr(loop, "__qualname__", "loop")) for loop in loops]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


class Crew:
    """Tasks that come and go under one parent. A task that raises ends the crew: catch inside what may fail."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: set[asyncio.Task[Any]] = set()
        self._turns: deque[Callable[[], Coroutine[Any, Any, Any]]] = deque()
        self._is_over = False

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def start_in_turn(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Start work soon, in the order in which it came, so little of it in one step of the event loop that everybody
        else has a turn between two steps.
        """
        self._turns.append(work)
        if len(self._turns) == 1:
            asyncio.get_running_loop().call_soon(self._take_turns)

    def _take_turns(self) -> None:
        for _ in range(min(A_STEP, len(self._turns))):
            work = self._turns.popleft()
            if not self._is_over:
                self.start(work())
        if self._turns:
            asyncio.get_running_loop().call_soon(self._take_turns)

    def cancel(self) -> None:
        self._is_over = True
        for task in tuple(self._tasks):
            task.cancel()


@asynccontextmanager
async def crew() -> AsyncIterator[Crew]:
    """A parent for tasks; leaving the block cancels what still runs and waits for it. The first error is
    raised bare.
    """
    async with _bare_group() as group:
        made = Crew(group)
        try:
            yield made
        finally:
            made.cancel()


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Run work to its end and return its result. If the caller is cancelled meanwhile, the work still ends first."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        ended: asyncio.Future[asyncio.Task[T]] = task.get_loop().create_future()
        task.add_done_callback(partial(_settle, ended))
        try:
            await ended
        except asyncio.CancelledError as e:
            cancelled = e
    if cancelled is None:
        return task.result()
    if not task.cancelled() and (error := task.exception()) is not None:
        raise cancelled from error
    raise cancelled


async def gather_bounded(limit: int, work: list[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
    """Run thunks with at most `limit` at once; results in order; the first error cancels the rest and is
    raised itself.
    """
    results: dict[int, T] = {}
    queue = iter(enumerate(work))

    async def worker() -> None:
        for index, thunk in queue:
            results[index] = await thunk()

    await together(*(worker() for _ in range(min(limit, len(work)))))
    return [results[i] for i in range(len(work))]


async def together(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    """Run coroutines side by side; the first error cancels the others and is raised bare, not in a group.

    An asyncio.TaskGroup would leave its caller marked as cancelled after an error (Python 3.11 and 3.12), and whatever
    looks at that mark later, such as a timeout, would end work that nobody cancelled.
    """
    if len(work) < 2:
        return [await each for each in work]
    tasks, errors = [asyncio.ensure_future(each) for each in work], list[BaseException]()
    for task in tasks:
        task.add_done_callback(partial(_note_error, errors))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        if not all(task.done() for task in tasks):
            await uninterrupted(asyncio.wait(tasks))
    if errors:
        raise errors[0]
    return [task.result() for task in tasks]


def _note_error(errors: list[BaseException], task: "asyncio.Task[Any]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        errors.append(error)


async def in_thread(work: Callable[[Callable[[], bool]], T]) -> T:
    """Run blocking work in a thread and return its result.

    `work` gets a function that tells whether to stop. If the caller is cancelled, the work is stopped and ends first.
    """
    stop = threading.Event()
    task = asyncio.ensure_future(asyncio.to_thread(work, stop.is_set))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()
        raise


async def read_up_to(limit: int, chunks: AsyncIterator[bytes]) -> bytes:
    """The stream's first `limit` bytes: a single read of a network gives what has come so far."""
    held = b""
    async for chunk in chunks:
        held += chunk
        if len(held) >= limit:
            break
    return held[:limit]


def first_error(error: BaseException) -> BaseException:
    """The first real error inside nested groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _settle(future: "asyncio.Future[T]", result: T) -> None:
    if not future.done():
        future.set_result(result)


class Signal:
    """Wakes every waiter when something changed; waiters look at the state themselves."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[bool]] = set()

    def fire(self) -> None:
        for waiter in self._waiters:
            _settle(waiter, True)
        self._waiters.clear()

    async def wait(self, seconds: float) -> bool:
        """Wait until it fires, at most so many seconds; return True when it fired."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiters.add(waiter)
        timer = loop.call_later(seconds, _settle, waiter, False)
        try:
            return await waiter
        finally:
            timer.cancel()
            self._waiters.discard(waiter)
