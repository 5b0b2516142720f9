"""The one sentence about two sides that a person needs first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast.core import events as e
from holdfast.views.compare.records import Change, Pair, Side, StepSide
from holdfast.views.entries import told
from holdfast.views.words import FIELD_MAX, cut, listed

NAMES_MAX = 4
_ENDED = {
    "completed": "completed",
    "failed": "failed",
    "cancelled": "was cancelled",
    "running": "goes on",
    "waiting": "waits",
    "blocked": "waits for a person",
}
_BOTH = {**_ENDED, "cancelled": "were cancelled", "running": "go on", "waiting": "wait", "blocked": "wait for a person"}
# What a run begins with.
_ASKED = frozenset(("agent", "version", "goal", "inputs"))
# What says more of a step than what it was given and gave.
_WEIGHTY = frozenset(("tool", "strategy", "attempts", "outcome", "reason", "settled_by", "approvals", "pending"))
_DETAILS = frozenset(("args", "result"))
_DID = {
    "done": "did {}",
    "part": "did {} in part",
    "failed": "failed at {}",
    "skipped": "skipped {}",
    "unknown": "does not know whether it did {}",
    "undone": "did {} and took it back",
    "open": "is at {}",
    "planned": "did not come to {}",
}


def sentence(a: Side, b: Side, steps: Sequence[Pair], run: Sequence[Change], same: int, shared: int) -> str:
    """What is the same, where they part, and how each went on. steps, run: all that differs."""
    if not run and all(pair.kind == "same" and not pair.moved for pair in steps):
        times = ", times and keys aside" if a.kind == b.kind == "run" and a.run_id != b.run_id else ""
        return f"they are the same{times}"
    if a.kind != "run" or b.kind != "run":
        return _plans(steps, run)
    begun = _beginning(a, b, run, same, shared)
    if a.run_id == b.run_id and same == min(len(a.entries), len(b.entries)):
        return f"{begun}, where {_longer(a, b, steps)}"
    return f"{begun}; then {_parting(a, b, steps, run, same)}" if same else f"{begun}{_parting(a, b, steps, run, same)}"


def _longer(a: Side, b: Side, steps: Sequence[Pair]) -> str:
    """Of a run at two of its entries: what came after the first of them."""
    kind, ends, goes_on, side = ("added", "A", "B", b) if len(a.entries) < len(b.entries) else ("left_out", "B", "A", a)
    names = [pair.a or pair.b for pair in steps if pair.kind == kind]
    more = f", with {_steps(len(names), 'more ')} ({listed(names, NAMES_MAX)})," if names else ""
    return f"{ends} ends; {goes_on} goes on{more} and {_ENDED.get(side.status, side.status).replace('goes on', 'is still going')}"


def _beginning(a: Side, b: Side, run: Sequence[Change], same: int, shared: int) -> str:
    if not same:
        asked = dict.fromkeys(change.part for change in run if change.part in _ASKED)
        return f"begun with different {' and '.join(asked)}; " if asked else ""
    if not shared or a.run_id == b.run_id:
        return f"the same up to entry {same}"
    if b.source == a.run_id or a.source == b.run_id:
        return f"the same up to entry {shared}, where {'B' if b.source == a.run_id else 'A'} was forked"
    return f"the same up to entry {shared}, taken over from {cut(a.source, FIELD_MAX)}"


# --- two runs -----------------------------------------------------------------------------------------------------


def _parting(a: Side, b: Side, steps: Sequence[Pair], run: Sequence[Change], same: int) -> str:
    """Where the steps part, and how each side ended."""
    in_a, in_b = {step.id: step for step in a.steps}, {step.id: step for step in b.steps}
    for pair in steps:
        one, other = in_a.get(pair.a), in_b.get(pair.b)
        if one is not None and other is not None and one.ending != other.ending:
            return f"A {_did(one)}{_end(a, one)}, B {_did(other)}{_end(b, other)}"
    first = _first_change(steps, _WEIGHTY) or (_first_change(steps, _DETAILS) if same else None)
    parts = [_first(*first)] if first is not None else []
    if alone := [pair for pair in steps if pair.kind in ("added", "left_out")]:
        parts.append(_alone(alone))
    if not parts and run:
        parts.append(f"they differ in {listed(dict.fromkeys(change.part for change in run), NAMES_MAX)}")
    if not parts:
        parts.append("the order is another" if any(pair.moved for pair in steps) else "details differ")
    return "; ".join((*parts, _ends(a, b)))


def _first_change(steps: Sequence[Pair], parts: frozenset[str]) -> tuple[Pair, Change] | None:
    return next(((pair, change) for pair in steps for change in pair.changes if change.part in parts), None)


def _did(step: StepSide) -> str:
    did = _DID[step.ending].format(cut(step.id, FIELD_MAX))
    if step.ending in ("failed", "skipped", "unknown", "open"):
        return did + (f": {cut(step.reason, FIELD_MAX)}" if step.reason else "")
    return did + (f" ({cut(step.result, FIELD_MAX)})" if step.result is not None and step.ending in ("done", "part") else "")


def _end(side: Side, step: StepSide) -> str:
    """How a side ended, where that does not follow from the step."""
    if side.status == "failed" and step.ending == "failed":
        return ""
    why = f": {cut(side.reason, FIELD_MAX)}" if side.status == "failed" and side.reason else ""
    return f" and {_ENDED.get(side.status, side.status)}{why}"


def _ends(a: Side, b: Side) -> str:
    if a.status == b.status:
        return f"both {_BOTH.get(a.status, a.status)}"
    return ", ".join(f"{name} {_ENDED.get(side.status, side.status)}" for name, side in (("A", a), ("B", b)))


def _first(pair: Pair, change: Change) -> str:
    where = f"{change.part}.{change.path}" if change.path else change.part
    named = pair.a if pair.a == pair.b else f"{pair.a} ({pair.b})"
    if change.kind == "added":
        how = f"{where} only in B"
    elif change.kind == "left_out":
        how = f"{where} only in A"
    else:
        how = f"{where} {_brief(change.before)} in A, {_brief(change.after)} in B"
    return f"first at {cut(named, FIELD_MAX)}: {how}"


def _brief(value: Any) -> str:
    return "nothing" if value is None else cut(value, FIELD_MAX)


def _alone(pairs: Sequence[Pair]) -> str:
    parts = []
    for kind, side in (("left_out", "A"), ("added", "B")):
        names = [pair.a or pair.b for pair in pairs if pair.kind == kind]
        if names:
            parts.append(f"only {side} has {listed(names, NAMES_MAX)}")
    return ", ".join(parts)


# --- plans --------------------------------------------------------------------------------------------------------


def _plans(steps: Sequence[Pair], run: Sequence[Change]) -> str:
    parts = []
    for kind, words in (("changed", "changed"), ("added", "only in B"), ("left_out", "only in A")):
        names = [pair.a or pair.b for pair in steps if pair.kind == kind]
        if names:
            parts.append(f"{_steps(len(names))} {words} ({listed(names, NAMES_MAX)})")
    if moved := [pair.a for pair in steps if pair.moved]:
        parts.append(f"{_steps(len(moved))} moved ({listed(moved, NAMES_MAX)})")
    if run:
        parts.append(f"differs: {listed(dict.fromkeys(change.part for change in run), NAMES_MAX)}")
    return ", ".join(parts)


def _steps(count: int, which: str = "") -> str:
    return f"1 {which}step" if count == 1 else f"{count} {which}steps"


# --- where journals part ------------------------------------------------------------------------------------------


def next_words(side: Side, same: int) -> str:
    """The entry behind the first `same` ones of a side, in words; empty where there is none."""
    if side.kind != "run" or same >= len(side.entries):
        return ""
    event = side.entries[same].event
    if isinstance(event, e.RunForked):
        return f"forked from entry {event.entry} of {cut(event.source, FIELD_MAX)}, {event.mode}"
    return told(event) or str(type(event).__struct_config__.tag).replace("_", " ")
