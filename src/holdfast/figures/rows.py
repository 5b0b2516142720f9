"""What one row of the record says: who decided it, how, and how long that took."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, isfinite
from statistics import median
from typing import Literal

from holdfast.journal.people import Judged

# What a person can say. Everything but a plain yes is an override, see `is_overridden`.
DECISIONS = ("approve", "edit", "reject", "respond", "cancel")
# A decision that took less was not read.
QUICK_SECONDS = 5.0

Since = Literal["seen", "asked"]


def is_decided(row: Judged) -> bool:
    """Whether a person decided it. A standing approval was given before there was anything to look at, and silence is no
    decision: neither counts."""
    return row.asked and not row.standing and row.decision in DECISIONS


def is_weighed(row: Judged) -> bool:
    """Whether a person decided it and a plain yes was possible: an approval. What an agent wants to know, and what became of a
    call in doubt, has no answer that agrees or disagrees with the agent."""
    return is_decided(row) and row.kind in ("", "approval")


def is_overridden(row: Judged) -> bool:
    """Whether a person did not simply say yes to what was proposed: it was rejected, changed (edit), answered in place of the
    tool (respond), or the run was ended (cancel). In each of them the call would have been made otherwise than the person
    wanted, had nobody been asked; that is what asking is for."""
    return is_weighed(row) and row.decision != "approve"


def since(row: Judged) -> Since:
    """From when the time to decide counts: from when the person was shown it, where that is known and lies between the question
    and the decision, else from when it was asked."""
    shown = row.seen_at is not None and row.decided_at is not None and row.at <= row.seen_at <= row.decided_at
    return "seen" if shown else "asked"


def decide_seconds(row: Judged) -> float | None:
    """How long a decision took; None where nobody decided, or it was decided before it was asked."""
    if not is_decided(row) or row.decided_at is None:
        return None
    began = row.seen_at if since(row) == "seen" and row.seen_at is not None else row.at
    seconds = row.decided_at - began
    return seconds if isfinite(seconds) and seconds >= 0 else None


def is_quick(row: Judged) -> bool | None:
    """Whether a decision took less than five seconds; None where that cannot be told. Who was shown it is timed from then.
    Without that it is known only of what was decided within five seconds of being asked."""
    seconds = decide_seconds(row)
    if seconds is None or (since(row) == "asked" and seconds >= QUICK_SECONDS):
        return None
    return seconds < QUICK_SECONDS


def amount_of(row: Judged) -> float | None:
    """What it is about, in the unit of its tool; None where that is not a number to count with."""
    return row.amount if row.amount is not None and isfinite(row.amount) else None


def amount_sum(rows: Iterable[Judged]) -> float | None:
    """What they are about together; None where none of them has an amount."""
    amounts = [amount for row in rows if (amount := amount_of(row)) is not None]
    return sum(amounts) if amounts else None


def policy_name(policy: str) -> str:
    """The name in `name@version`."""
    return policy.rpartition("@")[0] or policy


def middle(values: list[float]) -> float | None:
    """The median; None of nothing."""
    return median(values) if values else None


def ninetieth(values: list[float]) -> float | None:
    """The least value that nine of ten do not exceed; None of nothing."""
    return sorted(values)[ceil(0.9 * len(values)) - 1] if values else None
