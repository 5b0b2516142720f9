"""What people were asked about a step, or about the run, and what came of it."""

from __future__ import annotations

from typing import Any

from holdfast.core import events as e
from holdfast.core import references
from holdfast.core.state import secret_names
from holdfast.core.values import redacted
from holdfast.views.entries_people import asked_by
from holdfast.views.interrupts import Remark
from holdfast.views.why.facts import redacted_args
from holdfast.views.why.links import basis_of, said
from holdfast.views.why.past import Past
from holdfast.views.why.records import Ask
from holdfast.views.words import FIELD_MAX, cut, listed, moment


def asks_of(past: Past, step: str) -> tuple[Ask, ...]:
    """All that people were asked about a step, in order; with an empty name, about the run as a whole."""
    return tuple(
        ask(past, interrupt) for interrupt in past.asked if (asked := past.question(interrupt)) is not None and asked.step == step
    )


def ask(past: Past, interrupt: str) -> Ask:
    """One question, with all that was said of it."""
    number = past.asked[interrupt]
    asked = past.question(interrupt)
    assert asked is not None, f"{interrupt} was asked"
    found = _Found(secret_names(past.state))
    for other in past.of_interrupt[interrupt]:
        _note(found, past.entries[other - 1])
    if not found.end and interrupt not in past.state.interrupts:
        end = _closed(past, interrupt)
        found.end = {"ended": "settled", "why_ended": said(past, end), "ended_at": past.at(end), "ended_entry": end}
    at = past.at(number)
    if (ended_at := found.end.get("ended_at")) is not None:
        found.end["after_seconds"] = round(max(ended_at - at, 0.0), 3)
    by_rule = basis_of(asked.ruling) if asked.about in ("call", "plan") else asked_by(asked)
    return Ask(
        interrupt=interrupt, kind=asked.kind, about=asked.about, question=asked.question, entry=number, at=at,
        expires_at=asked.expires_at, rule=by_rule, who=asked.who, not_by=asked.not_by, people=asked.people, tool=asked.tool,
        shown=redacted_args(past.state, references.unmarked(asked.args)), digest=asked.digest, amount=asked.amount,
        facts=asked.facts, options=tuple(option.decision for option in asked.options), reminded=found.reminded,
        rungs=tuple(found.rungs), approvals=tuple(found.approvals), comments=tuple(found.comments), voided=tuple(found.voided),
        **found.end,
    )  # fmt: skip


def _closed(past: Past, interrupt: str) -> int:
    """The entry by which a question that nobody answered was over."""
    low, high = past.asked[interrupt], len(past.entries)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if interrupt in past.after(middle).interrupts else (low, middle)
    return low


class _Found:
    """What was said of a question so far. names: of what is never written down."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names
        self.reminded = 0
        self.rungs: list[str] = []
        self.approvals: list[str] = []
        self.comments: list[Remark] = []
        self.voided: list[str] = []
        self.end: dict[str, Any] = {}


def _note(found: _Found, entry: e.Entry) -> None:
    event, at = entry.event, entry.at
    ends: dict[str, Any] = {"ended_at": at, "ended_entry": entry.sequence}
    match event:
        case e.Reminded():
            found.reminded += 1
        case e.Escalated(rung=rung, who=who, kind=kind):
            whom = listed(who) if who else "whoever may decide it"
            what = "were to take it over" if kind == "handoff" else f"were asked (rung {rung + 1})"
            found.rungs.append(f"{whom} {what} from {moment(event.since or at)} on")
        case e.ApprovalGiven(by=by, left=left, note=note):
            said = f": “{cut(note)}”" if note else ""
            found.approvals.append(f"{cut(by, FIELD_MAX)} at {moment(at)}, {left} more needed{said}")
        case e.Commented(by=by, text=text):
            found.comments.append(Remark(by=by, text=text, at=at))
        case e.AnswerVoided(by=by, reason=reason):
            found.voided.append(f"{cut(by, FIELD_MAX) or 'somebody'} at {moment(at)}: {cut(reason)}")
        case e.Answered():
            found.end = ends | {
                "ended": "answered", "decision": event.decision, "by": event.by, "note": event.note, "bulk": event.bulk,
                "value": redacted(event.value, found.names), "standing": event.standing, "seen_at": event.seen_at,
            }  # fmt: skip
        case e.InterruptExpired():
            found.end = ends | {"ended": "expired", "why_ended": "nobody answered in time"}
        case e.InterruptWithdrawn(reason=reason):
            found.end = ends | {"ended": "withdrawn", "why_ended": reason}
        case _:
            pass
