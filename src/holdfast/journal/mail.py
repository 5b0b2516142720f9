"""The messages that a store itself puts into mailboxes, and the words with which it refuses one; for any store."""

from __future__ import annotations

import json
from typing import Any

from holdfast.core.facts import same_value
from holdfast.core.state import Status
from holdfast.errors import AnswerRefused, CallbackUnknown
from holdfast.journal.base import ENDED, Message

# How the slot of a word begins that has an id of its sender's.
WORD = "word:"


def child_ended(child: str, step: str, report: dict[str, Any] | None, at: float) -> Message:
    """What a run is told when one ends that its step started. report: of the release that ended it."""
    return Message(kind="child", slot=f"child:{child}", body={**(report or {}), "child": child, "step": step}, at=at)


def parent_ended(parent: str, at: float) -> Message:
    """The word that ends a run together with the one that started it."""
    body = {"by": f"run {parent}", "reason": "its parent run has ended", "decision": "cancel"}
    return Message(kind="cancel", slot="parent-ended", body=body, at=at)


def delivered(digest: str, step: str, key: str, body: dict[str, Any], at: float) -> Message:
    """A result that came by token."""
    return Message(kind="callback", slot=f"callback:{digest}", body={**body, "step": step, "key": key}, at=at)


def refused(step: str, key: str, body: dict[str, Any], reason: str, at: float) -> Message:
    """The record of a delivery that was not taken: who it was and why not, and nothing of what they brought."""
    return Message(kind="refused", body={"by": body.get("by", ""), "reason": reason, "step": step, "key": key}, at=at)


def refusal(*, used_at: float | None, expires_at: float, status: Status, at: float) -> str:
    """Why a delivery by a known token is not taken; empty where it is."""
    if used_at is not None:
        return "its result was delivered before"
    if status in ENDED:
        return f"the run has ended ({status})"
    return "the token has expired" if at >= expires_at else ""


def unknown_token() -> CallbackUnknown:
    """The refusal of a token that nobody was given; it names no run, for there is none."""
    return CallbackUnknown("nobody was given this token", hint="give the whole token, and the store that it was made in")


def run_ended(run_id: str, status: str) -> AnswerRefused:
    """The refusal of a word to a run to which nothing can be said any more."""
    return AnswerRefused(f"it has ended already ({status})", run_id=run_id, hint=f"holdfast show {run_id}")


def second_answer(run_id: str, slot: str, first: dict[str, Any]) -> AnswerRefused:
    """The refusal of a second word for a slot. first: the body of the one that has it."""
    return AnswerRefused(f"{slot} was answered already: {first.get('decision')} by {first.get('by')}", run_id=run_id)


def says_the_same(message: Message, kind: str, body: str) -> bool:
    """Whether a word for a slot that has one says once more what that one said. kind, body: of the first, as it is stored. An
    answer never does: whoever gives one is told who was first."""
    if "answer" in (kind, message.kind) or kind != message.kind:
        return False
    said = json.dumps(message.body)
    return said == body or same_value(json.loads(said), json.loads(body))


def slot_used(run_id: str, message: Message, kind: str, body: str) -> AnswerRefused:
    """The refusal of a word whose slot has another one. kind, body: of the first, as it is stored."""
    slot, first = message.slot or "", json.loads(body)
    if not slot.startswith(WORD):
        return second_answer(run_id, slot, first)
    by = f" by {first['by']}" if first.get("by") else ""
    return AnswerRefused(
        f"the id {slot.removeprefix(WORD)!r} was used for something else: {kind}{by}", run_id=run_id, hint="give it another id"
    )
