"""Facts: learned, invalidated, recalled, observed anew."""

from __future__ import annotations

from holdfast.core import events as e
from holdfast.core.evolve.steps import following
from holdfast.core.state import State


def recall_intended(state: State, event: e.RecallIntended, entry: e.Entry) -> State:
    return following(state, entry)


def memory_recalled(state: State, event: e.MemoryRecalled, entry: e.Entry) -> State:
    return following(state, entry)


def facts_learned(state: State, event: e.FactsLearned, entry: e.Entry) -> State:
    return following(state, entry)


def facts_invalidated(state: State, event: e.FactsInvalidated, entry: e.Entry) -> State:
    return following(state, entry)


def reobservation_planned(state: State, event: e.ReobservationPlanned, entry: e.Entry) -> State:
    return following(state, entry)
