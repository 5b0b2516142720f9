"""What a call rested on when it was decided: facts, arguments, budget."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from holdfast.core import budget
from holdfast.core import events as e
from holdfast.core.facts import Fact, is_guess, same_value
from holdfast.core.models import ZERO, Reserved
from holdfast.core.provenance import facts_beneath
from holdfast.core.state import State, secret_names
from holdfast.core.values import redacted
from holdfast.views.interrupts import Origin, call_origins
from holdfast.views.why.past import Past
from holdfast.views.why.records import BudgetThen, FactThen
from holdfast.views.words import FIELD_MAX, cut

# What may change what is believed.
_TEACHING = (
    e.FactsLearned, e.FactsInvalidated, e.GoalChanged, e.Answered, e.Inferred, e.MemoryRecalled, e.GoalInterpreted,
)  # fmt: skip


def facts_then(past: Past, step: str, number: int) -> tuple[FactThen, ...]:
    """The facts that a call rested on, as they were before its intent, which is this entry."""
    before = past.before(number)
    if not before.facts or step not in before.steps:
        return ()
    now, names = past.at(number), secret_names(before)
    direct = before.steps[step].believes
    found = []
    for fact in facts_beneath(before, step):
        later, at = _later(past, fact, number)
        value = redacted({fact.name: fact.value}, names)[fact.name]
        found.append(
            FactThen(
                name=fact.name,
                value=value,
                source=fact.source,
                by=fact.by,
                at=fact.at,
                age_seconds=round(max(now - fact.at, 0.0), 3),
                fresh=fact.is_fresh(now),
                guess=is_guess(fact),
                direct=fact.name in direct,
                confidence=fact.confidence,
                rests_on=fact.rests_on,
                basis=fact.basis,
                confirmed_by=fact.confirmed_by,
                later=later,
                later_entry=at,
                later_at=past.at(at) if at else None,
            )
        )
    return tuple(sorted(found, key=lambda fact: not fact.direct))


def _later(past: Past, fact: Fact, number: int) -> tuple[str, int]:
    """What became of a fact after an entry, where it is not what it was, and the entry that first changed it."""
    last = past.state.facts.get(fact.name)
    if last is fact or last is None:
        return "", 0
    for kind_number in _teaching(past, number):
        after = past.after(kind_number).facts.get(fact.name)
        if after is None or after is fact:
            continue
        by = f" by {cut(after.by, FIELD_MAX)}" if after.by else ""
        if not same_value(after.value, fact.value):
            return f"it is {cut(after.value, FIELD_MAX)} since, {after.source}{by}", kind_number
        if after.stale and not fact.stale:
            return "it is not believed any more since", kind_number
        if after.confirmed_by and not fact.confirmed_by:
            return f"confirmed since by {cut(after.confirmed_by, FIELD_MAX)}", kind_number
    return "", 0


def _teaching(past: Past, after: int) -> Iterator[int]:
    found = (number for kind in _TEACHING for number in past.of_kind.get(kind, ()) if number >= after)
    return iter(sorted(found))


def origins_then(past: Past, step: str, tool: str, args: dict[str, Any], number: int) -> tuple[Origin, ...]:
    """Where each value of the arguments came from, as things were before an entry; of what people gave, who it was."""
    before = past.before(number)
    if step not in before.steps:
        return ()
    found = call_origins(before, step, tool, args, past.at(number))
    return tuple(_with_name(past, step, number, one) if one.comes_from == "person" else one for one in found)


def _with_name(past: Past, step: str, number: int, origin: Origin) -> Origin:
    """Who edited it last."""
    for other in reversed(past.of_step.get(step, ())):
        event = past.event(other)
        if other < number and isinstance(event, e.Answered) and event.decision == "edit":
            return msgspec.structs.replace(origin, by=event.by, at=past.at(other))
    return origin


def budget_then(past: Past, step: str, number: int, reserved: Reserved | None) -> BudgetThen | None:
    """The budget before an intent; None where nothing bounds it and nothing was spent."""
    before = past.before(number)
    limits, spent = before.limits, before.spent
    held = [one for name, one in before.reserved.items() if name != step]
    bounded = limits.cost_usd_max is not None or limits.tokens_max is not None
    if not (bounded or spent.cost_usd or spent.tokens or reserved is not None):
        return None
    need = reserved or Reserved()
    left = budget.means(limits, spent, {**before.reserved, step: need})
    return BudgetThen(
        spent_usd=spent.cost_usd, held_usd=sum((one.cost_usd for one in held), ZERO), for_this_usd=need.cost_usd,
        left_usd=left.cost_usd, spent_tokens=spent.tokens, held_tokens=sum(one.tokens for one in held),
        for_this_tokens=need.tokens, left_tokens=left.tokens, calls=before.attempts, calls_max=limits.attempts_max,
    )  # fmt: skip


def redacted_args(state: State, args: dict[str, Any]) -> dict[str, Any]:
    """Arguments without what is never written down, by its name. (Results are without it in the journal already.)"""
    found = redacted(args, secret_names(state))
    assert isinstance(found, dict), "arguments are a table"
    return found
