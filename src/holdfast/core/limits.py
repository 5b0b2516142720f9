"""When to stop: the bounds of a run. Each is a field, and what happens at it is written down."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from holdfast.core.contract import duration
from holdfast.errors import DefinitionError

# How plan files call them, and how a step says what a run that it starts may use.
WORDS: dict[str, str] = {
    "parallel": "parallel_max", "steps": "steps_max", "attempts": "attempts_max", "turns": "turns_max",
    "idle_turns": "idle_turns_max", "children": "children_max", "wall": "wall_seconds", "person": "person_seconds",
    "hold": "hold_seconds", "lost": "lost_max", "changes": "changes", "revisions": "revisions_max", "tokens": "tokens_max",
    "cost": "cost_usd_max",
}  # fmt: skip


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Bounds of one run.

    parallel_max: calls at once. steps_max: steps over all revisions. attempts_max: calls in all, retries included.
    turns_max: times the reasoner is asked. wall_seconds: from start to end, waiting included. person_seconds: how
    long an interrupt waits for its answer. lost_max: how often one call may be lost (crash, time-out) before a
    person is asked instead of it being made again. idle_turns_max: turns of the reasoner in a row that taught nothing new.
    hold_seconds: how long a call may be held back by an open circuit or a rate limit before it counts as failed.
    children_max: runs that the steps of this one may start. changes: for what else calls change, by name, how much in all.
    revisions_max: plans, the first included. tokens_max: of all requests to models, in and out. cost_usd_max: US dollars for
    models and tools together. Both are reserved before and settled after, so that they hold to the last token and cent.
    """

    parallel_max: int = 8
    steps_max: int = 10_000
    attempts_max: int = 100_000
    turns_max: int = 200
    wall_seconds: float = 90 * 86400.0
    person_seconds: float = 7 * 86400.0
    lost_max: int = 5
    idle_turns_max: int = 5
    hold_seconds: float = 3600.0
    children_max: int = 100
    changes: dict[str, float] = {}
    revisions_max: int = 20
    tokens_max: int | None = None
    cost_usd_max: Decimal | None = None


# Those that hold only where they are given.
_UNBOUNDED = frozenset({"tokens_max", "cost_usd_max"})


def wrong_limits(limits: Limits) -> str | None:
    """The first limit under which no run could end well, or None."""
    for name in Limits.__struct_fields__:
        value = getattr(limits, name)
        if name == "changes" or (value is None and name in _UNBOUNDED):
            continue
        if name == "cost_usd_max":
            if not isinstance(value, Decimal) or not value.is_finite() or value < 0:
                return f"{name} must be an amount of at least 0, such as Decimal('2.50'), not {value!r}"
            continue
        whole = not name.endswith("_seconds")
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            return f"{name} must be a number, not {value!r}"
        if not (value >= 1 if whole else 0 < value < float("inf")):
            return f"{name} must be {'at least 1' if whole else 'more than nothing'}, not {value}"
    changes: Any = limits.changes  # It comes from code of the user, which no type check may have seen.
    if not isinstance(changes, dict):
        return f"changes must be a table of numbers by name, not {changes!r}"
    for change, allowed in changes.items():
        if not _is_number(allowed) or not 0 <= allowed < float("inf"):
            return f"changes of {change} must be at least 0, not {allowed!r}"
    return None


def reached(
    limits: Limits, *, steps: int, started_at: float, now: float, changes: dict[str, float] | None = None
) -> tuple[str, float] | None:
    """The first bound of the whole run that is reached, with its value; None while it is within all of them. The others
    are looked at where they bite: before a call, before a turn, after a loss."""
    if steps > limits.steps_max:
        return "steps_max", float(limits.steps_max)
    # Compared as the wake time is made: a difference of floats may fall short of it for ever.
    if now >= started_at + limits.wall_seconds:
        return "wall_seconds", limits.wall_seconds
    if limits.changes and changes:
        for name, allowed in limits.changes.items():
            if changes.get(name, 0.0) > allowed:
                return f"changes.{name}", allowed
    return None


def within(most: Limits, given: dict[str, Any]) -> Limits:
    """Limits that are given by name or word, none of them above these; what is no limit says nothing."""
    parts: dict[str, Any] = {}
    for word, value in given.items():
        name = WORDS.get(word, word)
        if name == "changes" and isinstance(value, dict):
            allowed = {str(one): float(amount) for one, amount in value.items() if _is_number(amount)}
            parts[name] = most.changes | {one: min(amount, most.changes.get(one, amount)) for one, amount in allowed.items()}
        elif name in Limits.__struct_fields__ and (number := _number(name, value)) is not None:
            allowed_most = getattr(most, name)
            parts[name] = number if allowed_most is None else min(number, allowed_most)
    return msgspec.structs.replace(most, **parts)


def amount_of(value: Any) -> Decimal | None:
    """An amount of US dollars from what authors write (a number, or a text such as `"2.50"`); None where it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None


def _number(name: str, value: Any) -> float | Decimal | None:
    if name == "cost_usd_max":
        return amount_of(value)
    if name.endswith("_seconds"):
        try:
            return duration(value) or None
        except DefinitionError:
            return None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 1 else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
