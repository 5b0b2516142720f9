"""Thinking runs with real processes: killed while a model is asked, between answer and record, while its calls run."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from holdfast import Holdfast
from holdfast.core import events as e
from holdfast.core.models import cost
from holdfast.core.state import State
from holdfast.loading import agent_of
from holdfast.testing.models import ModelServer, after, asked, fault
from tests.acceptance.minds import PRICE, TURNS, USAGE, one_effect, works
from tests.acceptance.stage import Stage
from tests.thorough import ALL

MINDS = Path(__file__).with_name("minds.py")
ROOT = Path(__file__).resolve().parents[2]
LEASE = ("--lease", "1")
EACH = cost(PRICE, USAGE)
EFFECTS = {f"{kind}{turn}": 1 for turn in range(TURNS) for kind in "kr"}


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """A stage whose processes find the agents of these tests."""
    stage.environment["PYTHONPATH"] += f":{ROOT}"
    return stage


def lines(stage: Stage, name: str) -> list[str]:
    """What a file of the world says."""
    file = stage.world / name
    return file.read_text().splitlines() if file.exists() else []


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


async def state_of(stage: Stage, run_id: str) -> State:
    async with Holdfast(stage.db) as app:
        return await app.state(run_id)


def of(history: list[e.Entry], kind: type[Any]) -> list[Any]:
    return [entry.event for entry in history if isinstance(entry.event, kind)]


def check_money(stage: Stage, state: State, history: list[e.Entry]) -> None:
    """What the provider counted is spent, at least; what the run may spend never is exceeded, at no point of its journal."""
    counted = EACH * len(lines(stage, "asked"))
    assert counted <= state.spent.cost_usd
    limit = state.limits.cost_usd_max
    assert limit is not None and state.spent.cost_usd <= limit
    assert not state.reserved
    assert len(lines(stage, "asked")) <= len(of(history, e.ProposalRequested))
    lost = sum((event.usage.cost_usd for event in of(history, e.ModelCallLost)), Decimal(0))
    answered = sum((event.usage.cost_usd for event in of(history, e.ModelAnswered)), Decimal(0))
    assert state.spent.cost_usd == lost + answered


# --- killed -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [1, 3, TURNS + 1])
async def test_killed_while_the_model_is_asked_it_is_asked_again_and_the_lost_request_is_paid(stage: Stage, turn: int) -> None:
    """The provider holds the answer; the worker that waits for it is gone."""
    stage.shut(f"think-{turn}")
    words = ("run", f"{MINDS}:worker", "go", "--id", "r", *LEASE)
    first = stage.begin(*words)
    stage.until(lambda: stage.waits(f"think-{turn}"))
    kill(first)
    stage.open(f"think-{turn}")
    last = stage.holdfast(*words)

    assert last.returncode == 0, last.stderr
    assert stage.effects() == EFFECTS
    history, state = await stage.history("r"), await state_of(stage, "r")
    (lost,) = of(history, e.ModelCallLost)
    assert (lost.turn, lost.model) == (turn, "desk:worker")
    assert len(lines(stage, "asked")) == len(of(history, e.ProposalRequested)) == TURNS + 2
    again = [event for event in of(history, e.ProposalRequested) if event.turn == turn]
    assert [event.attempt for event in again] == [1, 2]
    assert lost.usage.cost_usd == again[0].reserved.cost_usd
    check_money(stage, state, history)


@pytest.mark.parametrize(("agent", "seed"), [("worker", 1), ("poor", 2)][: 2 if ALL else 1])
async def test_killed_at_random_moments_each_effect_happens_once_within_the_budget(stage: Stage, agent: str, seed: int) -> None:
    """kill -9 again and again, counted from the first thing that the process does."""
    draw = random.Random(seed)
    words = ("run", f"{MINDS}:{agent}", "go", "--id", "r", *LEASE)

    def done() -> int:
        return len(lines(stage, "asked")) + len(stage.calls())

    for _ in range(5):
        before, process = done(), stage.begin(*words)
        stage.until(lambda before=before, process=process: done() > before or process.poll() is not None)  # type: ignore[misc]
        await asyncio.sleep(draw.uniform(0.0, 0.08))
        if process.poll() is not None:
            break
        kill(process)
    last = stage.holdfast(*words)

    history, state = await stage.history("r"), await state_of(stage, "r")
    if agent == "worker":
        assert last.returncode == 0, last.stderr
        assert state.ended == "completed" and stage.effects() == EFFECTS
    else:
        assert state.ended in ("completed", "failed") and all(times == 1 for times in stage.effects().values())
        assert state.ended == "completed" or "budget" in state.reason
    check_money(stage, state, history)
    keys = {(entry.event.step, entry.event.key) for entry in history if isinstance(entry.event, e.CallIntended)}
    assert len(keys) == len({step for step, _ in keys}), "a repeat goes out under the key of the first try"


async def test_killed_with_a_real_client_in_the_middle_of_a_request(stage: Stage) -> None:
    """The provider, over HTTP, has the request and holds its answer; each of two workers dies of it once."""
    held = {"turn": 1}

    def holds(request: Any) -> Any:
        slow = asked(request) + 1 == held["turn"]
        return after(60.0, works(request)) if slow else works(request)

    with ModelServer(holds) as server:
        stage.environment |= server.environment
        words = ("run", f"{MINDS}:over_socket", "go", "--id", "r", *LEASE)
        for turn in (1, 3):
            before, held["turn"] = len(server.seen), turn
            process = stage.begin(*words)
            # What is there of earlier turns is not asked again, so these are the new requests up to that turn.
            wanted = before + (1 if turn == 1 else 3)
            stage.until(lambda wanted=wanted: len(server.seen) >= wanted)  # type: ignore[misc]
            kill(process)
        held["turn"] = 0
        last = stage.holdfast(*words)
        assert last.returncode == 0, last.stderr
        assert server.refusals == []
        requests = len(server.seen)

    history, state = await stage.history("r"), await state_of(stage, "r")
    assert state.ended == "completed" and stage.effects() == EFFECTS
    assert requests == len(of(history, e.ProposalRequested)) == TURNS + 3
    lost = of(history, e.ModelCallLost)
    assert [event.turn for event in lost] == [1, 3]
    counted = sum((event.usage.cost_usd for event in (*lost, *of(history, e.ModelAnswered))), Decimal(0))
    assert state.spent.cost_usd == counted <= Decimal("1.00")


@pytest.mark.parametrize("agent", ["buyer", "browser"])
async def test_killed_with_ten_paid_calls_in_flight_the_budget_holds_to_the_cent(stage: Stage, agent: str) -> None:
    """Fifty cents are under way when the worker dies; what they were spent on is known to the service alone."""
    (stage.world / "gates" / "buy.shut").touch()
    words = ("run", f"{MINDS}:{agent}", "go", "--id", "r", *LEASE)
    first = stage.begin(*words)
    stage.until(lambda: len(lines(stage, "paid")) == 10)
    kill(first)
    (stage.world / "gates" / "buy.shut").unlink()
    last = stage.holdfast(*words)

    history, state = await stage.history("r"), await state_of(stage, "r")
    charged = Decimal("0.05") * len(lines(stage, "paid"))
    thought = EACH * len(lines(stage, "asked"))
    assert charged + thought <= state.spent.cost_usd <= Decimal("0.80")
    assert len(of(history, e.CallUnknown)) == 10 and not state.reserved
    assert last.returncode == 0, last.stderr
    by_subject = Counter(line.split()[0] for line in lines(stage, "paid"))
    if agent == "buyer":
        assert set(by_subject.values()) == {1} and charged == Decimal("0.50")
        assert state.spent.cost_usd == charged + thought, "ten keys, ten payments"
    else:
        assert set(by_subject.values()) <= {1, 2}
        refused = [event.failure.kind for event in of(history, e.CallRefused)]
        assert set(refused) == {"too_expensive"} and len(refused) + len(lines(stage, "paid")) == 20


# --- an outage ----------------------------------------------------------------------------------------------------


async def start(stage: Stage, agent: str, count: int) -> list[str]:
    """Put runs into the store for whichever worker comes."""
    os.environ["WORLD"] = str(stage.world)
    loaded = agent_of(f"{MINDS}:{agent}")
    names = [f"r{number}" for number in range(count)]
    async with Holdfast(stage.db) as app:
        for name in names:
            await app.start(loaded, f"SUBJECT={name} is to be befallen", id=name)
    return names


async def test_an_outage_opens_the_circuit_for_all_workers_and_nobody_hammers(stage: Stage) -> None:
    """Two processes, thirty runs, a provider that is down: a few requests find out, and then one in each half second."""
    names = await start(stage, "outage", 30)
    (stage.world / "down").touch()
    for _ in range(2):
        stage.begin("work", f"{MINDS}:outage", "--parallel", "4", *LEASE)
    stage.until(lambda: len(lines(stage, "refused")) >= 3)
    await asyncio.sleep(2.0)
    refused = lines(stage, "refused")
    # Three open it, up to seven more were under way by then, and every half second one looks whether it is over.
    assert 4 <= len(refused) <= 3 + 7 + 5, f"{len(refused)} requests to a provider that is down"
    (stage.world / "down").unlink()
    await stage.until_statuses("completed")

    assert stage.effects() == dict.fromkeys(names, 1)
    assert len(lines(stage, "asked")) == 2 * len(names)
    assert len({line.split()[-1] for line in lines(stage, "asked")}) == 2, "both workers went on"
    held = [event.reason for name in names for event in of(await stage.history(name), e.ReasonerHeld)]
    assert any("circuit" in reason for reason in held)


async def test_an_outage_over_a_socket_is_waited_for_by_real_clients(stage: Stage) -> None:
    """The same with the client of a vendor in each of two workers, and a server that answers 529."""
    down = {"is": True}

    def says(request: Any) -> Any:
        return fault("overloaded") if down["is"] else one_effect(request)

    with ModelServer(says) as server:
        stage.environment |= server.environment
        names = await start(stage, "outage_over_socket", 12)
        for _ in range(2):
            stage.begin("work", f"{MINDS}:outage_over_socket", "--parallel", "3", *LEASE)
        await asyncio.to_thread(server.wait_for, "overloaded", times=3, timeout_seconds=30)
        before = server.hits["overloaded"]
        await asyncio.sleep(1.5)
        assert server.hits["overloaded"] - before <= 5 + 4
        down["is"] = False
        await stage.until_statuses("completed")
        assert server.hits["answered"] == 2 * len(names) and server.refusals == []
        requests = len(server.seen)
    assert stage.effects() == dict.fromkeys(names, 1)
    intents = [event for name in names for event in of(await stage.history(name), e.ProposalRequested)]
    assert len(intents) == requests


# --- another model ------------------------------------------------------------------------------------------------


async def test_the_model_is_replaced_in_the_code_while_a_run_waits_for_it(stage: Stage) -> None:
    """The run goes on with the new one, with all that it did; what the old one never answered is paid for."""
    stage.shut("think-3")
    words = ("run", f"{MINDS}:other", "go", "--id", "r", *LEASE)
    first = stage.begin(*words)
    stage.until(lambda: stage.waits("think-3"))
    kill(first)
    stage.open("think-3")
    (stage.world / "which-model").write_text("second")
    last = stage.holdfast(*words)

    assert last.returncode == 0, last.stderr
    assert stage.effects() == EFFECTS
    history, state = await stage.history("r"), await state_of(stage, "r")
    (changed,) = of(history, e.ThinkingChanged)
    assert changed.thinking.routes[""] == ("desk:second",)
    asked_models = [event.model for event in of(history, e.ProposalRequested)]
    assert asked_models == ["desk:first"] * 3 + ["desk:second"] * (TURNS + 1 - 2)
    check_money(stage, state, history)
