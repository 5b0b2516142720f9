"""Simulated runs, forked at every point: a fork is at no dead end, whatever was open there."""

from __future__ import annotations

import pytest

from holdfast.core.decide import decide
from tests.simulation.test_forks import MODES, forks, journals


@pytest.mark.parametrize("mode", MODES)
def test_a_fork_is_at_no_dead_end(mode: str) -> None:
    """It has ended, calls, asks somebody, or knows when it looks again; that its time is over one day is no way to go on."""
    for number, run in enumerate(journals()):
        for before, state, _ in forks(run, mode, number):
            decision = decide(state, state.at)
            after, over = decision.state, state.started_at + state.limits.wall_seconds
            if not (after.ended or decision.commands or after.interrupts):
                assert decision.wake_at is not None and decision.wake_at < over - 1.0, f"{before.run_id} at {before.version}"
