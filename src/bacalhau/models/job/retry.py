"""The rule by which failed executions of a job are tried again: which, how often and how soon. It is the task's
`Retry`, an extension of ours.
"""

from bacalhau.lib.wire import Model

NODE_LOST, PULL, STAGING, PUBLISH, ENGINE, EXIT_CODE = "node-lost", "pull", "staging", "publish", "engine", "exit-code"
RETRY_KINDS = (NODE_LOST, PULL, STAGING, PUBLISH, ENGINE, EXIT_CODE)
TIMEOUT, ENDED, CANCELLED, ENGINE_AWAY = "timeout", "ended", "cancelled", "engine-away"
"""Kinds that a policy cannot name: a time limit is kept, what should never end is always started again, a cancel is no
failure, and what failed because its node could not reach its engine costs no attempt.
"""

FAILURE_KIND = "FailureKind"
"""The key in a failed execution's `ComputeState.Details`."""

MAX_BACKOFF = 300  # seconds; the pause doubles up to here
LARGEST_MAX = 100


class RetryPolicy(Model):
    """`max` attempts after the first one, `backoff` seconds before the first of them, doubled each time.

    None: the default of the job's type.

    `on`: the kinds of failure that are tried again, whatever they say of themselves; None: those that say that another
    attempt may help.
    """

    max: int | None = None
    backoff: int | None = None
    on: tuple[str, ...] | None = None

    def wants(self, kind: str) -> bool:
        return kind in (self.on or ())


def normal_retry(policy: RetryPolicy) -> RetryPolicy:
    """Kinds in their one spelling, each once."""
    on = None if policy.on is None else tuple(dict.fromkeys(kind.strip().lower() for kind in policy.on))
    return RetryPolicy(max=policy.max, backoff=policy.backoff, on=on)


def retry_problems(policy: RetryPolicy) -> list[str]:
    """Everything that is wrong with a policy; empty when it is good."""
    found = []
    if policy.max is not None and not 0 <= policy.max <= LARGEST_MAX:
        found.append(f"Max must be between 0 and {LARGEST_MAX}, not {policy.max}")
    if policy.backoff is not None and not 0 <= policy.backoff <= MAX_BACKOFF:
        found.append(f"Backoff must be between 0 and {MAX_BACKOFF} seconds, not {policy.backoff}")
    found += [
        f"On does not know '{kind}': use {', '.join(RETRY_KINDS)}"
        for kind in policy.on or ()
        if kind not in RETRY_KINDS
    ]
    return found
