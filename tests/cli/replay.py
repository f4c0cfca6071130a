"""Running the original's recorded commands here, and bringing both sides' answers into one form that can be
compared.
"""

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from bacalhau.cli.frame.program import run
from tests.cli.conftest import plain

IMAGE, STORE = "127.0.0.1:5000/alpine", "http://127.0.0.1:8333"
_ID = re.compile(r"\bj-[0-9a-f]{8}-[0-9a-f-]{27}\b|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_NOTICES = re.compile(
    r"^(Initializing repo at|Migrating repo to|Migration successful|\d\d:\d\d:\d\d\.\d+ \| INF ).*\n", re.MULTILINE
)
_USAGE = re.compile(r"^Usage:\n.*", re.MULTILINE | re.DOTALL)
_DOCUMENT = re.compile(r"(?!Error)[A-Z]\w*:( |\n)")
# Progress on stderr, and what a quick execution is not always seen to do.
_PASSING = re.compile(
    r"^(NAME (placed on"
    r" NAME|pulling|staging|running|publishing)\b.*|"
    r"\d+ of \d+ (placed|preparing|pulling|staging|running|publishing)\b.*|"
    r"queued\b.*|completed|failed|stopped)$|(Execution|State Update)"
    r" Running$"
)
_FORMS = (
    (r"v\d+\.\d+\.\d+(-x+)?", "VERSION"),
    (r"/[\w/.-]*/(?=(exitCode|stdout|outputs|job-|doesnotexist|nope\b|config\.yaml))", "DIR/"),
    (r"\b\d\d:\d\d:\d\d\b", "CLOCK"),
    (r"--next-token \S+", "--next-token TOKEN"),
    (r"\b([jne]-)?(UUID|SHORT)\b|\b[0-9a-f]{8}\b", "NAME"),
    (r"http://127\.0\.0\.1:\d+", "SERVER"),
    (r"[ \t]+", " "),
    (r"\$2a\$10\$\S+", "HASH"),
    # Revisions and comments of executions: other steps are kept.
    (r"(Stopped|Running) \d+ AGO AGO ?\w*", r"\1 REV AGO AGO"),
    (r"NAME \d+ (Completed|Failed)", r"NAME REV \1"),
    (r"NAME,\d+,(Completed|Failed)", r"NAME,REV,\1"),
)


EMPTY: tuple[Any, ...] = (None, "", [], {}, 0, False)


class Answer(NamedTuple):
    code: int
    stdout: str
    stderr: str


class Replay:
    """Commands in the order of the recordings, in this process.

    Ids of recorded jobs become those of the jobs that ran in their place.
    """

    def __init__(self, folder: Path, image: str, store: str, environment: dict[str, str]) -> None:
        self._folder, self._image, self._store, self._environment = folder, image, store, environment
        self.ids: dict[str, str] = {}

    def run(self, case: dict[str, Any]) -> Answer:
        args = [self._here(word) for word in case["args"]]
        out, err = io.StringIO(), io.StringIO()
        before, where = dict(os.environ), Path.cwd()
        os.chdir(self._folder)
        os.environ.clear()
        os.environ.update(self._environment)
        try:
            with (
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
                _stdin(self._here(case["stdin"] or "")),
            ):
                code = run(args)
        finally:
            os.environ.clear()
            os.environ.update(before)
            os.chdir(where)
        self._learn(case["stdout"], out.getvalue())
        return Answer(code, self._there(out.getvalue()), self._there(err.getvalue()))

    def _here(self, text: str) -> str:
        found = _ID.sub(
            lambda match: self.ids.get(match[0], match[0]), text.replace(IMAGE, self._image).replace(STORE, self._store)
        )
        for theirs, ours in self.ids.items():
            found = re.sub(
                rf"\b{theirs.partition('-')[0] if not theirs.startswith('j-') else theirs[:10]}\b(?!-)",
                ours[:10],
                found,
            )
        return found

    def _there(self, text: str) -> str:
        return text.replace(self._image, IMAGE).replace(self._store, STORE)

    def _learn(self, theirs: str, ours: str) -> None:
        """Only from what a submission prints: the id alone, or behind `Job ID: `."""
        pattern = re.compile(rf"(?:^|Job ID: )({_ID.pattern})\s*$", re.MULTILINE)
        first, second = pattern.search(theirs), pattern.search(ours)
        if first and second:
            self.ids[first[1]] = second[1]


@contextlib.contextmanager
def _stdin(text: str) -> Iterator[None]:
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(text.encode()))
    try:
        yield
    finally:
        sys.stdin = before


def lines(text: str) -> list[str]:
    """What is said, once, without what differs from run to run and what only fills space."""
    text = plain(_USAGE.sub("", _NOTICES.sub("", text)))
    for pattern, name in _FORMS:
        text = re.sub(pattern, name, text)
    said = [line.strip() for line in text.splitlines() if line.strip()]
    is_error = any(line.startswith("Error: ") for line in said)
    told_before = [{f"Error: {line}", line} & set(said[:at]) for at, line in enumerate(said)]
    return [
        line
        for line, before in zip(said, told_before, strict=True)
        if not _PASSING.search(line) and not (is_error and before)
    ]


def told(theirs: str, ours: str) -> tuple[list[str], list[str]]:
    """Lines of both; where the original gave no hint, ours is no difference."""
    first, second = lines(theirs), lines(ours)
    has_hint = any(line.startswith("Hint:") for line in first)
    return first, [line for line in second if has_hint or not line.startswith("Hint:")]


def document(text: str) -> Any:
    """The JSON or YAML that is there, behind notices; None when it is neither."""
    text = _USAGE.sub("", _NOTICES.sub("", text))
    try:
        return json.loads(text)
    except ValueError:
        return yaml.safe_load(text) if _DOCUMENT.match(text) else None


def missing(theirs: Any, ours: Any, path: str = "") -> list[str]:
    """Keys of theirs that ours lacks, and values of another kind; what is empty there may be absent here."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        found = []
        for key, value in theirs.items():
            here = f"{path}.{key}"
            if key not in ours:
                found += [here] if value not in EMPTY else []
            else:
                found += missing(value, ours[key], here)
        return found
    if isinstance(theirs, list) and isinstance(ours, list) and theirs and ours and "Key" in theirs[0]:
        mine = {item["Key"]: item for item in ours}  # settings: only those that both know are alike
        return [gap for item in theirs for gap in missing(item, mine.get(item["Key"], item), f"{path}[{item['Key']}]")]
    if isinstance(theirs, list) and isinstance(ours, list):
        return missing(theirs[0], ours[0], f"{path}[]") if theirs and ours else []
    if ours is None or theirs is None:
        return [] if theirs in EMPTY else [path]
    kinds = {type(theirs), type(ours)}
    return [f"{path}: {kinds}"] if len(kinds) == 2 and not kinds <= {int, float} else []
