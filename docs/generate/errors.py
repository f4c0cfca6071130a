"""The page of error codes, made from the tree of errors and from the codes that places of their own raise."""

import ast
from collections.abc import Iterator
from pathlib import Path

from bacalhau.lib import errors
from generate.tables import code, marked, table

SOURCE = Path(errors.__file__).parents[1]
HEAD = """# Error codes

Every failure names its cause first and then what to do. On the command line these are the first and the second line on stderr. In the
API they are `Message` and `Hint`, beside `Code` and `Component`. In Python they are `message` and `hint` of a `bacalhau.BacalhauError`. In the
history of a job they are the message of an event and `Hint` in its details.

The codes are few; the message says which of many causes it was.

"""
# A code without a line here stops the build, and so does a line without a code.
CURES: dict[str, tuple[str, str]] = {
    "BadRequest": (
        "A job file, flag, setting or request is wrong. All faults are listed at once, each with its field and value.",
        "Change what the message names. `bacalhau job validate FILE` checks a job without submitting it.",
    ),
    "ConflictNodeState": (
        "The node is in a state that forbids the change, for instance it was rejected and shall be drained.",
        "`bacalhau node describe ID` shows its state; bring it there first, or leave it.",
    ),
    "EngineFailure": (
        "The container could not be made or started, or its image could not be pulled.",
        "The message is that of Docker or the registry: see [a job that waits or fails](../how-to/debug-a-job.md).",
    ),
    "Forbidden": (
        "The user is known and may not do this.",
        "Ask the administrator for the capability that the message names: [users](../how-to/users.md).",
    ),
    "HandshakeRequired": (
        "A node speaks that the orchestrator does not count as connected, for instance after a restart.",
        "Nothing: the node joins again by itself.",
    ),
    "InternalError": (
        "A fault of the program, or a request that the server's door refuses (a wrong method, a body that is too large).",
        "The server's log has the cause beside the request's id. Report it where the message is no help.",
    ),
    "MultipleJobsFound": ("The beginning of an id fits several jobs.", "Write more of the id."),
    "MultipleNodesFound": ("The beginning of an id fits several nodes.", "Write more of the id."),
    "NotFound": (
        "Nothing has this id or name, or it was forgotten; or the path is none of the API's.",
        "`bacalhau job list` and `bacalhau node list` show what there is. `Orchestrator.Retention.*` says when jobs are forgotten.",
    ),
    "PublisherFailure": (
        "The result could not be published. The task has run, and its outputs stay on the node for a day.",
        "Mend the place that the message names, then `bacalhau job publish ID`, or `-p` for another place.",
    ),
    "ResourceInUse": (
        "Somebody else changed it first, or its state forbids the change.",
        "Look at it again, and repeat the change if you still want it.",
    ),
    "ServiceUnavailable": (
        "A server, engine or registry cannot be reached right now.",
        "Wait, or mend what the message names. It is tried again by itself where that can help.",
    ),
    "StorageFailure": (
        "An input could not be brought: it does not exist, may not be read, or changed since it was listed.",
        "`bacalhau job explain FILE` shows which inputs are found and as whom they are read: [private buckets](../how-to/private-buckets.md).",
    ),
    "TimeOut": (
        "A time limit of the job or of the configuration was reached.",
        "Raise the limit that the message names: `Timeouts` in the job file, or a setting.",
    ),
    "Unauthorized": (
        "The request has no credentials, or wrong ones.",
        "Set `BACALHAU_API_KEY`, or a user and password, or `bacalhau auth sso login`: [users](../how-to/users.md).",
    ),
}


def page() -> str:
    """Return the page: the kinds of errors, then every code with cause and cure. Raises LookupError for a code that is
    not described, and for a description of none.
    """
    kinds = [*_kinds(errors.BacalhauError)]
    codes = {kind.code: kind.status for kind in kinds} | _places(kinds)
    if wrong := codes.keys() ^ CURES.keys():
        raise LookupError(f"docs/generate/errors.py describes other codes than there are: {', '.join(sorted(wrong))}")
    lines = [(marked(name), codes[name], *CURES[name]) for name in sorted(codes)]
    python = [(code(kind.__name__), code(kind.code), kind.status, _yes(kind.retryable_by_default)) for kind in kinds]
    return (
        HEAD
        + table(["code", "HTTP status", "cause", "cure"], lines)
        + "\n## Kinds in Python\n\n"
        + table(["class", "code", "HTTP status", "may help to try again"], python)
    )


def _kinds(kind: type[errors.BacalhauError]) -> Iterator[type[errors.BacalhauError]]:
    """Yield the kinds of the tree, and none that other modules add below them."""
    if kind.__module__ == errors.__name__:
        yield kind
        for below in kind.__subclasses__():
            yield from _kinds(below)


def _places(kinds: list[type[errors.BacalhauError]]) -> dict[str, int]:
    """Find codes that calls give by name, beside those of the kinds, with the status of what is raised."""
    known = {kind.__name__: kind for kind in kinds}
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in known:
                for word in call.keywords:
                    if word.arg == "code" and isinstance(word.value, ast.Constant):
                        found[str(word.value.value)] = known[ast.unparse(call.func)].status
    return found


def _yes(value: bool) -> str:
    return "yes" if value else ""
