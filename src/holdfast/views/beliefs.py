"""What a run believes, for people and machines: each fact with where it comes from, how old it is, and whether it is a guess."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from holdfast.core.facts import Drift, Fact, Source, is_guess, outlived
from holdfast.core.plan import Step
from holdfast.core.references import facts_in
from holdfast.core.state import State
from holdfast.views.words import FIELD_MAX, cut

Stands = Literal["firm", "guess", "stale", "too old"]


class FactView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a run believes. stands: `firm` (somebody said or saw it, or confirmed it), a `guess` that nobody confirmed,
    `stale` (it is not believed until it is observed again), or `too old` to act on, it or what it rests on (too_old names
    those). by: who or what said so. pinned: a person said so, and no guess changes it. valid_until: when it is too old by
    itself. memory: the id of what it was recalled from. used_by: steps that rest on it and were begun; wanted_by: those that
    were not."""

    name: str
    value: Any
    stands: Stands
    source: Source
    by: str
    confidence: float
    at: float
    age_seconds: float
    valid_until: float | None = None
    guess: bool = False
    too_old: tuple[str, ...] = ()
    rests_on: tuple[str, ...] = ()
    basis: str = ""
    confirmed_by: str = ""
    pinned: bool = False
    memory: str = ""
    used_by: tuple[str, ...] = ()
    wanted_by: tuple[str, ...] = ()


def fact_views(state: State, now: float) -> tuple[FactView, ...]:
    """All that a run believes: what nobody confirmed first, then what may not be acted on, then the rest, each in the order in
    which it was learned."""
    used, wanted = _users(state)
    found = (_fact_view(fact, state, now, used, wanted) for fact in state.facts.values())
    return tuple(sorted(found, key=lambda fact: _ORDER.index(fact.stands)))


_ORDER: tuple[Stands, ...] = ("guess", "stale", "too old", "firm")


def _fact_view(fact: Fact, state: State, now: float, used: dict[str, list[str]], wanted: dict[str, list[str]]) -> FactView:
    too_old = outlived(state.facts, fact.name, now) if not state.ended else ()
    stands: Stands = "stale" if fact.stale else "too old" if too_old else "guess" if is_guess(fact) else "firm"
    return FactView(
        name=fact.name, value=fact.value, stands=stands, source=fact.source, by=fact.by, confidence=fact.confidence, at=fact.at,
        age_seconds=round(max(now - fact.at, 0.0), 3),
        valid_until=None if fact.ttl_seconds is None else fact.at + fact.ttl_seconds, guess=is_guess(fact), too_old=too_old,
        rests_on=fact.rests_on, basis=fact.basis, confirmed_by=fact.confirmed_by, pinned=fact.pinned,
        memory=state.memories.get(fact.name, "") if fact.source == "remembered" else "",
        used_by=tuple(used.get(fact.name, ())), wanted_by=tuple(wanted.get(fact.name, ())),
    )  # fmt: skip


def _users(state: State) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """By fact: the steps that rest on it and were begun, and those that are still to be."""
    used: dict[str, list[str]] = {}
    wanted: dict[str, list[str]] = {}
    for name in state.order if state.facts else ():
        step = state.steps[name]
        open_one = step.phase not in ("done", "skipped", "failed")
        if not step.attempt and (state.ended or not open_one):
            continue
        for fact in dict.fromkeys((*_rests_on(step.step), *step.believes)):
            (used if step.attempt else wanted).setdefault(fact, []).append(name)
    return used, wanted


def _rests_on(step: Step) -> tuple[str, ...]:
    return (*step.rests_on, *step.needs_fresh, *facts_in(step.args))


# --- in words -----------------------------------------------------------------------------------------------------


def fact_words(fact: Fact) -> str:
    """A fact in a few words: `airport = JFK (a guess of the reasoner, 60% sure: most flights)`."""
    return f"{cut(fact.name, FIELD_MAX)} = {cut(fact.value, FIELD_MAX)} ({source_words(fact.source, fact.by, fact.confidence)})"


def source_words(source: Source, by: str, confidence: float = 1.0) -> str:
    """Where a fact comes from: `told by ann`, `observed by look`, `inferred by the reasoner, 60% sure`."""
    who = f" by {cut(by, FIELD_MAX)}" if by and source != "remembered" else f" from {cut(by, FIELD_MAX)}" if by else ""
    return f"{source}{who}" + (f", {confidence:.0%} sure" if confidence < 1 else "")


def facts_words(facts: Iterable[Fact]) -> str:
    """Several facts in one line, each cut."""
    every = list(facts)
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return "; ".join(map(fact_words, every[:_SHOWN])) + more


_SHOWN = 8


def drift_words(drifts: Iterable[Drift]) -> str:
    """What is not as it was believed to be: `price was 100 (observed), and is 120`."""
    return "; ".join(map(_drift_words, drifts))


def _drift_words(drift: Drift) -> str:
    was, now = cut(drift.believed, FIELD_MAX), cut(drift.observed, FIELD_MAX)
    return f"{cut(drift.name, FIELD_MAX)} was {was} ({drift.source}), and is {now}"
