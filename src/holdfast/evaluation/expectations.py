"""Does what is expected of a case hold? Each expectation that does not is a sentence, with what was found in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from holdfast.core.conditions import compile_condition
from holdfast.evaluation.casefile import EFFECT_WORDS, WORDS
from holdfast.evaluation.records import Expect, Wanted
from holdfast.evaluation.world import Effect
from holdfast.views import span


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it was left. result, facts, steps, inputs: as in conditions of plans; questions: what people were asked.
    seconds: of the run's own time."""

    status: str
    reason: str
    result: Any
    facts: dict[str, Any]
    steps: dict[str, Any]
    inputs: dict[str, Any]
    questions: list[dict[str, Any]]
    cost_usd: Decimal
    seconds: float

    def document(self, effects: Sequence[Effect]) -> dict[str, Any]:
        """What conditions are about."""
        effects_said = [{"tool": effect.tool, "args": effect.args, "key": effect.key} for effect in effects]
        return {
            "result": self.result, "facts": self.facts, "steps": self.steps, "inputs": self.inputs, "effects": effects_said,
            "questions": self.questions, "cost_usd": float(self.cost_usd), "status": self.status, "reason": self.reason,
            "seconds": self.seconds,
        }  # fmt: skip


def unmet(expect: Expect, left: Left, effects: Sequence[Effect]) -> list[str]:
    """What does not hold, a sentence each."""
    return [*_status(expect, left), *_conditions(expect, left, effects), *_effects(expect, effects), *_bounds(expect, left)]


def _status(expect: Expect, left: Left) -> Iterator[str]:
    if left.status not in expect.status:
        why = f": {left.reason}" if left.reason else ""
        yield f"status: it is {left.status}, not {' or '.join(expect.status)}{why}"


def _conditions(expect: Expect, left: Left, effects: Sequence[Effect]) -> Iterator[str]:
    document = left.document(effects) if expect.that else {}
    for text in expect.that:
        condition = compile_condition(text, WORDS)
        held = condition.holds(document)
        if held.holds is None:
            yield f"that: {text} cannot be worked out: {held.why}"
        elif not held.holds:
            looked = [f"{path} is {_brief(value)}" for path, _, value in condition.looked(document)]
            yield f"that: {text} does not hold" + (f"; {', '.join(looked)}" if looked else "")


def _effects(expect: Expect, effects: Sequence[Effect]) -> Iterator[str]:
    for wanted in expect.effects:
        count = _count(wanted, effects)
        if count < wanted.least or (wanted.most is not None and count > wanted.most):
            yield f"effects: {_named(wanted)} is in the ledger {_times(count)}, not {_wanted_times(wanted)}"
    for wanted in expect.never:
        if count := _count(wanted, effects):
            yield f"never: {_named(wanted)} is in the ledger {_times(count)}"


def _bounds(expect: Expect, left: Left) -> Iterator[str]:
    asked = len(left.questions)
    if asked < expect.asked_min:
        yield f"asked: people were asked {_times(asked)}, not at least {expect.asked_min}"
    if expect.asked_max is not None and asked > expect.asked_max:
        yield f"asked: people were asked {_times(asked)}, not at most {expect.asked_max}"
    if expect.cost_usd_max is not None and left.cost_usd > expect.cost_usd_max:
        yield f"cost: it cost ${left.cost_usd}, not at most ${expect.cost_usd_max}"
    if expect.within_seconds is not None and left.seconds > expect.within_seconds:
        yield f"within: it took {span(left.seconds)}, not at most {span(expect.within_seconds)}"


def _count(wanted: Wanted, effects: Sequence[Effect]) -> int:
    """Of a condition that cannot be worked out of an effect nobody can say that it is meant; it is not counted."""
    condition = compile_condition(wanted.where, EFFECT_WORDS) if wanted.where else None
    return sum(
        effect.tool == wanted.tool
        and (condition is None or condition.holds({"args": effect.args, "key": effect.key}).holds is True)
        for effect in effects
    )


def _named(wanted: Wanted) -> str:
    return f"{wanted.tool} where {wanted.where}" if wanted.where else wanted.tool


def _wanted_times(wanted: Wanted) -> str:
    if wanted.most is None:
        return f"at least {_times(wanted.least)}"
    return _times(wanted.least) if wanted.least == wanted.most else f"{wanted.least} to {wanted.most} times"


def _times(count: int) -> str:
    return {0: "not once", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _brief(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 100 else f"{text[:99]}…"
