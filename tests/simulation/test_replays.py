"""Simulated runs, walked again: as recorded with the rules as they are, and different at the right event where one is broken."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import pytest

from holdfast.core import diagnosis, pending, recovery
from holdfast.core import events as e
from holdfast.core.decide import gates as gating
from holdfast.core.decide.desk import Desk
from holdfast.core.replay import Divergence, Walk, replay
from holdfast.core.retry import next_wait
from holdfast.journal.base import EMPTY
from holdfast.testing.simulation.stage import Stage
from tests.simulation.mutants import pending_row, row
from tests.thorough import ALL

SEEDS = (*range(1, 161), *range(-1, -31, -1))
Run = list[list[e.Entry]]


@functools.cache
def recorded() -> tuple[Run, ...]:
    """The journals of some seeds, commit by commit."""
    runs: list[Run] = []
    for seed in SEEDS:
        stage = Stage(seed)
        stage.play()
        for run_id in stage.store.runs:
            entries = stage.store.read(run_id, EMPTY).entries
            batches = stage.store.batches(run_id)
            runs.append([entries[batch.first - 1 : batch.first - 1 + batch.count] for batch in batches])
    return tuple(runs)


def differing(patch: AbstractContextManager[Any], runs: tuple[Run, ...]) -> list[tuple[Run, Divergence]]:
    """The runs of which a ruling would be another one with a rule broken, each with the first."""
    with patch:
        walks: list[tuple[Run, Walk]] = [(run, replay(run)) for run in runs]
    return [(run, walk.divergences[0]) for run, walk in walks if walk.divergences]


def said(run: Run, matches: Callable[[Any], bool]) -> int:
    """The first entry of a run that matches; 0 where none does."""
    return next((entry.sequence for batch in run for entry in batch if matches(entry.event)), 0)


def test_every_simulated_run_is_ruled_as_it_was() -> None:
    """What is recorded suffices: nothing has to be supposed."""
    walks = [replay(run) for run in recorded()]
    assert sum(walk.rulings for walk in walks) > 1_000
    assert [walk.divergences for walk in walks if walk.divergences] == []
    assert sum(walk.supposed for walk in walks) == 0


RECOVERY = sorted({one.label for one in recovery.TABLE})
OWED = sorted({one.label for one in pending.TABLE})


def _other(action: str, among: tuple[str, ...]) -> str:
    return next(one for one in among if one != action)


@pytest.mark.parametrize("label", RECOVERY if ALL else RECOVERY[::3])
def test_a_broken_row_of_the_recovery_table_shows_where_it_ruled(label: str) -> None:
    """At the first ruling by that row in each run, and in no other run."""
    action = next(one.action for one in recovery.TABLE if one.label == label)
    _shows_at_row(row(label, _other(action, ("fail", "ask")))(), e.RecoveryRuled, label)


@pytest.mark.parametrize("label", OWED if ALL else OWED[::4])
def test_a_broken_row_of_what_is_owed_shows_where_it_ruled(label: str) -> None:
    """The same of the second table."""
    action = next(one.action for one in pending.TABLE if one.label == label)
    _shows_at_row(pending_row(label, _other(action, ("fail", "give_up")))(), e.PendingRuled, label)


def _shows_at_row(patch: AbstractContextManager[Any], kind: type[Any], label: str) -> None:
    places = {id(run): said(run, lambda event: isinstance(event, kind) and event.row == label) for run in recorded()}
    found = differing(patch, recorded())
    for run, divergence in found:
        one = divergence.recorded if isinstance(divergence.recorded, kind) else divergence.ruled
        assert isinstance(one, kind) and one.row == label, divergence
        if isinstance(divergence.recorded, kind):
            assert divergence.sequence == places[id(run)]
    ruled = [run for run in recorded() if places[id(run)]]
    assert len(found) >= len(ruled), f"of {len(ruled)} runs with such a ruling {len(found)} differ"


BROKEN: dict[str, tuple[Callable[[], AbstractContextManager[Any]], tuple[type[e.Event], ...]]] = {
    "a wait is a second longer": (
        lambda: mock.patch.object(diagnosis, "next_wait", _a_second_later), (e.RetryRuled, e.RecoveryRuled)
    ),
    "nobody is asked about what is irreversible": (
        lambda: mock.patch.object(gating, "default_gate", return_value=None), (e.Asked, e.PolicyRuled, e.InterruptWithdrawn),
    ),
    "nobody is reminded, and nobody else asked": (
        lambda: mock.patch.object(Desk, "_climb_one", autospec=True), (e.Reminded, e.Escalated),
    ),
}  # fmt: skip


def _a_second_later(*given: Any, **named: Any) -> float | None:
    wait = next_wait(*given, **named)
    return None if wait is None else wait + 1.0


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_shows_at_the_rulings_that_it_makes(name: str) -> None:
    """And nowhere before them."""
    patch, kinds = BROKEN[name]
    found = differing(patch(), recorded())
    assert found
    for _, divergence in found:
        assert isinstance(divergence.recorded, kinds) or isinstance(divergence.ruled, kinds), divergence
