"""One word for many questions, said twice: first it is told what would be decided, then it is, if that is still the very same."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from holdfast.core.contract import digest
from holdfast.errors import AnswerRefused, UsageError
from holdfast.inbox.who import Speaker, may_decide
from holdfast.journal.people import OpenInterrupt
from holdfast.views.words import moment

# Decisions that need nothing but the word.
IN_BULK = ("approve", "reject", "cancel")
BULK_MAX = 1_000


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A question that the word does not decide, and why."""

    run_id: str
    interrupt: str
    why: str


class Bulk(msgspec.Struct, frozen=True, kw_only=True):
    """Many questions and one word. count: that it would decide, or was to; rules, tools: how many of them by rule and by tool;
    amount: of those that have one, together. confirm: to be given back to carry it out; empty where there is nothing to
    carry out. left_out: questions that were wanted, and that it does not decide. more: that were wanted and are beyond the limit.
    carried_out: whether this is the second time; done: how many were decided then, failed: those that could not be."""

    decision: str
    count: int
    rules: dict[str, int]
    tools: dict[str, int]
    amount: float
    confirm: str
    left_out: tuple[LeftOut, ...] = ()
    more: int = 0
    carried_out: bool = False
    done: int = 0
    failed: tuple[LeftOut, ...] = ()


def check(decision: str, limit: int) -> None:
    """UsageError for what cannot be said to many."""
    if decision not in IN_BULK:
        hint = f"one word for many is {', '.join(IN_BULK)}; answer the rest one by one"
        raise UsageError(f"{decision!r} cannot be said to many questions at once", hint=hint)
    if not 1 <= limit <= BULK_MAX:
        raise UsageError(f"the limit is {limit}", hint=f"it is 1 to {BULK_MAX}")


def parted(
    rows: Iterable[OpenInterrupt], decision: str, speaker: Speaker, now: float
) -> tuple[list[OpenInterrupt], list[LeftOut]]:
    """What a word would decide, and what not, with the reason."""
    chosen: list[OpenInterrupt] = []
    left: list[LeftOut] = []
    for row in rows:
        why = _why_not(row, decision, speaker, now)
        if why is None:
            chosen.append(row)
        else:
            left.append(LeftOut(run_id=row.run_id, interrupt=row.interrupt, why=why))
    return chosen, left


def _why_not(row: OpenInterrupt, decision: str, speaker: Speaker, now: float) -> str | None:
    if decision not in row.options:
        return f"it takes {', '.join(row.options)}: answer it by itself"
    if row.expires_at <= now:
        return "it has expired"
    if (why := answered_already(row, speaker)) is not None:
        return why
    if (why := may_decide(row, row.approvals, speaker, row.tenant)) is not None:
        return why
    if row.claimed_by not in ("", speaker.name) and row.claimed_until > now:
        return f"{row.claimed_by} has it in hand until {moment(row.claimed_until)}"
    return None


def answered_already(row: OpenInterrupt, speaker: Speaker) -> str | None:
    """Why somebody need not answer this: it wants no answer any more, or theirs waits. None where it wants one."""
    names = row.answered_by.split(", ") if row.answered_by else []
    if names and (len(names) + len(row.approvals) >= row.people or speaker.name in names):
        return f"{row.answered_by} answered it; a worker takes it"
    return None


def summed(chosen: Sequence[OpenInterrupt], decision: str, left: Sequence[LeftOut], more: int, speaker: Speaker) -> Bulk:
    """What a word would decide, in figures."""
    return Bulk(
        decision=decision,
        count=len(chosen),
        rules=dict(Counter(row.rule or "(none)" for row in chosen).most_common()),
        tools=dict(Counter(row.tool or "(none)" for row in chosen).most_common()),
        amount=math.fsum(row.amount for row in chosen if row.amount is not None),
        confirm=token(chosen, decision, speaker) if chosen else "",
        left_out=tuple(left),
        more=more,
    )


def token(chosen: Sequence[OpenInterrupt], decision: str, speaker: Speaker) -> str:
    """What stands for exactly these questions, as they were shown, and this word of this person. It begins with their number."""
    shown = sorted((row.run_id, row.interrupt, row.digest) for row in chosen)
    return f"{len(chosen)}-{digest([decision, speaker.name, shown])}"


def check_same(confirm: str, bulk: Bulk) -> None:
    """AnswerRefused where what was confirmed is not what would be decided now."""
    if confirm and confirm == bulk.confirm:
        return
    before, _, _ = confirm.partition("-")
    was = before if before.isdecimal() else "what was confirmed"
    if was == str(bulk.count):
        what = f"the inbox changed since: {was} questions, and not the same"
    else:
        what = f"the inbox changed since: {bulk.count} instead of {was}"
    raise AnswerRefused(f"{what}; nothing was decided", hint="look again, and confirm what is there now")
