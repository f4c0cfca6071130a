"""One execution on every node that matches: what ops and daemon have in common."""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from itertools import takewhile
from typing import NamedTuple

from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import Job
from bacalhau.orchestrator.scheduling.place import explain_waiting, match_candidate, needed_resources, sum_up
from bacalhau.orchestrator.scheduling.retry import list_away
from bacalhau.orchestrator.scheduling.steps import Context, find_bars, new_execution
from bacalhau.orchestrator.scheduling.view import FENCED, OPEN, RETRYING, SECOND, SLICE, Plan, Refusal, earliest


class Turn(Enum):
    """The meaning of a node's executions of this version for the next one there."""

    START = auto()
    WAIT = auto()
    OVER = auto()


class Say(NamedTuple):
    """`why` and `at` (Unix ns) of a WAIT."""

    turn: Turn
    why: str = ""
    at: int = 0


class Spread(NamedTuple):
    """`plan` asks and waits; `refusals` are those of the nodes that could not be asked."""

    plan: Plan
    refusals: tuple[Refusal, ...]


Decide = Callable[[Sequence[Execution]], Say]


def by_node(executions: Sequence[Execution]) -> dict[str, list[Execution]]:
    """Each node's executions, oldest first."""
    found: dict[str, list[Execution]] = {}
    for execution in sorted(executions, key=lambda e: (e.create_time, e.modify_time)):
        found.setdefault(execution.node_id, []).append(execution)
    return found


def wait_for_engine(job: Job, mine: Sequence[Execution], around: Context) -> Say | None:
    """Decide for a node whose last execution found no engine there; None for every other node."""
    last = mine[-1]
    if not last.found_no_engine:
        return None
    _, until = list_away(mine, around.tell_return(job)).get(last.node_id, (last, 0))
    return Say(Turn.WAIT, f"{RETRYING}{last.compute_state.message}", until) if until > around.now else Say(Turn.START)


def spread(view: JobView, nodes: Mapping[str, Sequence[Execution]], decide: Decide, around: Context) -> Spread:
    """Start it wherever it is to be started, but for nodes that the roll-out of its version has not reached."""
    job, fenced = view.job, _find_fenced(view, around)
    need, bars = needed_resources(job), find_bars(job, (), around)
    able: list[str] = []
    refusals: list[Refusal] = []
    waiting, next_evaluation = "", 0
    for candidate in takewhile(lambda _: len(able) <= SLICE, around.candidates):
        say = decide(nodes.get(candidate.node_id, ()))
        if say.turn == Turn.OVER or candidate.node_id in around.later:
            continue
        refusal = match_candidate(job, need, around.candidates, candidate, bars)
        if refusal is not None:
            refusals.append(refusal)
        elif (wait := fenced.get(candidate.node_id, say)).turn == Turn.WAIT:
            waiting, next_evaluation = wait.why, earliest(next_evaluation, wait.at)
        else:
            able.append(candidate.node_id)
    full = [r for r in refusals if r.is_busy]
    if not around.settled and any(not r.never for r in refusals):
        next_evaluation = earliest(next_evaluation, around.now + SECOND)
    waiting = explain_waiting(sum_up(full)) if full else waiting
    waits_on = frozenset(r.node_id for r in full)
    allowed = able[: around.allowance.most(need)]
    if len(allowed) < len(able):
        waiting = around.allowance.explain(need, len(allowed))
    asks = tuple(new_execution(job, 0, node_id, need, around) for node_id in allowed[:SLICE])
    is_partial = len(asks) < len(allowed)
    plan = Plan(asks=asks, waiting=waiting, next_evaluation=next_evaluation, waits_on=waits_on, is_partial=is_partial)
    return Spread(plan, tuple(refusals))


def _find_fenced(view: JobView, around: Context) -> dict[str, Say]:
    """Find the nodes on which an attempt may still publish, each with the wait for its end."""
    fence, now = around.fence, around.now
    used = {e.node_id for e in view.executions} if fence.used > now else set[str]()
    found = {c.node_id: fence.until(c.node_id, was_used=c.node_id in used) for c in around.candidates if fence != OPEN}
    return {node_id: Say(Turn.WAIT, FENCED, until) for node_id, until in found.items() if until > now}
