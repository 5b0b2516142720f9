"""What is owed, delivered, limited and taken back, with real processes that are killed: each effect counts once."""

import os
import random
import signal
from pathlib import Path

import pytest

from holdfast import Holdfast
from holdfast.core import events as e
from holdfast.loading import agent_of
from tests.acceptance.stage import Stage
from tests.thorough import ALL

MESSY = Path(__file__).with_name("messy.py")
LEASE = ("--lease", "1")


async def start(stage: Stage, agent: str, *names: str) -> None:
    """Put runs into the store for whichever worker comes."""
    os.environ["WORLD"] = str(stage.world)
    loaded = agent_of(f"{MESSY}:{agent}")
    async with Holdfast(stage.db) as app:
        for name in names:
            await app.start(loaded, id=name, inputs={"name": name})


def lines(stage: Stage, name: str) -> list[list[str]]:
    """What the world's file of that name says."""
    file = stage.world / name
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def token(stage: Stage, name: str) -> str:
    """The token that the bureau was handed, as soon as it was."""
    file = stage.world / f"token-{name}"
    return stage.until(lambda: file.exists() and file.read_text())


def kinds(history: list[e.Entry]) -> list[str]:
    """The names of the events."""
    return [type(entry.event).__name__ for entry in history]


async def test_a_delivery_while_the_call_is_still_under_way_outlives_the_worker(stage: Stage) -> None:
    """Delivered before the outcome, the worker killed inside the call: the next one takes the result, and calls no more."""
    await start(stage, "checked", "r")
    stage.shut("r")
    worker = stage.begin("work", f"{MESSY}:checked", *LEASE)
    handed = token(stage, "r")
    delivered = stage.holdfast("callback", handed, '{"said": "clear"}', "--by", "bureau")
    assert delivered.returncode == 0, delivered.stderr
    worker.kill()
    stage.open("r")

    stage.begin("work", f"{MESSY}:checked", *LEASE)
    await stage.until_statuses("completed")
    assert len(lines(stage, "asked")) == 1
    async with Holdfast(stage.db) as app:
        assert (await app.show("r")).result == {"check": {"said": "clear"}, "note": "clear"}


async def test_a_delivery_after_the_kill_is_taken_once_and_the_second_is_refused(stage: Stage) -> None:
    """The run is parked, its worker killed, nobody there: the delivery waits in the store."""
    await start(stage, "checked", "r")
    worker = stage.begin("work", f"{MESSY}:checked", *LEASE)
    handed = token(stage, "r")
    await stage.until_statuses({"r": "waiting"})
    worker.kill()

    first = stage.holdfast("callback", handed, '{"said": "clear"}')
    second = stage.holdfast("callback", handed, '{"said": "not clear"}')
    unknown = stage.holdfast("callback", handed + "x", "{}")
    assert (first.returncode, second.returncode, unknown.returncode) == (0, 2, 2)
    assert "delivered before" in second.stderr

    stage.begin("work", f"{MESSY}:checked", *LEASE)
    await stage.until_statuses("completed")
    late = stage.holdfast("callback", handed, '{"said": "late"}')
    assert late.returncode == 2
    history = await stage.history("r")
    assert kinds(history).count("CallbackReceived") == 1
    assert kinds(history).count("CallbackRefused") == 1
    assert len(lines(stage, "asked")) == 1


async def test_a_token_is_in_no_journal(stage: Stage) -> None:
    """What may be read is not what may be used."""
    await start(stage, "checked", "r")
    stage.begin("work", f"{MESSY}:checked", *LEASE)
    handed = token(stage, "r")
    await stage.until_statuses({"r": "waiting"})
    stored = b"".join(file.read_bytes() for file in stage.db.parent.glob("runs.db*"))
    assert handed.encode() not in stored


