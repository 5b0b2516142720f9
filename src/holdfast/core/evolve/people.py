"""People: what a policy ruled, how interrupts stand, and what was said besides an answer."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core.commands import call_key
from holdfast.core.contract import digest
from holdfast.core.evolve.minds import drop_steps, has_begun, without_check
from holdfast.core.evolve.steps import finish, following, put, without
from holdfast.core.state import ENDED, Standing, State

# How a plan is named among what was refused.
PLAN = "plan"


def stood(before: State, after: State, event: e.Event, entry: e.Entry) -> State:
    """The state with the standings of the interrupts that are open after an event, and who decided about those that are not."""
    standings, decided = dict(after.standings), after.decided
    for name in before.interrupts.keys() - after.interrupts.keys():
        standings.pop(name, None)
        decided = decided.insert(name, _decided(event))
    for name in after.interrupts.keys() - before.interrupts.keys():
        rung = after.interrupts[name].rung
        standings[name] = Standing(asked_at=entry.at, asked_entry=entry.sequence, since=entry.at, rung=rung)
    return replace(after, standings=standings, decided=decided)


def _decided(event: e.Event) -> str:
    if isinstance(event, e.Answered):
        return f"{event.decision} by {event.by}"
    if isinstance(event, e.InterruptExpired):
        return "nobody answered in time"
    if isinstance(event, e.StepDoneByHand):
        return f"done by hand by {event.by}"
    return f"withdrawn: {event.reason}" if isinstance(event, e.InterruptWithdrawn) else "settled without an answer"


# --- policies -----------------------------------------------------------------------------------------------------


def policy_changed(state: State, event: e.PolicyChanged, entry: e.Entry) -> State:
    return following(state, entry, policy=event.policy)


def policy_ruled(state: State, event: e.PolicyRuled, entry: e.Entry) -> State:
    blocked = event.ruling.verdict == "block"
    why = f"the policy {event.ruling.policy} forbids it (rule {event.ruling.rule})"
    if not event.step:
        return plan_refused(state, entry, why, "") if blocked else following(state, entry, unjudged=None, plan_checks=None)
    step = state.steps[event.step]
    if not blocked:
        return put(state, entry, replace(step, ruled=event.call))
    failure = e.Failure(kind="denied", message=why, detail=e.BY_A_POLICY)
    return put(state, entry, replace(step, phase="diagnosis", args=event.args, failure=failure, refused=True, held_since=None))


def checks_intended(state: State, event: e.ChecksIntended, entry: e.Entry) -> State:
    if not event.step:
        return following(state, entry, checking_plan=entry.fence)
    return put(state, entry, replace(state.steps[event.step], phase="checking", fence=entry.fence))


def checks_answered(state: State, event: e.ChecksAnswered, entry: e.Entry) -> State:
    """What was said is kept; of a step that was dropped meanwhile it says nothing any more."""
    if not event.step:
        return following(state, entry, plan_checks=event, checking_plan=None)
    step = state.steps[event.step]
    if step.phase != "checking":
        return following(state, entry)
    return put(state, entry, replace(step, phase="waiting", due_at=entry.at, checks=event))


def plan_refused(state: State, entry: e.Entry, why: str, by: str) -> State:
    """The plan is not to be: whoever made it makes another one, or the run stops where nobody can, or it was refused too
    often."""
    refused = (*state.refused_calls.get(PLAN, ()), by)
    changes: dict[str, Any] = {
        "unjudged": None,
        "plan_asked": None,
        "plan_checks": None,
        "refused_calls": {**state.refused_calls, PLAN: refused},
    }
    if state.thinking is None:
        return following(state, entry, stopping=state.stopping or f"the plan was refused: {why}", **changes)
    allowed = state.policy.refusals_max if state.policy is not None else 1
    if len(refused) > allowed:
        changes["stopping"] = state.stopping or f"{len(refused)} plans were refused, the last one: {why}"
    planned = state.unjudged.steps if state.unjudged is not None else ()
    state = drop_steps(state, entry, tuple(step.id for step in planned), f"the plan was refused: {why}")
    suspicions = (*state.suspicions, f"the plan was refused: {why}")
    return following(state, entry, suspicions=suspicions, news=True, final=False, **changes)


def plan_approved(state: State, entry: e.Entry, question: e.Asked, by: tuple[str, ...], **changes: Any) -> State:
    """The plan may be; calls whose arguments were shown with it are approved, as long as the question was open."""
    steps = state.steps
    for name, call in question.calls.items():
        step = steps.get(name)
        if step is not None and not has_begun(step):
            approved = replace(step, approved=call, approved_by=by, approved_until=question.expires_at)
            steps = steps.insert(name, approved)
    return following(state, entry, steps=steps, unjudged=None, plan_asked=None, plan_checks=None, **changes)


# --- how interrupts stand -----------------------------------------------------------------------------------------


def interrupt_withdrawn(state: State, event: e.InterruptWithdrawn, entry: e.Entry) -> State:
    question = state.interrupts[event.interrupt]
    interrupts = without(state.interrupts, event.interrupt)
    if question.about == "plan":
        return following(state, entry, interrupts=interrupts, plan_asked=None)
    step = state.steps[question.step]
    step = replace(
        step,
        phase="waiting",
        due_at=entry.at,
        interrupt=None,
        approved=None,
        was_asked=max(step.was_asked, question.people),
    )
    return put(state, entry, step, interrupts=interrupts)


def reminded(state: State, event: e.Reminded, entry: e.Entry) -> State:
    return following(state, entry, standings=_standing(state, event.interrupt, reminded=event.number))


def escalated(state: State, event: e.Escalated, entry: e.Entry) -> State:
    asked = state.interrupts[event.interrupt]
    asked = replace(asked, who=event.who, kind=event.kind or asked.kind)
    return following(
        state,
        entry,
        interrupts={**state.interrupts, event.interrupt: asked},
        standings=_standing(
            state,
            event.interrupt,
            rung=event.rung,
            since=event.since or entry.at,
            reminded=0,
            handed_off=event.kind == "handoff",
        ),
    )


def approval_given(state: State, event: e.ApprovalGiven, entry: e.Entry) -> State:
    approvals = (*state.standings[event.interrupt].approvals, event.by)
    return following(state, entry, standings=_standing(state, event.interrupt, approvals=approvals))


def _standing(state: State, interrupt: str, **changes: Any) -> dict[str, Standing]:
    return {**state.standings, interrupt: replace(state.standings[interrupt], **changes)}


# --- words --------------------------------------------------------------------------------------------------------


def run_paused(state: State, event: e.RunPaused, entry: e.Entry) -> State:
    return following(state, entry, paused=event)


def run_continued(state: State, event: e.RunContinued, entry: e.Entry) -> State:
    return following(state, entry, paused=None)


def instructed(state: State, event: e.Instructed, entry: e.Entry) -> State:
    """Who plans looks at the plan again, and goes by it from now on."""
    return following(
        state,
        entry,
        instructions=(*state.instructions, event),
        conversation_bytes=state.conversation_bytes + len(msgspec.json.encode(event)),
        suspicions=(*state.suspicions, f"{event.by} says: {event.text}"),
        finishing=False,
        result=None,
        accepted=False,
        checks=without_check(state),
        news=True,
    )


def handoff_requested(state: State, event: e.HandoffRequested, entry: e.Entry) -> State:
    return following(state, entry, handoff=state.handoff or event)


def handoff_answered(state: State, event: e.Answered, entry: e.Entry, **changes: Any) -> State:
    """Whoever took the run over says how it goes on."""
    said = f"{event.decision} by {event.by}" + (f": {event.note}" if event.note else "")
    changes["handoff"] = None
    if event.decision == "respond":
        state = _given_up(replace(state, **changes), entry, f"the goal was reached by hand ({event.by})")
        moot = ("plan", "question", "reasoner")
        return following(
            state,
            entry,
            interrupts={name: asked for name, asked in state.interrupts.items() if asked.about not in moot},
            finishing=True,
            result=event.value,
            accepted=True,
            handoff=None,
            suspicions=(),
            weighing=(),
            questions={},
            unjudged=None,
            plan_asked=None,
            plan_checks=None,
        )
    if event.decision == "reject":
        changes["stopping"] = state.stopping or f"it was taken over and stopped ({said})"
    elif event.decision == "approve" and state.thinking is not None:
        changes["suspicions"] = (*state.suspicions, f"{event.by} had taken the run over and hands it back")
        changes["news"] = True
    return following(state, entry, **changes)


def _given_up(state: State, entry: e.Entry, why: str) -> State:
    """Nothing more is called: what has not begun, and what failed for certain and would be tried again, is given up."""
    for name in state.order:
        step = state.steps[name]
        failed = step.phase in ("waiting", "asking", "diagnosis") and step.doubt_since is None and not step.landed
        if step.phase in ENDED or (has_begun(step) and not failed) or name in state.pending:
            continue
        interrupts = without(state.interrupts, step.interrupt or "")
        state = put(state, entry, replace(step, phase="skipped", reason=why, interrupt=None), interrupts=interrupts)
    return state


def step_done_by_hand(state: State, event: e.StepDoneByHand, entry: e.Entry) -> State:
    """It counts as done with that result; what was asked about it, or owed to it, is settled."""
    step = state.steps[event.step]
    changes: dict[str, Any] = {}
    if step.interrupt is not None:
        changes["interrupts"] = without(state.interrupts, step.interrupt)
    if event.step in state.pending:
        changes["pending"] = without(state.pending, event.step)
    contract = state.contracts.get(step.tool)
    if event.args is not None and contract is not None:
        # It is done as much as if it had been called: the same call is not made again.
        key = call_key(
            state.run_id, step.tool, event.step, contract.business_key, event.args, step.occurrence, contract.business_scope
        )
        step = replace(step, args=event.args, key=key)
        if contract.business_key:
            changes["business"] = state.business.insert(key, event.step)
        if state.thinking is not None and contract.safety not in ("read", "idempotent"):
            changes["done_calls"] = state.done_calls.insert(digest([step.tool, event.args]), event.step)
    said = f"done by hand by {event.by}" + (f": {event.note}" if event.note else "")
    return finish(state, entry, replace(step, reason=said), event.value, "person", **changes)
