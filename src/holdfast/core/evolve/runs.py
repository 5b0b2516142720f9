"""The run itself: how it starts, what it plans, how it stops and ends."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core.budget import dollars
from holdfast.core.evolve.minds import closed, drop_steps, has_begun, late_doubts, requested
from holdfast.core.evolve.steps import add_steps, following, settled
from holdfast.core.facts import Fact
from holdfast.core.plan import Goal
from holdfast.core.provenance import is_tainted
from holdfast.core.state import State


def started(event: e.RunStarted, entry: e.Entry) -> State:
    return State(
        run_id=event.run_id,
        agent=event.agent,
        agent_version=event.agent_version,
        goal=event.goal,
        tenant=event.tenant,
        priority=event.priority,
        labels=event.labels,
        secrets=event.secrets,
        limits=event.limits,
        contracts={c.tool: c for c in event.contracts},
        on_stop=event.on_stop,
        parent=event.parent,
        parent_step=event.parent_step,
        depth=event.depth,
        thread=event.thread,
        thinking=event.thinking,
        accept=event.accept,
        policy=event.policy,
        records=event.records,
        **(thinking_of(event.goal, entry.at) if event.thinking is not None else {}),
        version=entry.sequence,
        fence=entry.fence,
        at=entry.at,
        started_at=entry.at,
    )


def thinking_of(goal: Goal, at: float) -> dict[str, Any]:
    """The fields of the state of a run that a model thinks for: what it was given is what it was told."""
    facts = {name: Fact(name=name, value=value, by="the goal", at=at) for name, value in goal.inputs.items()}
    return {"facts": facts, "conversation_bytes": len(msgspec.json.encode(goal))}


def proposal_requested(state: State, event: e.ProposalRequested, entry: e.Entry) -> State:
    if event.attempt > 1:  # The turn goes on with another request.
        return following(state, entry, turn=event.turn, proposing=entry.fence, **requested(state, event))
    idle = idle_turns(state)
    return following(state, entry, turn=event.turn, proposing=entry.fence, idle_turns=idle, news=False, **requested(state, event))


def idle_turns(state: State) -> int:
    """How many turns in a row will have taught nothing when the reasoner is asked now. One that a crash took says nothing."""
    if state.news or state.turn == 0:
        return 0
    return state.idle_turns + (1 if state.proposing is None else 0)


def plans_left(state: State) -> int:
    """How many plans may still be adopted. Where each step is a plan of its own, turns are counted instead."""
    if state.thinking is not None and state.thinking.horizon == 1:
        return state.limits.turns_max
    return max(state.limits.revisions_max - state.revision, 0)


def plan_adopted(state: State, event: e.PlanAdopted, entry: e.Entry) -> State:
    state = drop_steps(state, entry, event.dropped, f"dropped by revision {event.revision}: {event.reason}")
    judged = state.policy is not None and any(rule.on == "plan" for rule in state.policy.rules)
    return add_steps(
        state,
        entry,
        event.plan.steps,
        revision=event.revision,
        planned=True,
        final=event.plan.final,
        result_form=event.plan.result,
        unjudged=event.plan if judged and event.plan.steps else state.unjudged,
        **closed(state, event.turn, "plan"),
    )


def proposal_failed(state: State, event: e.ProposalFailed, entry: e.Entry) -> State:
    failures = state.proposal_failures + 1
    changes = closed(state, event.turn, "failed", event.problems)
    return following(state, entry, proposal_failures=failures, proposal_problems=event.problems, **changes)


def finish_proposed(state: State, event: e.FinishProposed, entry: e.Entry) -> State:
    """What is under way ends first; what has not begun is not needed."""
    if late_doubts(state):
        # It speaks of what was so when it was asked, and is asked again.
        return following(state, entry, **closed(state, event.turn, "finish"))
    undone = tuple(name for name in state.order if not has_begun(state.steps[name])) if state.open_steps else ()
    state = drop_steps(state, entry, undone, "the goal was reached without it")
    return following(state, entry, finishing=True, result=event.result, **closed(state, event.turn, "finish"))


def give_up_proposed(state: State, event: e.GiveUpProposed, entry: e.Entry) -> State:
    if late_doubts(state):
        return following(state, entry, **closed(state, event.turn, "give_up"))
    return following(state, entry, stopping=state.stopping or event.reason, **closed(state, event.turn, "give_up"))


def limit_reached(state: State, event: e.LimitReached, entry: e.Entry) -> State:
    why = f"the limit {event.limit} of {event.allowed:g} is reached"
    if event.limit == "idle_turns_max":
        why = f"{event.allowed:g} turns of the reasoner in a row taught nothing new{_last_seen(state)}"
    elif event.limit == "turns_max":
        why = f"the reasoner was asked {event.allowed:g} times, which is the limit (turns_max)"
    elif event.limit == "revisions_max":
        why = f"{event.allowed:g} plans were made, which is the limit (revisions_max), and none was seen through"
    elif event.limit == "proposal_failures_max":
        why = "the reasoner proposed nothing that can be run: " + "; ".join(state.proposal_problems)
    elif event.limit == "refusals_max":
        why = f"people refused the same call {event.allowed:g} times, which is the limit (refusals_max)"
    elif event.limit == "finishes_max":
        why = f"its result was refused {event.allowed:g} times: " + "; ".join(dict.fromkeys(state.refused_because[-3:]))
    elif event.limit == "cost_usd_max" and state.limits.cost_usd_max is not None:
        why = f"the budget of {dollars(state.limits.cost_usd_max)} is used up: {dollars(state.spent.cost_usd)} are spent"
        why += ", and the next request may take more than is left"
    elif event.limit == "tokens_max":
        why = f"the budget of {event.allowed:g} tokens is used up: {state.spent.tokens} are spent"
    return following(state, entry, stopping=state.stopping or why)


def _last_seen(state: State) -> str:
    """What the reasoner did last, where it made a call: that is what it would have done for ever."""
    if not state.unseen:
        return ""
    step = state.steps[state.unseen[-1]]
    return f"; the last one called {step.tool}: {step.reason or 'the result was known already'}"


def undo_planned(state: State, event: e.UndoPlanned, entry: e.Entry) -> State:
    interrupts = {name: asked for name, asked in state.interrupts.items() if asked.about != "stop"}
    if not event.steps:
        return following(state, entry, stop="keep", kept=event.kept, interrupts=interrupts)
    undoing = tuple(step.id for step in event.steps)
    after = add_steps(state, entry, event.steps, stop="undo", undoing=undoing, kept=event.kept, interrupts=interrupts)
    steps = after.steps
    for step in event.steps:
        steps = steps.insert(step.id, replace(steps[step.id], tainted=is_tainted(state, step.undoes)))
    return replace(after, steps=steps)


def run_completed(state: State, event: e.RunCompleted, entry: e.Entry) -> State:
    return following(
        state,
        entry,
        ended="completed",
        result=event.result,
        partial=event.partial,
        skipped=event.skipped,
        flagged=event.flagged,
        replaced=event.replaced,
        **settled(state, *state.reserved),
    )


def run_failed(state: State, event: e.RunFailed, entry: e.Entry) -> State:
    return _stopped(state, entry, "failed", event.reason, event)


def run_cancelled(state: State, event: e.RunCancelled, entry: e.Entry) -> State:
    reason = f"cancelled by {event.by}" + (f": {event.reason}" if event.reason else "")
    return _stopped(state, entry, "cancelled", reason, event)


def _stopped(state: State, entry: e.Entry, ended: str, reason: str, event: e.RunFailed | e.RunCancelled) -> State:
    return following(
        state,
        entry,
        ended=ended,
        reason=reason,
        unknown=event.unknown,
        undone=event.undone,
        kept=event.kept,
        interrupts={},
        **settled(state, *state.reserved),
    )
