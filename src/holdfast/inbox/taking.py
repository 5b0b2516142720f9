"""What a message becomes when the run takes it: the event, judged by the state as it is then.

Nothing here raises over what a message says: what cannot be taken any more is written down as void, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec

from holdfast.core import events as e
from holdfast.core import references
from holdfast.core.approval import who_decides
from holdfast.core.facts import Drift, Fact, is_change
from holdfast.core.plan import Goal
from holdfast.core.state import ENDED, Standing, State, StepState, result_of
from holdfast.inbox.who import Speaker, may_decide
from holdfast.inbox.words import not_by_hand
from holdfast.journal.base import Message, MessageKind


def taken(state: State, message: Message, now: float) -> e.AnyEvent:
    """The event that a message becomes. What came too late is written down as void."""
    return _TAKEN[message.kind](state, message, now)


# --- answers ----------------------------------------------------------------------------------------------------------


def _answered(state: State, message: Message, now: float) -> e.AnyEvent:
    body = message.body
    interrupt, by = body["interrupt"], str(body["by"])
    asked = state.interrupts.get(interrupt)
    void = _void(state, asked, message, now)
    if asked is None or void is not None:
        return e.AnswerVoided(interrupt=interrupt, by=by, reason=void or "it is not open any more")
    note, seen_at = str(body["note"]), _number(body.get("seen_at"))
    left = asked.people - 1 - len(_approvals(state, interrupt))
    if body["decision"] == "approve" and left > 0:
        return e.ApprovalGiven(interrupt=interrupt, by=by, left=left, note=note, seen_at=seen_at, said_at=message.at)
    return e.Answered(
        interrupt=interrupt, decision=body["decision"], by=by, value=body["value"], note=note, roles=_roles(body),
        seen_at=seen_at, said_at=message.at, bulk=body.get("bulk") is True, standing=_text(body, "standing"),
    )  # fmt: skip


def _void(state: State, asked: e.Asked | None, message: Message, now: float) -> str | None:
    """Why an answer cannot be taken any more; None where it can."""
    body = message.body
    if asked is None:
        return "it is not open any more"
    if asked.digest != body["digest"]:
        return "what was shown has changed since"
    # What somebody said of the world in time stays said, however late it is heard. An approval does not: what would
    # follow from it has waited too long.
    if asked.expires_at <= (now if asked.about in ("call", "plan") else message.at):
        return "it has expired"
    if asked.people > 1 and body["decision"] in ("edit", "respond"):
        return f"it needs {asked.people} people, and they must say yes to the same"
    if body["decision"] not in {option.decision for option in asked.options}:
        return f"it cannot be answered with {body['decision']}"
    # Whether the directory knows them was looked at when they said it.
    speaker = Speaker(name=str(body["by"]), roles=_roles(body))
    standing = state.standings.get(asked.interrupt)
    if standing is not None and message.at < standing.since:
        asked = msgspec.structs.replace(asked, who=_asked_so_far(state, asked, standing))
    return may_decide(asked, _approvals(state, asked.interrupt), speaker, state.tenant)


def _asked_so_far(state: State, asked: e.Asked, standing: Standing) -> tuple[str, ...]:
    """Who was asked on the rungs up to now: what one of them said in their time counts, however late it is heard."""
    if asked.ladder is None or not (standing.rung > asked.rung or standing.handed_off):
        return asked.who
    own = who_decides(state, asked.ruling, asked.tool)
    named: list[str] = []
    before: tuple[str, ...] = ()
    for rung in asked.ladder.rungs[asked.rung : standing.rung + 1]:
        before = rung.who or own or before
        if not before:
            return ()  # Anybody was asked then.
        named.extend(before)
    return tuple(dict.fromkeys((*asked.who, *named)))


def _approvals(state: State, interrupt: str) -> tuple[str, ...]:
    standing = state.standings.get(interrupt)
    return standing.approvals if standing is not None else ()


# --- what a run is told -----------------------------------------------------------------------------------------------


def _cancelled(state: State, message: Message, now: float) -> e.AnyEvent:
    body = message.body
    return e.CancelRequested(by=str(body["by"]), reason=str(body["reason"]), on_stop=body.get("on_stop"))


def _refused(state: State, message: Message, now: float) -> e.AnyEvent:
    body = message.body
    return e.CallbackRefused(step=str(body["step"]), reason=str(body["reason"]), by=str(body["by"]))


def _signalled(state: State, message: Message, now: float) -> e.AnyEvent:
    body = message.body
    return e.SignalReceived(name=str(body["name"]), value=body["value"], by=str(body["by"]))


def _goal_changed(state: State, message: Message, now: float) -> e.AnyEvent:
    body = message.body
    changed = Goal(text=str(body["text"]), inputs=body["inputs"])
    return e.GoalChanged(goal=changed, by=str(body["by"]), note=str(body["note"]))


def _told(state: State, message: Message, now: float) -> e.AnyEvent:
    """What a person said is so, as of when they said it."""
    name, by = str(message.body["name"]), str(message.body["by"])
    fact = Fact(name=name, value=message.body["value"], source="told", by=by, at=message.at, pinned=True)
    before = state.facts.get(name)
    drifts: tuple[Drift, ...] = ()
    if before is not None and is_change(fact, before):
        drifts = (Drift(name=name, believed=before.value, observed=fact.value, source=before.source),)
    reason = f"corrected by {by}" if before is not None else f"told by {by}"
    return e.FactsLearned(facts=(fact,), drifts=drifts, reason=reason)


def _child_ended(state: State, message: Message, now: float) -> e.AnyEvent:
    return msgspec.convert({name: part for name, part in message.body.items() if part is not None}, e.ChildEnded)


def _instructed(state: State, message: Message, now: float) -> e.AnyEvent:
    text = _text(message.body, "text")
    if state.thinking is None:
        return _voided(message, "no model plans it")
    return e.Instructed(text=text, by=_text(message.body, "by")) if text.strip() else _voided(message, "it says nothing")


def _commented(state: State, message: Message, now: float) -> e.AnyEvent:
    """A remark on what is not open any more is a remark all the same."""
    interrupt, text = _text(message.body, "interrupt"), _text(message.body, "text")
    if not interrupt or not text.strip():
        return _voided(message, "it says nothing, or not about what", about=interrupt)
    return e.Commented(interrupt=interrupt, by=_text(message.body, "by"), text=text)


# --- who has the run --------------------------------------------------------------------------------------------------


def _paused(state: State, message: Message, now: float) -> e.AnyEvent:
    until = _number(message.body.get("until"))
    if state.paused is not None:
        return _voided(message, f"it is paused already by {state.paused.by}")
    if until is not None and until <= now:
        return _voided(message, "the time of the pause was over before it began")
    return e.RunPaused(by=_text(message.body, "by"), reason=_text(message.body, "reason"), until=until)


def _continued(state: State, message: Message, now: float) -> e.AnyEvent:
    return e.RunContinued(by=_text(message.body, "by")) if state.paused is not None else _voided(message, "it is not paused")


def _taken_over(state: State, message: Message, now: float) -> e.AnyEvent:
    if state.handoff is not None:
        return _voided(message, f"{state.handoff.by} has taken it over already")
    return e.HandoffRequested(by=_text(message.body, "by"), reason=_text(message.body, "reason"))


def _done_by_hand(state: State, message: Message, now: float) -> e.AnyEvent:
    body = message.body
    name, by = _text(body, "step"), _text(body, "by")
    step = state.steps.get(name)
    if step is None:
        return _voided(message, "there is no such step", about=name)
    if (why := not_by_hand(state, step, Speaker(name=by, roles=_roles(body)))) is not None:
        return _voided(message, why, about=name)
    args = _called_with(state, step) if not step.key else None
    return e.StepDoneByHand(step=name, by=by, value=body.get("value"), note=_text(body, "note"), args=args)


def _called_with(state: State, step: StepState) -> dict[str, Any] | None:
    """What a step that was never called would have been called with, as far as that is known by now."""
    if step.edited is not None or step.args is not None:
        return step.edited or step.args
    facts = {name: fact.value for name, fact in state.facts.items() if not fact.stale}
    try:
        found = references.resolve(
            step.step.args, state.goal.inputs, lambda name: result_of(state, name), facts.__getitem__, for_call=True
        )
    except references.Missing:
        return None
    return found if isinstance(found, dict) else None


def _voided(message: Message, reason: str, about: str = "") -> e.WordVoided:
    kind: Any = message.kind
    return e.WordVoided(kind=kind, by=_text(message.body, "by"), reason=reason, about=about)


# --- what the world delivers ------------------------------------------------------------------------------------------


def delivered(state: State, message: Message, failure: e.Failure | None = None) -> e.CallbackReceived | e.CallbackRefused:
    """The event that a delivery becomes. failure: why what it brings will not do."""
    body = message.body
    name, key, by = str(body["step"]), str(body["key"]), str(body["by"])
    step = state.steps.get(name)
    owed = state.pending.get(name)
    if owed is None or owed.key != key:
        if step is None or step.key != key:
            return e.CallbackRefused(step=name, reason="the call that it is for was given up, or made anew", by=by)
        if step.phase in ENDED:
            return e.CallbackRefused(step=name, reason=f"the step is {step.phase} already", by=by)
    if body["failed"] is not None:
        failure = e.Failure(kind="failed_later", message=str(body["failed"]) or "the other side says that it failed")
    return e.CallbackReceived(step=name, key=key, value=body["value"], failure=failure, by=by)


def _came(state: State, message: Message, now: float) -> e.AnyEvent:
    return delivered(state, message)


_TAKEN: dict[MessageKind, Callable[[State, Message, float], e.AnyEvent]] = {
    "answer": _answered,
    "cancel": _cancelled,
    "callback": _came,
    "refused": _refused,
    "signal": _signalled,
    "child": _child_ended,
    "correct": _told,
    "goal": _goal_changed,
    "comment": _commented,
    "pause": _paused,
    "resume": _continued,
    "instruct": _instructed,
    "handoff": _taken_over,
    "done": _done_by_hand,
}

# --- what a body says, whatever it holds ------------------------------------------------------------------------------


def _text(body: dict[str, Any], name: str) -> str:
    """A text of a body; empty where it has none."""
    said = body.get(name)
    return said if isinstance(said, str) else ""


def _number(said: Any) -> float | None:
    """A number that a clock may show; None for anything else."""
    if isinstance(said, bool) or not isinstance(said, (int, float)):
        return None
    return float(said) if math.isfinite(said) else None


def _roles(body: dict[str, Any]) -> tuple[str, ...]:
    roles = body.get("roles")
    return tuple(role for role in roles if isinstance(role, str)) if isinstance(roles, (list, tuple)) else ()
