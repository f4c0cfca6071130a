"""Results on the user's disk: each by the downloader of its kind into a folder of its own, then merged.

What is being fetched stands in `.bacalhau-<job id>.part` beside the result, stays when the command is interrupted, and
is taken up by the next one.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bacalhau.border.room import leaving_room
from bacalhau.client.merge import JOINED, apply_merge, files_in, plan_merge, refuse_existing, refuse_merge
from bacalhau.client.proof import AskPage, verify_result
from bacalhau.client.transport import Endpoint
from bacalhau.lib import wire
from bacalhau.lib.errors import BadRequest, NotFound, StorageFailure, TimedOut
from bacalhau.lib.tree import remove_tree
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.loading import call
from bacalhau.plugins.registry import find_downloader
from bacalhau.ports.download import Downloader
from bacalhau.ports.plugin import ResultServer
from bacalhau.ports.progress import Report

_ROOM = "free space there, or name a directory on another disk with --output-dir"


class Fetch(NamedTuple):
    """`into` exists; `only` is a path inside the results; `seconds` limits each result, 0 does not. `executions` say
    for each result whose proof tells what is in it, "" where none does, and `ask` asks for a page of one.
    """

    job_id: str
    into: Path
    endpoint: Endpoint
    raw: bool = False
    only: str = ""
    seconds: float = 0
    executions: tuple[str, ...] = ()
    ask: AskPage | None = None


async def fetch_results(results: Sequence[SpecConfig], fetch: Fetch, report: Report) -> Path:
    """The directory the results are in.

    Raises BadRequest for a kind that cannot be fetched, Conflict when a file would be replaced, and StorageFailure for
    a result that is not what its execution wrote.
    """
    check_folder(fetch.into)
    _check_kinds(results, fetch.endpoint)
    named, writers = {_name(result): result for result in results}, _writers(results, fetch)
    _refuse_early(fetch, list(named))
    part = _part(fetch)
    with writing(fetch.into):
        try:
            async with leaving_room(fetch.into, "the results", _ROOM):
                for name, result in named.items():
                    (part / name).mkdir(parents=True, exist_ok=True)
                    await _download(result, part / name, fetch, report)
                    await _verify(part / name, writers.get(name, ()), fetch)
            _put_in_place([part / name for name in named], fetch)
        finally:
            _remove_if_empty(part)
    return fetch.into


def _writers(results: Sequence[SpecConfig], fetch: Fetch) -> dict[str, list[str]]:
    """List the executions that wrote a result, by the name of its folder: several where they replaced one another."""
    found: dict[str, list[str]] = {}
    for result, execution_id in zip(results, fetch.executions, strict=False):
        found.setdefault(_name(result), []).append(execution_id)
    return found


async def _verify(tree: Path, writers: Sequence[str], fetch: Fetch) -> None:
    """Compare a result with what was written, where one execution wrote it and its proof can be asked for."""
    if fetch.ask is not None and len(writers) == 1 and writers[0]:
        await verify_result(fetch.ask, writers[0], tree, fetch.only)


def check_folder(folder: Path) -> None:
    """Check the folder. Raises NotFound or BadRequest for what results cannot be put into."""
    if not folder.exists():
        raise NotFound(f"output dir does not exist: {folder.absolute()}", hint=f"make it first: mkdir -p {folder}")
    if not folder.is_dir():
        raise BadRequest(f"output dir is no directory: {folder.absolute()}", hint="name a directory with --output-dir")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn the disk's refusals into errors that name the `folder` of the user."""
    try:
        yield
    except OSError as e:
        hint = (
            "look at the space and permissions there, or name another directory with --output-dir; what is complete is"
            " kept"
        )
        raise StorageFailure(
            f"cannot write the results to {folder.absolute()}: {(e.strerror or str(e)).lower()}", hint=hint
        ) from e


def _part(fetch: Fetch) -> Path:
    """Name the folder of a download in progress. A part of the results has another folder than the whole."""
    suffix = f".{hashlib.sha256(fetch.only.encode()).hexdigest()[:8]}" if fetch.only else ""
    return fetch.into / f".bacalhau-{fetch.job_id}{suffix}.part"


def _refuse_early(fetch: Fetch, names: Sequence[str]) -> None:
    """Refuse before anything is fetched when files would be replaced for certain.

    Every whole result has the three files of its streams.
    """
    if fetch.raw:
        refuse_existing(
            [fetch.into / "raw" / name for name in names], hint="remove them first, or name another --output-dir"
        )
    elif not fetch.only:
        refuse_merge(fetch.into, JOINED)
    elif not (fetch.into / fetch.only).is_dir():
        refuse_merge(fetch.into, [fetch.only])


def _put_in_place(trees: Sequence[Path], fetch: Fetch) -> None:
    if not fetch.raw:
        apply_merge(plan_merge(trees, fetch.into))
        return
    (fetch.into / "raw").mkdir(exist_ok=True)
    for tree in trees:
        tree.rename(fetch.into / "raw" / tree.name)


def _remove_if_empty(part: Path) -> None:
    """Remove a temporary folder that holds no file: nothing in it can be used by the next attempt."""
    if not any(files_in(part)):
        remove_tree(part)


def _check_kinds(results: Sequence[SpecConfig], endpoint: Endpoint) -> None:
    disabled = {kind.strip().lower() for kind in endpoint.downloads.disabled}
    unknown = sorted({r.type for r in results if r.type.lower() in disabled or find_downloader(r.type) is None})
    if unknown:
        where = "; ".join(wire.encode(r).decode() for r in results if r.type in unknown)
        raise BadRequest(
            f"results of type {', '.join(unknown)} cannot be downloaded",
            hint=f"fetch them from where they are: {where}",
        )


async def _download(result: SpecConfig, into: Path, fetch: Fetch, report: Report) -> None:
    downloader = _downloader(result.type, fetch.endpoint)
    try:
        async with asyncio.timeout(fetch.seconds or None):
            await downloader.download(result, into, report, fetch.only)
    except TimeoutError as e:
        hint = "run the command again to go on where it stopped, or raise --download-timeout-secs"
        raise TimedOut(f"downloading took longer than {fetch.seconds:g} s", hint=hint) from e


def _downloader(kind: str, endpoint: Endpoint) -> Downloader:
    """Import what a result needs, now: the libraries behind it take longer to load than most commands to run."""
    found = find_downloader(kind)
    if found is None:
        raise BadRequest(f"results of type {kind} cannot be downloaded")
    server = ResultServer(endpoint.url, endpoint.headers, endpoint.trust, endpoint.downloads)
    made: Downloader = call(found.part.make, found.owner, Downloader, server)
    return made


def _name(result: SpecConfig) -> str:
    """Name a result's folder by a digest of where the result is, signatures aside: it is the same each time, and nobody
    who reports a result can choose it.
    """
    params = {key.lower(): value for key, value in (result.params or {}).items()}
    if params.get("managed"):
        return hashlib.sha256(str(params.get("presignedurl", "")).partition("?")[0].encode()).hexdigest()[:16]
    place = params.get("sourcespec") or {k: v for k, v in params.items() if k != "presignedurl"} or params
    return hashlib.sha256(wire.encode(place)).hexdigest()[:16]
