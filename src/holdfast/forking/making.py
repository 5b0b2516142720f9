"""Make a fork: the record of another run up to a point, under a new id, and after it that this is a fork, and on what terms.

The bodies of the commits that are taken over are not touched, and not even read again: only the links of the hash chain are made
anew, for a link is bound to the id of its run. The last one is cut where the point lies in the middle of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from holdfast.agent import Agent
from holdfast.archive.records import REDACTED_LABEL
from holdfast.core import events as e
from holdfast.core.contract import digest
from holdfast.core.evolve import fold
from holdfast.core.forks import carried, recorded
from holdfast.core.limits import Limits, wrong_limits
from holdfast.core.plan import Plan
from holdfast.core.state import ENDED, State, StepState, status
from holdfast.core.values import plain
from holdfast.errors import GoalMismatch, UsageError
from holdfast.forking.points import Where, find
from holdfast.journal import codec, retention
from holdfast.journal.base import Journal, RunRow
from holdfast.journal.keeping import Adopted, StoredBatch
from holdfast.starting import check_id

NOT_STARTED = "somebody to let it begin"


class Forked(msgspec.Struct, frozen=True, kw_only=True):
    """A fork that is in the store. entry: the last one of its source that it took over. is_new: it was not there before. state:
    what is known of it. notes: what whoever forks should know of it, a sentence each."""

    run_id: str
    source: str
    entry: int
    mode: e.ForkMode
    is_new: bool
    state: State
    notes: tuple[str, ...] = ()


async def fork(
    journal: Journal,
    source_id: str,
    agent: Agent,
    *,
    id: str,
    clock_now: float,
    by: str,
    where: Where | None = None,
    mode: e.ForkMode = "blocked",
    script: Iterable[e.Scripted] = (),
    limits: Limits | None = None,
    reason: str = "",
    start: bool = True,
) -> Forked:
    """Put a fork of a run into the store. It is one durable commit, and the same twice is once: it goes on where it is.

    where: at which point; left out, before what made the source fail. agent: whose tools, policy, limits and models hold from
    there on; it may have another name. limits: in place of the agent's. script: what simulated calls come to that the source did
    not make. start: it is due at once; else only who names it takes it on.

    UsageError for a point that cannot be, an agent that it could not go on with, or a source that cannot be forked;
    GoalMismatch where the id is taken; JournalCorrupt where the source is not what was written.
    """
    check_id(id)
    row = await _row(journal, source_id)
    batches = await journal.batches(source_id)
    entries = (await journal.read(source_id)).entries
    # It may go on meanwhile: both are cut to what both have.
    count = min(len(entries), sum(batch.count for batch in batches))
    entries = entries[:count]
    entry = find(entries, where or Where())
    taken, contents = _taken(id, batches, entries, entry)
    at_point = fold(entries[:entry])
    _check_source(row, at_point, entries[-1].sequence, mode)
    _check_agent(source_id, agent, at_point)
    state = fold(entries[entry:], at_point)
    forked = _as_read(
        e.RunForked(
            run_id=id,
            source=source_id,
            entry=entry,
            link=next(batch.link for batch in batches if batch.first + batch.count > entry).hex(),
            mode=mode,
            agent=agent.name,
            agent_version=agent.version,
            contracts=tuple(agent.toolbox.contracts.values()),
            limits=limits or agent.limits,
            secrets=agent.secrets,
            on_stop=agent.on_stop,
            thinking=agent.thinking(at_point.goal.inputs),
            accept=agent.accept,
            policy=agent.policy,
            recorded=recorded(entries, state, entry, whole=mode == "simulate"),
            script=codec.redact(plain(tuple(script)), agent.secret_names),
            by=by,
            reason=reason,
        )
    )
    events = (forked, *carried(entries, state, at_point))
    batch = _batch(id, taken, events, at=max(clock_now, entries[entry - 1].at), contents=contents)
    begun = fold(_entries(events, batch), at_point)
    adopted = Adopted(
        run_id=id,
        agent=agent.name,
        goal_digest=_goal_digest(agent, entries),
        batches=(*taken, batch),
        status=status(begun, batch.at) if start else "waiting",
        fence=batch.fence,
        created_at=batch.at,
        changed_at=batch.at,
        contents=contents,
        due_at=batch.at if start else None,
        waits_for="" if start else NOT_STARTED,
        tenant=row.tenant,
        priority=row.priority,
        labels=row.labels,
        source=source_id,
    )
    notes = _notes(agent, entries, state, begun)
    is_new = await journal.adopt(adopted)
    if not is_new:
        begun = await _there_already(journal, forked, limits)
    return Forked(run_id=id, source=source_id, entry=entry, mode=mode, is_new=is_new, state=begun, notes=notes)


# --- the source ---------------------------------------------------------------------------------------------------


async def _row(journal: Journal, source_id: str) -> RunRow:
    row = await journal.row(source_id)
    if row is not None:
        return row
    raise await retention.missing(journal, source_id)


def _check_source(row: RunRow, at_point: State, last: int, mode: e.ForkMode) -> None:
    """UsageError for a source on whose record nothing may rest in this mode."""
    of = at_point.fork
    if row.imported and REDACTED_LABEL in at_point.labels:
        raise UsageError(
            "it is a redacted copy: what was left out is what a fork would go on with",
            run_id=row.run_id,
            hint="fork it in the store that it comes from, or import a whole export of it",
        )
    if of is not None and of.mode == "simulate" and mode != "simulate":
        raise UsageError(
            f"it is simulated: what it says happened after entry {of.entry} of {of.source} did not happen",
            run_id=row.run_id,
            hint=f"fork {of.source} itself, at its entry {of.entry} or before; or simulate this one again",
        )


def _check_agent(source_id: str, agent: Agent, at_point: State) -> None:
    """UsageError for an agent that could not go on from there."""
    gone = {
        step.tool: name
        for name in reversed(at_point.order)
        if (step := at_point.steps[name]).phase not in ENDED and step.tool not in agent.toolbox.contracts
    }
    if gone:
        tools = ", ".join(f"{tool} (step {step})" for tool, step in reversed(gone.items()))
        raise UsageError(
            f"agent {agent.name} has no tool {tools}, and steps of the plan at that point are to call it",
            run_id=source_id,
            hint="give the agent that tool, or fork at an earlier point: before the plan was made",
        )
    agent.check_inputs(at_point.goal.inputs)


def _taken(
    run_id: str, batches: Sequence[StoredBatch], entries: Sequence[e.Entry], entry: int
) -> tuple[list[StoredBatch], dict[str, bytes]]:
    """The commits up to the point under the new id, and the contents that a cut one refers to."""
    taken: list[StoredBatch] = []
    previous = b""
    contents: dict[str, bytes] = {}
    for batch in batches:
        if batch.first > entry:
            break
        body, count = batch.body, batch.count
        if batch.first + count - 1 > entry:
            count = entry - batch.first + 1
            body, contents = codec.encode([one.event for one in entries[batch.first - 1 : entry]])
        previous = codec.link(previous, run_id, batch.first, batch.fence, batch.at, body)
        taken.append(msgspec.structs.replace(batch, body=body, count=count, link=previous))
    return taken, contents


# --- what is written ----------------------------------------------------------------------------------------------


def _batch(
    run_id: str, taken: Sequence[StoredBatch], events: Sequence[e.AnyEvent], *, at: float, contents: dict[str, bytes]
) -> StoredBatch:
    """The commit by which it becomes a fork, under a fence above all that were taken over: what was open then is in doubt."""
    body, found = codec.encode(events)
    contents |= found
    first, fence = taken[-1].first + taken[-1].count, 1 + max(batch.fence for batch in taken)
    link = codec.link(taken[-1].link, run_id, first, fence, at, body)
    return StoredBatch(first=first, count=len(events), fence=fence, at=at, body=body, link=link)


def _entries(events: Sequence[e.AnyEvent], batch: StoredBatch) -> list[e.Entry]:
    return [e.Entry(batch.first + offset, batch.at, batch.fence, event) for offset, event in enumerate(events)]


def _as_read(forked: e.RunForked) -> e.RunForked:
    """It as it will be read back; UsageError for a part that cannot be written down."""
    if wrong := wrong_limits(forked.limits):
        raise UsageError(f"the limit {wrong}")
    try:
        return msgspec.convert(plain(forked), e.RunForked)
    except (ValueError, msgspec.ValidationError) as error:
        raise UsageError(f"the fork cannot be written down: {error}") from error


def _goal_digest(agent: Agent, entries: Sequence[e.Entry]) -> str:
    """As of a run of this agent that was started with the goal of the source: `run` with the same goal goes on with the fork, and
    with another one it is refused."""
    first = entries[0].event
    assert isinstance(first, e.RunStarted)
    return digest([agent.name, first.goal])


async def _there_already(journal: Journal, wanted: e.RunForked, limits: Limits | None) -> State:
    """The state of the run that has the id, where it is this very fork, whatever became of it; GoalMismatch where it is another
    run. The promises of its agent may have changed meanwhile: whoever takes it on sees to that."""
    row = await journal.row(wanted.run_id)
    if row is None:
        await retention.check_not_pruned(journal, wanted.run_id)
    entries = (await journal.read(wanted.run_id)).entries
    found = next((one.event for one in entries if isinstance(one.event, e.RunForked) and one.event.run_id == wanted.run_id), None)
    if found is None:
        raise GoalMismatch("the id belongs to a run that is no fork", run_id=wanted.run_id, hint="choose another id")
    named = ["source", "entry", "link", "mode", "agent", "script", *(["limits"] if limits is not None else [])]
    other = [name for name in named if getattr(found, name) != getattr(wanted, name)]
    if other:
        what = f"the id belongs to a fork of {found.source} at entry {found.entry} ({found.mode}): another {', '.join(other)}"
        raise GoalMismatch(what, run_id=wanted.run_id, hint="choose another id")
    return fold(entries)


# --- what there is to know of it ----------------------------------------------------------------------------------


def _notes(agent: Agent, entries: Sequence[e.Entry], state: State, begun: State) -> tuple[str, ...]:
    notes = (_still_goes_on(state), _undone_note(state, begun), _plan_note(agent, entries, begun), _children_note(begun))
    return tuple(filter(None, notes))


def _still_goes_on(state: State) -> str:
    return "" if state.ended else f"{state.run_id} has not ended: what it does from now on, this fork does not know of"


def _undone_note(state: State, begun: State) -> str:
    """That what is done for the fork was taken back since, or may have been."""
    undoing = (step for name in state.order if (step := state.steps[name]).step.undoes and _has_begun(step))
    undone = {*state.undone, *(step.step.undoes for step in undoing)} - {*begun.undone}
    names = [name for name in begun.order if name in undone and begun.steps[name].phase == "done"]
    if not names:
        return ""
    said = f"{state.run_id} took back later what it had done, or tried to, in {', '.join(names)}"
    return f"{said}: this fork goes on as if it were still so; one before that does it again"


def _has_begun(step: StepState) -> bool:
    return step.phase not in ("blocked", "ready", "skipped") and (step.key != "" or step.phase == "done")


def _plan_note(agent: Agent, entries: Sequence[e.Entry], begun: State) -> str:
    """That a plan that was made before the point is gone by, where the agent has another one by now."""
    plans = [one for one in entries[: begun.version] if isinstance(one.event, e.PlanAdopted) and one.sequence < begun.version]
    if agent.plan is None or not begun.planned or not plans:
        return ""
    (made, plan), *later = [(one.sequence, one.event.plan) for one in plans if isinstance(one.event, e.PlanAdopted)]
    if later or _is_same(plan, agent.plan):
        return ""
    return f"the plan stays the source's (entry {made}), and the agent has another one by now; a fork at its start takes that one"


def _is_same(one: Plan, other: Plan) -> bool:
    return msgspec.json.encode(one) == msgspec.json.encode(other)


def _children_note(begun: State) -> str:
    waiting = [step for name in begun.active if _has_child(begun, step := begun.steps[name])]
    if not waiting:
        return ""
    names = ", ".join(step.step.id for step in waiting)
    return f"runs that the source started are not this one's: it does not hear how they end (steps {names})"


def _has_child(begun: State, step: StepState) -> bool:
    owed = begun.pending.get(step.step.id)
    return owed is not None and bool(owed.child) and owed.found == "none"
