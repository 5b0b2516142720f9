"""Workers that die, are stopped and come back, or share a store: each effect happens once, whoever does it."""

import asyncio
import os
import random
import signal
import subprocess

import pytest

from holdfast.core.events import CallIntended, CallUnknown, RunResumed
from tests.acceptance.stage import Stage
from tests.thorough import ALL

LEASE = ("--lease", "1")


async def test_a_worker_stopped_past_its_lease_can_write_nothing_when_it_comes_back(stage: Stage) -> None:
    """SIGSTOP in the middle of a call, another worker takes over and finishes, SIGCONT: nothing of it is written."""
    await stage.start("one_keyed", ["r"])
    stage.shut("r-a")
    first = stage.begin("work", "AGENTS:one_keyed", *LEASE)
    stage.until(lambda: stage.waits("r-a"))
    first.send_signal(signal.SIGSTOP)
    stage.open("r-a")

    second = stage.begin("work", "AGENTS:one_keyed", *LEASE)
    await stage.until_statuses("completed")
    history = await stage.history("r")
    first.send_signal(signal.SIGCONT)
    # The stopped call goes on where it was and reaches the service, which knows its key; then a run of its own shows
    # that the worker is well.
    stage.until(lambda: not list((stage.world / "keys").glob("*.*")) and len(stage.calls()) == 3)
    second.send_signal(signal.SIGTERM)
    assert second.wait(10) == 0
    await stage.start("one_keyed", ["after"])
    await stage.until_statuses("completed")

    assert stage.effects() == {"r-a": 1, "r-b": 1, "after-a": 1, "after-b": 1}
    assert await stage.history("r") == history
    assert {process for _, subject, _, process in stage.calls() if subject == "r-a"} == {first.pid, second.pid}
    assert {process for _, subject, _, process in stage.calls() if subject.startswith("after")} == {first.pid}
    assert [entry.event.crashed for entry in history if isinstance(entry.event, CallUnknown)] == [True]


async def test_a_worker_stopped_between_two_calls_makes_the_second_no_more(stage: Stage) -> None:
    """Stopped while it waits to try again, it wakes after another worker has done that, and leaves it."""
    await stage.start("retried", ["r"])
    first = stage.begin("work", "AGENTS:retried", *LEASE)
    stage.until(lambda: len(stage.calls()) == 1)
    first.send_signal(signal.SIGSTOP)
    second = stage.begin("work", "AGENTS:retried", *LEASE)
    await stage.until_statuses("completed")
    second.send_signal(signal.SIGTERM)
    assert second.wait(10) == 0
    first.send_signal(signal.SIGCONT)
    await stage.start("retried", ["after"])
    await stage.until_statuses("completed")

    assert stage.effects() == {"r": 1, "after": 1}
    processes = [(subject, process) for _, subject, _, process in stage.calls()]
    assert processes == [("r", first.pid), ("r", second.pid), ("after", first.pid), ("after", first.pid)]


async def test_two_workers_share_forty_runs_and_do_each_effect_once(stage: Stage) -> None:
    """Two processes on one store: no effect is doubled, and both have done some."""
    names = [f"r{number}" for number in range(40)]
    workers = [stage.begin("work", "AGENTS:three", "--parallel", "4", *LEASE) for _ in range(2)]
    await stage.until_working(2)
    await stage.start("three", names)
    await stage.until_statuses("completed")

    assert stage.effects() == {f"{name}-{step}": 1 for name in names for step in "abc"}
    assert len(stage.calls()) == 120, "nobody died, so nothing was even tried twice"
    assert {process for *_, process in stage.calls()} == {worker.pid for worker in workers}
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(10) == 0


@pytest.mark.parametrize("seed", [int(os.environ.get("HOLDFAST_KILL_SEED", "20261120"))])
async def test_runs_that_are_killed_at_random_moments_do_each_effect_once(stage: Stage, seed: int) -> None:
    """kill -9 again and again, at moments drawn from the seed; a run that is done all the same is followed by another."""
    print(f"HOLDFAST_KILL_SEED={seed} draws the same moments")
    draw = random.Random(seed)
    kills, runs = 0, 1
    while kills < (25 if ALL else 12):
        name = f"r{runs}"
        process = stage.begin("run", "AGENTS:twelve", "--id", name, "--input", f"name={name}", *LEASE)
        calls = len(stage.calls())
        # The moment is counted from the first call, else most kills would hit the start of Python.
        until_called(stage, process, calls)
        await asyncio.sleep(draw.uniform(0.0, 0.15))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        else:
            assert process.returncode == 0, stage.said(process)
            runs += 1
        process.wait()
    last = stage.holdfast("run", "AGENTS:twelve", "--id", f"r{runs}", *LEASE)

    assert last.returncode == 0, last.stderr
    assert set((await stage.statuses()).values()) == {"completed"}
    assert stage.effects() == {f"r{run}-s{number}": 1 for run in range(1, runs + 1) for number in range(1, 13)}
    history = await stage.history("r1")
    assert any(isinstance(entry.event, RunResumed) for entry in history)
    keys = {(entry.event.step, entry.event.key) for entry in history if isinstance(entry.event, CallIntended)}
    assert len(keys) == 12, "a repeat goes out under the key of the first try"


def until_called(stage: Stage, process: subprocess.Popen[str], calls: int) -> None:
    """Wait until there are more calls than these, or the process has ended."""
    stage.until(lambda: len(stage.calls()) > calls or process.poll() is not None)
