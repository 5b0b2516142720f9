"""How a worker ends, and how a run waits when no worker is there."""

import signal

from holdfast.core.events import CallSucceeded, CallUnknown
from tests.acceptance.stage import Stage


async def test_sigterm_lets_the_effect_at_hand_finish_and_gives_the_run_back(stage: Stage) -> None:
    """The call in progress ends and is recorded, nothing new begins, the claim is free at once, and the exit is clean."""
    await stage.start("one_keyed", ["r"])
    stage.shut("r-a")
    worker = stage.begin("work", "AGENTS:one_keyed", "--lease", "60")
    stage.until(lambda: stage.waits("r-a"))
    worker.send_signal(signal.SIGTERM)
    stage.until(lambda: "stopping" in stage.said(worker))
    assert worker.poll() is None
    stage.open("r-a")

    assert worker.wait(10) == 0
    assert stage.effects() == {"r-a": 1}
    history = await stage.history("r")
    assert [entry.event.step for entry in history if isinstance(entry.event, CallSucceeded)] == ["a"]

    # With a lease of a minute, only a claim that was given back lets the next worker finish now.
    second = stage.holdfast("work", "AGENTS:one_keyed", "--until-idle", "--lease", "60")
    assert second.returncode == 0, second.stderr
    assert await stage.statuses() == {"r": "completed"}
    assert stage.effects() == {"r-a": 1, "r-b": 1}
    assert not any(isinstance(entry.event, CallUnknown) for entry in await stage.history("r"))


async def test_a_run_that_waits_for_a_person_is_a_row_and_no_process(stage: Stage) -> None:
    """It blocks on an approval and its process ends; it is answered with none there; another process finishes it."""
    asked = stage.holdfast("run", "AGENTS:asks", "--id", "r", "--input", "name=r")
    assert asked.returncode == 3, asked.stderr
    assert stage.effects() == {}
    assert await stage.statuses() == {"r": "blocked"}

    answered = stage.holdfast("answer", "r", "approve", "--by", "Ada")
    assert answered.returncode == 0, answered.stderr
    assert stage.effects() == {}

    finished = stage.holdfast("work", "AGENTS:asks", "--until-idle")
    assert finished.returncode == 0, finished.stderr
    assert stage.effects() == {"r": 1}
    assert await stage.statuses() == {"r": "completed"}
