"""What is remembered, in words; and which of what a run recalled its steps then rested on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from holdfast.core.events import Entry, MemoryRecalled
from holdfast.core.facts import Fact, same_value
from holdfast.core.memory import Kind, Memory
from holdfast.core.plan import Step
from holdfast.core.references import facts_in
from holdfast.core.state import State

Stands = Literal["in force", "expired", "superseded", "forgotten"]
Became = Literal["believed", "confirmed", "changed", "dropped"]


class MemoryLine(msgspec.Struct, frozen=True, kw_only=True):
    """A memory as it stands. stands: `in force`, `expired` (shown to runs, and not believed), `superseded` by another, or
    `forgotten`, and then nothing of what it said is left. by: who or what said so; run_id, step: where it comes from."""

    id: str
    thread: str
    kind: Kind
    name: str
    value: Any
    stands: Stands
    source: str
    by: str
    confidence: float
    at: float
    age_seconds: float
    valid_until: float | None = None
    agent: str = ""
    run_id: str = ""
    step: str = ""
    rests_on: tuple[str, ...] = ()
    tenant: str = ""
    superseded_by: str = ""
    corrected_by: str = ""
    forgotten_at: float | None = None
    forgotten_by: str = ""


class RecalledView(msgspec.Struct, frozen=True, kw_only=True):
    """What a run recalled, and what came of it. used_by: steps that were begun and rest on it, by themselves or through what was
    inferred from it. became: it is `believed` as it was recalled, `confirmed` by a person or by being seen again, `changed` to
    another value, or `dropped`."""

    name: str
    memory: str
    value: Any
    by: str
    at: float
    stale: bool = False
    used_by: tuple[str, ...] = ()
    became: Became = "believed"


def memory_line(memory: Memory, now: float) -> MemoryLine:
    """How a memory stands at `now`."""
    stands: Stands = "expired" if memory.expired(now) else "in force"
    if not memory.holds:
        stands = "forgotten" if memory.forgotten_at is not None else "superseded"
    return MemoryLine(
        id=memory.id, thread=memory.thread, kind=memory.kind, name=memory.name, value=memory.value, stands=stands,
        source=memory.source if memory.forgotten_at is None else "", by=memory.by, confidence=memory.confidence, at=memory.at,
        age_seconds=round(max(now - memory.at, 0.0), 3), valid_until=memory.valid_until, agent=memory.agent,
        run_id=memory.run_id, step=memory.step, rests_on=memory.rests_on, tenant=memory.tenant,
        superseded_by=memory.superseded_by, corrected_by=memory.corrected_by, forgotten_at=memory.forgotten_at,
        forgotten_by=memory.forgotten_by,
    )  # fmt: skip


def recalled_views(entries: Iterable[Entry], state: State) -> list[RecalledView]:
    """What a run recalled, in that order, with the steps that rested on it; nothing where it did not."""
    found: list[RecalledView] = []
    for event in (entry.event for entry in entries):
        if isinstance(event, MemoryRecalled):
            found.extend(_view(fact, memory, state) for fact, memory in zip(event.facts, event.ids, strict=False))
    return found


def _view(fact: Fact, memory: str, state: State) -> RecalledView:
    return RecalledView(
        name=fact.name, memory=memory, value=fact.value, by=fact.by, at=fact.at, stale=fact.stale,
        used_by=_used_by(fact.name, state), became=_became(fact, state.facts.get(fact.name)),
    )  # fmt: skip


def _used_by(name: str, state: State) -> tuple[str, ...]:
    """The steps that were begun and rest on a fact, or on one that rests on it."""
    names, grown = {name}, True
    while grown:
        more = {fact.name for fact in state.facts.values() if names & set(fact.rests_on)} - names
        grown = bool(more)
        names |= more
    begun = (step for one in state.order if (step := state.steps[one]).attempt)
    return tuple(step.step.id for step in begun if names & set(_rests_on(step.step)))


def _rests_on(step: Step) -> tuple[str, ...]:
    return (*step.rests_on, *step.needs_fresh, *facts_in(step.args))


def _became(recalled: Fact, now: Fact | None) -> Became:
    if now is None:
        return "dropped"
    if not same_value(now.value, recalled.value):
        return "changed"
    if now.source != "remembered" or now.confirmed_by:
        return "confirmed"
    return "dropped" if now.stale and not recalled.stale else "believed"
