"""One execution on every node that matches: what ops and daemon have in common."""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from itertools import takewhile
from typing import NamedTuple

from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import Job
from bacalhau.orchestrator.scheduling.place import Answer, Fit, Matching, explain_waiting, needed_resources, sum_up
from bacalhau.orchestrator.scheduling.retry import list_away
from bacalhau.orchestrator.scheduling.steps import Context, find_bars, new_execution
from bacalhau.orchestrator.scheduling.view import FENCED, OPEN, RETRYING, SECOND, SLICE, Plan, Shortage, earliest


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


FIRST = Say(Turn.START)  # of a node that has none


class Spread(NamedTuple):
    """`plan` asks and waits; `shortage` sums up why the nodes that could not be asked could not."""

    plan: Plan
    shortage: Shortage


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
    need = needed_resources(job)
    matching = Matching(job, need, around.candidates, find_bars(job, (), around))
    able, refused = list[str](), list[Answer]()
    waiting, next_evaluation = "", 0
    for node_id, candidate in takewhile(lambda _: len(able) <= SLICE, around.candidates.by_id.items()):
        say = decide(nodes[node_id]) if node_id in nodes else FIRST
        if say.turn == Turn.OVER or node_id in around.later:
            continue
        fit = matching.judge(candidate)
        if fit != Fit.NOW:
            refused.append((candidate, fit))
        elif (wait := fenced.get(node_id, say)).turn == Turn.WAIT:
            waiting, next_evaluation = wait.why, earliest(next_evaluation, wait.at)
        else:
            able.append(node_id)
    shortage = sum_up(matching, refused)
    if not around.settled and not shortage.is_hopeless:
        next_evaluation = earliest(next_evaluation, around.now + SECOND)
    if full := [answer for answer in refused if answer[1] == Fit.BUSY]:
        waiting = explain_waiting(sum_up(matching, full))
    waits_on = frozenset(candidate.node_id for candidate, _ in full)
    allowed = able[: around.allowance.most(need)]
    if len(allowed) < len(able):
        waiting = around.allowance.explain(need, len(allowed))
    asks = tuple(new_execution(job, 0, node_id, need, around) for node_id in allowed[:SLICE])
    is_partial = len(asks) < len(allowed)
    plan = Plan(asks=asks, waiting=waiting, next_evaluation=next_evaluation, waits_on=waits_on, is_partial=is_partial)
    return Spread(plan, shortage)


def _find_fenced(view: JobView, around: Context) -> dict[str, Say]:
    """Find the nodes on which an attempt may still publish, each with the wait for its end."""
    fence, now = around.fence, around.now
    used = {e.node_id for e in view.executions} if fence.used > now else set[str]()
    found = {c.node_id: fence.until(c.node_id, was_used=c.node_id in used) for c in around.candidates if fence != OPEN}
    return {node_id: Say(Turn.WAIT, FENCED, until) for node_id, until in found.items() if until > now}
