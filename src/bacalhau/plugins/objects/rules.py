"""The buckets that jobs may use, by rules of the administrator.

A rule is BUCKET or NAMESPACE:BUCKET, both with `*` and `?`. It holds whatever server a job names, because requests to
every server are signed with the node's own keys.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bacalhau.border.names import name_fault, shorten
from bacalhau.border.patterns import Glob, PatternFault
from bacalhau.lib.errors import BadRequest

ENDPOINT = re.compile(r"https?://[^/?#@\s]+(/[^?#\s]*)?", re.IGNORECASE)  # the URL of a server of objects
_STARS = re.compile(r"\*+")  # of a namespace, which may have slashes
_RULE = re.compile(r"(?:(?P<namespace>.+):)?(?P<bucket>[A-Za-z0-9._*?-]+)")


@dataclass(frozen=True)
class BucketRules:
    """The rules of one setting, `key`; without a rule every bucket is open. Each is a pair of namespace and bucket."""

    key: str
    rules: tuple[tuple[Glob, Glob], ...] = ()
    word: str = "S3 bucket"

    def refusal(self, bucket: str, namespace: str) -> str:
        """Say why jobs of a namespace may not use a bucket, naming bucket, namespace and setting; "" when they may."""
        is_open = any(whose.matches(namespace) and what.matches(bucket) for whose, what in self.rules)
        if not self.rules or (is_open and not name_fault(bucket)):
            return ""
        whose = f"jobs of namespace {shorten(namespace)!r}"
        return f"{self.word} {shorten(bucket)!r} is not open to {whose} here, by {self.key}"

    def list_objections(self, bucket: str | None, namespace: str) -> list[str]:
        """List why a job of a namespace may not use a bucket; None is the bucket of parameters that cannot be read."""
        refusal = self.refusal(bucket, namespace) if bucket is not None else ""
        return [refusal] if refusal else []


def read_rules(texts: Sequence[str], key: str, word: str = "S3 bucket") -> BucketRules:
    """Read the rules of a setting. Raises BadRequest naming the key and the text that is no rule."""
    return BucketRules(key, tuple(_read_rule(text, key) for text in texts), word)


def _read_rule(text: str, key: str) -> tuple[Glob, Glob]:
    hint = "write it as BUCKET or NAMESPACE:BUCKET with * and ? for any characters: data-* or team-a:team-a-*"
    found = _RULE.fullmatch(text.strip())
    if not found:
        raise BadRequest(f"{key}: {text!r} is not a pattern of buckets", hint=hint)
    try:
        return Glob(_STARS.sub("**", found["namespace"] or "*")), Glob(found["bucket"])
    except PatternFault as e:
        raise BadRequest(f"{key}: {shorten(text)!r} cannot be used: {e}", hint=hint) from e


ALL_BUCKETS = BucketRules("")