@pytest.mark.parametrize("seed", range(3 if ALL else 1))
async def test_deliveries_among_random_kills_have_one_effect_each(stage: Stage, seed: int) -> None:
    """Six runs, a worker killed again and again, each result delivered twice at some moment."""
    dice = random.Random(seed)
    names = [f"r{number}" for number in range(6)]
    await start(stage, "checked", *names)
    left = [name for name in names for _ in range(2)]
    dice.shuffle(left)
    accepted: dict[str, int] = dict.fromkeys(names, 0)
    worker = stage.begin("work", f"{MESSY}:checked", *LEASE)
    for name in left:
        handed = token(stage, name)
        if dice.random() < 0.5:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        said = stage.holdfast("callback", handed, f'{{"said": "{name}"}}')
        accepted[name] += said.returncode == 0
        if worker.poll() is not None:
            worker = stage.begin("work", f"{MESSY}:checked", *LEASE)
    await stage.until_statuses("completed", seconds=60)
    assert accepted == dict.fromkeys(names, 1)
    for name in names:
        assert kinds(await stage.history(name)).count("CallbackReceived") == 1
    keys = {(subject, key) for subject, key, _ in lines(stage, "asked")}
    assert len(keys) == len(names), "each was asked under one key, however often"


async def test_two_workers_keep_one_rate(stage: Stage) -> None:
    """Eight runs of four calls, five in any second, two processes; and the runs take turns."""
    names = [f"r{number}" for number in range(8)]
    await start(stage, "rated", *names)
    for _ in range(2):
        stage.begin("work", f"{MESSY}:rated", *LEASE)
    await stage.until_statuses("completed", seconds=60)
    histories = [await stage.history(name) for name in names]
    intended = sorted(entry.at for history in histories for entry in history if isinstance(entry.event, e.CallIntended))
    assert len(intended) == len(lines(stage, "limited")) == 32
    crowded = [at for at, sixth in zip(intended, intended[5:], strict=False) if sixth - at < 1.0]
    assert not crowded, f"more than five calls in the second from {crowded}"
    assert len({process for *_, process in lines(stage, "limited")}) == 2
    ends = {name: max(float(at) for at, subject, *_ in lines(stage, "limited") if subject == name) for name in names}
    begins = {name: min(float(at) for at, subject, *_ in lines(stage, "limited") if subject == name) for name in names}
    assert max(begins.values()) < max(ends.values()), "none waits until all the others are done"


@pytest.mark.parametrize("seed", range(3 if ALL else 1))
async def test_what_was_done_is_taken_back_once_and_in_reverse_whoever_is_killed(stage: Stage, seed: int) -> None:
    """Workers killed at random moments of doing and undoing."""
    dice = random.Random(seed)
    names = [f"r{number}" for number in range(3)]
    await start(stage, "undone", *names)
    for _ in range(6):
        worker = stage.begin("work", f"{MESSY}:undone", *LEASE)
        await stage.until_working(1)
        try:
            stage.until(lambda: False, seconds=dice.uniform(0.05, 0.5))
        except AssertionError:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
    stage.begin("work", f"{MESSY}:undone", *LEASE)
    await stage.until_statuses("failed", seconds=60)
    for name in names:
        held = [what for subject, what, *_ in lines(stage, "held") if subject == name]
        released = [what for subject, what, *_ in lines(stage, "released") if subject == name]
        assert held == ["seat", "car", "room"]
        assert released == ["room", "car", "seat"]


async def test_a_run_starts_each_child_once_whoever_is_killed(stage: Stage) -> None:
    """The parent waits parked, the children are rows, the worker is killed in between."""
    await start(stage, "whole", "p")
    dice = random.Random(7)
    for _ in range(5):
        worker = stage.begin("work", f"{MESSY}:whole", *LEASE)
        await stage.until_working(1)
        try:
            stage.until(lambda: False, seconds=dice.uniform(0.05, 0.4))
        except AssertionError:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
    stage.begin("work", f"{MESSY}:whole", *LEASE)
    await stage.until_statuses("completed", seconds=60)
    async with Holdfast(stage.db) as app:
        assert [child.run_id for child in await app.children("p")] == ["p.first", "p.second"]
    assert kinds(await stage.history("p")).count("ChildEnded") == 2
    assert sorted(what for _, what, *_ in lines(stage, "held")) == ["one", "one", "two", "two"]
