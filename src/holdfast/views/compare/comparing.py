"""The comparison: what differs of the whole, and of each step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from holdfast.core.contract import differences
from holdfast.core.references import REF
from holdfast.views.compare.aligning import align, moved
from holdfast.views.compare.prefix import same_entries, taken_over
from holdfast.views.compare.records import Aligned, Change, Comparison, Pair, Side, SideView, StepSide
from holdfast.views.compare.sentence import next_words, sentence
from holdfast.views.compare.values import changes
from holdfast.views.words import span

# Two times differ when one is more than so many times the other, and by more than so many seconds.
TIMES, SECONDS = 2.0, 1.0
_OF_A_CALL = ("attempts", "outcome", "reason", "result", "settled_by", "approvals", "pending")
# How a step names others.
_NAMING = frozenset(("after", "alternative_to", "undoes"))


def compare(a: Side, b: Side) -> Comparison:
    """What differs between two sides. The same side twice has no differences; what is `added` one way is `left_out` the other."""
    met = align(a.steps, b.steps)
    both_runs = a.kind == b.kind == "run"
    shared = taken_over(a, b) if both_runs else 0
    same = max(same_entries(a, b), shared) if both_runs else 0
    steps = _pairs(a, b, met, shared)
    run = tuple(_run_changes(a, b))
    counts = {kind: sum(pair.kind == kind for pair in steps) for kind in ("same", "changed", "added", "left_out")}
    counts["moved"] = sum(pair.moved for pair in steps)
    next_a, next_b = next_words(a, same), next_words(b, same)
    is_same = not run and counts["same"] == len(steps) and not counts["moved"]
    return Comparison(
        sentence=sentence(a, b, steps, run, same, shared), same=is_same, a=_view(a), b=_view(b), same_entries=same,
        taken_over=shared, next_a=next_a, next_b=next_b, run=run, steps=steps, counts=counts,
    )  # fmt: skip


def _view(side: Side) -> SideView:
    return SideView(
        name=side.name, kind=side.kind, run_id=side.run_id, status=side.status, reason=side.reason, source=side.source,
        entry=side.source_entry, mode=side.mode, steps=len(side.steps), entries=len(side.entries), seconds=side.seconds,
    )  # fmt: skip


# --- the whole ----------------------------------------------------------------------------------------------------


def _run_changes(a: Side, b: Side) -> Iterable[Change]:
    for name, before in a.facts.items():
        if name in b.facts:
            yield from changes(name, before, b.facts[name])
    if a.contracts is not None and b.contracts is not None:
        for one in differences(a.contracts, b.contracts):
            yield Change(part="contracts", path=f"{one.tool}.{one.field}", before=one.before, after=one.after)
    if a.kind == b.kind == "run" and _times_differ(a.seconds, b.seconds):
        yield Change(part="time", before=span(a.seconds), after=span(b.seconds))


def _times_differ(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return False
    return abs(one - other) > SECONDS and max(one, other) > TIMES * min(one, other)


# --- steps --------------------------------------------------------------------------------------------------------


def _pairs(a: Side, b: Side, met: Sequence[tuple[int, int, Aligned]], shared: int) -> tuple[Pair, ...]:
    """All steps of both sides; those of B alone come behind the one that they follow in B."""
    places = [(one, other) for one, other, _ in met]
    crossing = moved(places, {(one, other): min(a.steps[one].id, b.steps[other].id) for one, other in places})
    names = {b.steps[other].id: a.steps[one].id for one, other, _ in met}
    partner = {one: (other, how) for one, other, how in met}
    pairs: list[tuple[float, int, Pair]] = []
    place_in_b: dict[int, float] = {}
    for one, step in enumerate(a.steps):
        if one not in partner:
            left = Pair(kind="left_out", a=step.id, tool=step.tool, a_outcome=step.outcome)
            pairs.append((one, -1, left))
            continue
        other, how = partner[one]
        place_in_b[other] = one
        pairs.append((one, -1, _pair(a, b, step, b.steps[other], how, (one, other) in crossing, shared, names)))
    behind = -1.0
    for other, step in enumerate(b.steps):
        if other in place_in_b:
            behind = place_in_b[other]
        else:
            pairs.append((behind, other, Pair(kind="added", b=step.id, tool=step.tool, b_outcome=step.outcome)))
    return tuple(pair for _, _, pair in sorted(pairs, key=lambda one: one[:2]))


def _pair(
    a: Side, b: Side, one: StepSide, other: StepSide, how: Aligned, is_moved: bool, shared: int, names: Mapping[str, str],
) -> Pair:  # fmt: skip
    found = tuple(_step_changes(a, b, one, other, names))
    is_taken = not found and 0 < one.last <= shared and 0 < other.last <= shared
    return Pair(
        kind="changed" if found else "same", a=one.id, b=other.id, tool=one.tool, aligned_by=how, moved=is_moved,
        taken_over=is_taken, a_outcome=one.outcome, b_outcome=other.outcome, changes=found,
    )  # fmt: skip


def _step_changes(a: Side, b: Side, one: StepSide, other: StepSide, names: Mapping[str, str]) -> Iterable[Change]:
    """names: what B calls a step of A, where the one is called otherwise; that alone is no difference."""
    if one.tool != other.tool:
        yield Change(part="tool", before=one.tool, after=other.tool)
    both_ran = a.kind == b.kind == "run"
    if both_ran and one.called is not None and other.called is not None:
        yield from changes("args", one.called, other.called)
    else:
        yield from changes("args", one.args, _renamed(other.args, names))
    yield from changes("strategy", one.strategy, _strategy_renamed(other.strategy, names))
    if not both_ran:
        return
    for part in _OF_A_CALL:
        # What is not there is nothing, and no empty text.
        yield from changes(part, _there(getattr(one, part)), _there(getattr(other, part)))
    if one.cost != other.cost:
        yield Change(part="cost", before=str(one.cost), after=str(other.cost))
    if _times_differ(one.seconds, other.seconds):
        yield Change(part="time", before=span(one.seconds or 0.0), after=span(other.seconds or 0.0))


def _there(value: Any) -> Any:
    return None if isinstance(value, str) and not value else value


def _strategy_renamed(strategy: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {part: _names(value, names) if part in _NAMING else _renamed(value, names) for part, value in strategy.items()}


def _names(value: Any, names: Mapping[str, str]) -> Any:
    return [names.get(name, name) for name in value] if isinstance(value, list | tuple) else names.get(value, value)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """With references to steps under the names that A has for them."""
    if isinstance(value, dict):
        ref = value.get(REF)
        if isinstance(ref, str) and ref.startswith("steps."):
            name, dot, rest = ref.removeprefix("steps.").partition(".")
            return {**value, REF: f"steps.{names.get(name, name)}{dot}{rest}"}
        return {key: _renamed(part, names) for key, part in value.items()}
    return [_renamed(part, names) for part in value] if isinstance(value, list | tuple) else value
