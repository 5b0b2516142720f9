"""The rules of what people are asked, for any store: the order of the inbox, who has a question in hand, what a standing approval
answers. Plain functions on records; `journal/people.py` has the records."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from holdfast.journal.base import Message
from holdfast.journal.people import Decided, InboxOrder, Judged, OpenInterrupt, Person, StandingApproval, covers, standing_answer

# How long a store knows where an interrupt stood that is open no more, in seconds.
LEFT_SECONDS = 86_400.0
_BETWEEN = "\x1f"


def due(asked: OpenInterrupt) -> float:
    """When something happens of itself: the ladder goes on, or the default holds."""
    return asked.expires_at if asked.due_at is None else asked.due_at


def place(asked: OpenInterrupt, order: InboxOrder) -> tuple[float, str, str]:
    """Where it stands; the lowest is first. The largest amount is first, and what has none is last."""
    by = {"due": due(asked), "oldest": asked.asked_at, "amount": amount_order(asked)}[order]
    return by, asked.run_id, asked.interrupt


def amount_order(asked: OpenInterrupt) -> float:
    """By what the largest amount is first."""
    return math.inf if asked.amount is None else -asked.amount


def words(asked: OpenInterrupt) -> str:
    """What is searched, whatever its case; what is looked for is to be case-folded too."""
    return _BETWEEN.join((asked.question, asked.step, asked.run_id)).casefold()


def barred(asked: OpenInterrupt) -> tuple[str, ...]:
    """Who may not decide it, whatever they are: who refused it before, and who approved it already."""
    return (*asked.not_by, *asked.approvals)


def as_opened(asked: OpenInterrupt, run_id: str, before: OpenInterrupt | None) -> OpenInterrupt:
    """What a store has of something that a run opens. before: what it has so far; its claim and its comments stay."""
    return msgspec.structs.replace(
        asked,
        run_id=run_id,
        comments=before.comments if before is not None else 0,
        claimed_by=before.claimed_by if before is not None else "",
        claimed_until=before.claimed_until if before is not None else 0.0,
        answered_by="",
    )


def as_of(asked: OpenInterrupt, now: float) -> OpenInterrupt:
    """As it is then: a claim that is over is none."""
    if asked.claimed_by and asked.claimed_until <= now:
        return msgspec.structs.replace(asked, claimed_by="", claimed_until=0.0)
    return asked


def claimed(asked: OpenInterrupt, by: str, now: float, until: float) -> OpenInterrupt:
    """After somebody wanted it to themselves; the same where another has it in hand. An `until` that is over gives it back."""
    asked = as_of(asked, now)
    if asked.claimed_by not in ("", by):
        return asked
    return msgspec.structs.replace(asked, claimed_by=by if until > now else "", claimed_until=until if until > now else 0.0)


# --- answers that no worker has taken yet -----------------------------------------------------------------------------


def is_for(asked: OpenInterrupt, slot: str | None) -> bool:
    """Whether an answer is to this question, by its slot: the interrupt, and for several people their name behind it."""
    return slot == asked.interrupt or (asked.people > 1 and slot is not None and slot.startswith(f"{asked.interrupt}:"))


def is_answered(asked: OpenInterrupt, slots: Sequence[str | None]) -> bool:
    """Whether it wants no answer any more. slots: of the answers to it that wait."""
    return asked.interrupt in slots or (len(slots) > 0 and len(slots) + len(asked.approvals) >= asked.people)


def answered(asked: OpenInterrupt, bodies: Iterable[Mapping[str, Any]]) -> OpenInterrupt:
    """With the names of those whose answers wait. bodies: of these answers, the first one first."""
    by = ", ".join(str(body.get("by") or "somebody") for body in bodies)
    return msgspec.structs.replace(asked, answered_by=by) if by else asked


def decided(ruling: Judged, came: Decided) -> Judged:
    """A ruling with what came of its question."""
    values = {name: getattr(came, name) for name in Decided.__struct_fields__ if name != "at"}
    return msgspec.structs.replace(ruling, **values, decided_at=came.at)


# --- standing approvals -----------------------------------------------------------------------------------------------


def may_answer(approval: StandingApproval, now: float) -> bool:
    """Whether it answers anything then."""
    used_up = approval.uses_max is not None and approval.uses >= approval.uses_max
    return approval.revoked_at is None and now < approval.until and not used_up


def replaced(approval: StandingApproval, before: StandingApproval | None) -> StandingApproval:
    """What a store keeps of an approval in place of the one of the same id. How often that was used, and that it was taken back,
    stays: a grant that is repeated, because nobody knew whether it arrived, must not begin anew."""
    if before is None:
        return approval
    approval = msgspec.structs.replace(approval, uses=max(approval.uses, before.uses))
    if before.revoked_at is not None:
        approval = msgspec.structs.replace(approval, revoked_at=before.revoked_at, revoked_by=before.revoked_by)
    return approval


def is_given(approval: StandingApproval, people: Mapping[str, Person] | None) -> bool:
    """Whether who gave it is known. people: the directory; None where it is empty, and then everybody is."""
    return people is None or approval.by in people


def covered(
    approval: StandingApproval, asked: OpenInterrupt, now: float, people: Mapping[str, Person] | None
) -> StandingApproval | None:  # fmt: skip
    """The approval, with the roles that who gave it has now, where it answers this question; None where it does not. people: the
    directory as it is now, at least with them, where they are in it; None where it is empty."""
    if people is not None:
        person = people.get(approval.by)
        if person is None or (person.tenants and asked.tenant not in person.tenants):
            return None
        approval = msgspec.structs.replace(approval, roles=person.roles)
    return approval if covers(approval, asked, now) else None


def first_that_covers(
    approvals: Iterable[StandingApproval], asked: OpenInterrupt, now: float, people: Mapping[str, Person] | None
) -> StandingApproval | None:  # fmt: skip
    """The one that answers, the oldest of those that could, as `covered` gives it; None where none does. approvals: the oldest
    first."""
    return next((found for approval in approvals if (found := covered(approval, asked, now, people)) is not None), None)


def answer(approval: StandingApproval, asked: OpenInterrupt, at: float) -> Message:
    """The word by which it answers."""
    return Message(kind="answer", slot=asked.interrupt, body=standing_answer(approval, asked), at=at)
