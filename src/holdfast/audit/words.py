"""What a line of an audit says of each kind of event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from holdfast.core import events as e
from holdfast.core.policy import Policy, Ruling

Said = dict[str, Any]


def said_of(event: e.AnyEvent, questions: Mapping[str, e.Asked]) -> Said | None:
    """What a line says of an event; None where it is no decision. What answers a question is shown with it."""
    describe = _WORDS.get(type(event))
    said = describe(event) if describe is not None else None
    asked = questions.get(getattr(event, "interrupt", ""))
    return said if said is None or asked is None else {**_question(asked), **said}


def _question(asked: e.Asked) -> Said:
    return {
        "interrupt": asked.interrupt, "step": asked.step, "tool": asked.tool, "digest": asked.digest, "args": asked.args,
        **(_ruling(asked.ruling) if asked.ruling is not None else {"rule": asked.about}),
    }  # fmt: skip


def _ruling(ruling: Ruling) -> Said:
    return {"rule": ruling.rule, "policy": ruling.policy, "verdict": ruling.verdict}


def _drawn(ruling: Ruling | None) -> Said:
    """What else is known of a ruling, as far as there is something."""
    if ruling is None:
        return {}
    return {name: value for name in ("why", "draw", "rate", "looked") if (value := getattr(ruling, name)) not in (None, "", {})}


def _asked(event: e.Asked) -> Said:
    detail = {
        "kind": event.kind, "about": event.about, "options": [option.decision for option in event.options],
        "expires_at": event.expires_at, "who": list(event.who), "not_by": list(event.not_by), "people": event.people,
        "amount": event.amount, **_drawn(event.ruling),
    }  # fmt: skip
    return {"decision": "asked", "note": event.question, "detail": detail}


def _answered(event: e.Answered) -> Said:
    return {
        "who": event.by, "decision": event.decision, "value": event.value, "note": event.note, "roles": event.roles,
        "seen_at": event.seen_at, "said_at": event.said_at or None, "bulk": event.bulk, "standing": event.standing,
    }  # fmt: skip


def _approval_given(event: e.ApprovalGiven) -> Said:
    return {
        "who": event.by, "decision": "approve", "note": event.note, "seen_at": event.seen_at, "said_at": event.said_at or None,
        "detail": {"left": event.left},
    }  # fmt: skip


def _policy_ruled(event: e.PolicyRuled) -> Said:
    return {
        "decision": "blocked" if event.ruling.verdict == "block" else "passed", "step": event.step, "tool": event.tool,
        "digest": event.call, "args": event.args, "detail": _drawn(event.ruling), **_ruling(event.ruling),
    }  # fmt: skip


def _policy_changed(event: e.PolicyChanged) -> Said:
    policy: Policy | None = event.policy
    if policy is None:
        return {"note": "no policy any more"}
    return {"policy": f"{policy.name}@{policy.version}", "detail": {"policy": msgspec.to_builtins(policy)}}


def _facts_learned(event: e.FactsLearned) -> Said | None:
    """Only what a person told; what a step observed and a model read is no decision of anybody's."""
    told = [fact for fact in event.facts if fact.source == "told" and fact.pinned]
    if not told:
        return None
    return {"who": told[0].by, "value": {fact.name: fact.value for fact in told}, "note": event.reason}


def _goal_changed(event: e.GoalChanged) -> Said:
    return {"who": event.by, "value": {"text": event.goal.text, "inputs": event.goal.inputs}, "note": event.note}


def _cancel_requested(event: e.CancelRequested) -> Said:
    return {
        "who": event.by,
        "decision": "cancel",
        "note": event.reason,
        "detail": {"on_stop": event.on_stop} if event.on_stop else {},
    }


def _escalated(event: e.Escalated) -> Said:
    return {"detail": {"rung": event.rung, "who": list(event.who), "kind": event.kind}}


def _step_done_by_hand(event: e.StepDoneByHand) -> Said:
    return {"who": event.by, "decision": "done", "step": event.step, "value": event.value, "note": event.note}


def _voided(event: e.AnswerVoided) -> Said:
    return {"who": event.by, "decision": "voided", "note": event.reason, "interrupt": event.interrupt}


def _word_voided(event: e.WordVoided) -> Said:
    return {"who": event.by, "decision": "voided", "note": event.reason, "detail": {"kind": event.kind, "about": event.about}}


def _run_forked(event: e.RunForked) -> Said:
    return {"who": event.by, "note": event.reason, "detail": {"source": event.source, "entry": event.entry, "mode": event.mode}}


# What a line says of each kind of event. Events that are not here decide nothing.
_WORDS: dict[type[e.Event], Callable[[Any], Said | None]] = {
    e.Asked: _asked,
    e.Answered: _answered,
    e.AnswerVoided: _voided,
    e.ApprovalGiven: _approval_given,
    e.InterruptExpired: lambda event: {"decision": "expired", "interrupt": event.interrupt},
    e.InterruptWithdrawn: lambda event: {"decision": "withdrawn", "interrupt": event.interrupt, "note": event.reason},
    e.Escalated: _escalated,
    e.PolicyRuled: _policy_ruled,
    e.PolicyChanged: _policy_changed,
    e.Commented: lambda event: {"who": event.by, "interrupt": event.interrupt, "note": event.text},
    e.RunPaused: lambda event: {"who": event.by, "note": event.reason, "detail": {"until": event.until} if event.until else {}},
    e.RunContinued: lambda event: {"who": event.by},
    e.Instructed: lambda event: {"who": event.by, "note": event.text},
    e.HandoffRequested: lambda event: {"who": event.by, "note": event.reason},
    e.StepDoneByHand: _step_done_by_hand,
    e.WordVoided: _word_voided,
    e.CancelRequested: _cancel_requested,
    e.GoalChanged: _goal_changed,
    e.SignalReceived: lambda event: {"who": event.by, "value": event.value, "note": event.name},
    e.FactsLearned: _facts_learned,
    e.RunForked: _run_forked,
}
NAMES: dict[type[Any], str] = {kind: str(kind.__struct_config__.tag) for kind in _WORDS}
AUDITED = frozenset(NAMES.values())
