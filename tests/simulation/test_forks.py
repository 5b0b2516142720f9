"""Simulated runs, forked at every point: whatever was open there, no effect follows without a person's word."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.approval import sameness
from holdfast.core.checkpoint import from_bytes, to_bytes
from holdfast.core.commands import CallTool, RunProbe
from holdfast.core.decide import decide
from holdfast.core.evolve import evolve
from holdfast.core.forks import carried, recorded, simulated
from holdfast.core.state import State
from tests.simulation.test_replays import Run
from tests.simulation.test_replays import recorded as journals
from tests.thorough import ALL

STRIDE = 1 if ALL else 5
MODES: tuple[Any, ...] = ("blocked", "live", "simulate")


def forks(run: Run, mode: Any, first: int) -> Any:
    """The forks of a run at its points, each as the state that it begins with, what was told it, and the state at the point."""
    entries = [entry for batch in run for entry in batch]
    final: State | None = None
    before: list[State] = []
    for entry in entries:
        final = evolve(final, entry)
        before.append(final)
    assert final is not None
    for at in range(1 + first % STRIDE, len(entries), STRIDE):
        state = before[at - 1]
        if state.ended or state.stopping is not None or state.cancel is not None:
            continue
        forked = e.RunForked(
            run_id="fork", source=state.run_id, entry=at, link="", mode=mode, agent=state.agent, limits=state.limits,
            contracts=tuple(state.contracts.values()), thinking=state.thinking, accept=state.accept, policy=state.policy,
            recorded=recorded(entries, final, at, whole=mode == "simulate"),
        )  # fmt: skip
        told = (forked, *carried(entries, final, state), e.RunResumed(worker="w"))
        yield state, _told(state, told, final.at + 86_400.0), told


def _told(state: State, events: tuple[e.AnyEvent, ...], at: float) -> State:
    for event in events:
        state = evolve(state, e.Entry(state.version + 1, at, 1_000, event))
    return state


@pytest.mark.parametrize("mode", MODES)
def test_whatever_was_open_no_effect_follows_unasked(mode: Any) -> None:
    """Also in a live fork none that the source made or may have made; what was done is not done again, by its step or its
    business key."""
    points = effects = 0
    for number, run in enumerate(journals()):
        for before, state, told in forks(run, mode, number):
            points += 1
            decision = decide(state, state.at)
            done = {name for name in before.order if before.steps[name].phase == "done"}
            made = {call.call for call in told[0].recorded if not isinstance(call.outcome, e.CallFailed)}
            for command in decision.commands:
                if not isinstance(command, CallTool) or command.contract.safety == "read":
                    continue
                assert command.step not in done, f"{command.step} was done"
                effects += 1
                assert mode != "blocked", f"{command.tool} is called in {before.run_id} forked at {before.version}"
                if mode == "simulate":
                    assert simulated(decision.state, command)
                else:
                    assert sameness(command.tool, command.args, command.contract) not in made, (
                        f"{command.tool} was made by the source"
                    )
    assert points > 300
    assert (effects > 0) == (mode != "blocked")


def test_a_fork_probes_under_the_key_of_its_source() -> None:
    """There is nothing to find under another one."""
    probes = 0
    for number, run in enumerate(journals()):
        for before, state, _ in forks(run, "blocked", number):
            for command in decide(state, state.at).commands:
                if isinstance(command, RunProbe):
                    probes += 1
                    owed = before.pending.get(command.step)
                    assert command.key == (owed.key if owed is not None else before.steps[command.step].key)
    assert probes > 5


def test_a_fork_can_be_kept_as_a_snapshot() -> None:
    """And read back the same."""
    for number, run in enumerate(journals()[:40]):
        for _, state, _ in forks(run, "simulate", number):
            assert from_bytes(to_bytes(state)) == state
