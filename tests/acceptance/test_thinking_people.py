"""A run that a model plans, and people beside it, at the command line: asked, approving, correcting, wanting something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from holdfast import Holdfast
from holdfast.core import events as e
from tests.acceptance.stage import Stage

MINDS = Path(__file__).with_name("minds.py")
ROOT = Path(__file__).resolve().parents[2]
WAITS_FOR_A_PERSON = 3


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """A stage whose processes find the agents of these tests."""
    stage.environment["PYTHONPATH"] += f":{ROOT}"
    return stage


def run(stage: Stage, agent: str) -> int:
    """Go on with the run in a process of its own, which ends when a person is asked."""
    return stage.holdfast("run", f"{MINDS}:{agent}", "go", "--id", "r").returncode


def say(stage: Stage, *words: str) -> None:
    """A command of a person's, which is taken."""
    said = stage.holdfast(*words)
    assert said.returncode == 0, said.stderr


async def of(stage: Stage, kind: type[Any]) -> list[Any]:
    return [entry.event for entry in await stage.history("r") if isinstance(entry.event, kind)]


async def test_a_question_is_answered_and_a_call_approved_from_the_command_line(stage: Stage) -> None:
    """The run is a row while it waits; the answer is a fact with a name, and the approval is for the call as shown."""
    assert run(stage, "asker") == WAITS_FOR_A_PERSON
    (asked,) = await of(stage, e.Asked)
    assert (asked.kind, asked.about, asked.question) == ("question", "question", "Which city?")
    wrong = stage.holdfast("answer", "r", "respond", "X", "--by", "ann")
    assert wrong.returncode == 2, "the answer has a form"
    say(stage, "answer", "r", "respond", "Oslo", "--by", "ann")
    again = stage.holdfast("answer", "r", "respond", "Rome", "--by", "bob")
    assert again.returncode == 2

    assert run(stage, "asker") == WAITS_FOR_A_PERSON
    asked = (await of(stage, e.Asked))[-1]
    assert (asked.about, asked.tool, asked.args) == ("call", "irreversible", {"subject": "Oslo"})
    assert stage.effects() == {}
    say(stage, "answer", "r", "approve", "--by", "ann")
    assert run(stage, "asker") == 0
    assert stage.effects() == {"Oslo": 1}
    async with Holdfast(stage.db) as app:
        fact = (await app.state("r")).facts["city"]
    assert (fact.value, fact.source, fact.by) == ("Oslo", "told", "ann")


async def test_a_correction_before_the_approval_changes_the_call(stage: Stage) -> None:
    """What was about to be approved rests on what is not so any more: it is not called, and asked about anew."""
    run(stage, "asker")
    say(stage, "answer", "r", "respond", "Oslo", "--by", "ann")
    assert run(stage, "asker") == WAITS_FOR_A_PERSON
    say(stage, "correct", "r", "city=Bergen", "--by", "ann")
    assert run(stage, "asker") == WAITS_FOR_A_PERSON
    approved = stage.holdfast("show", "r", "--json").stdout
    assert "Bergen" in approved
    (asked,) = (await _open(stage)).values()
    assert asked.args == {"subject": "Bergen"}, "a person is shown what would be called now"
    say(stage, "answer", "r", "approve", "--by", "ann")
    assert run(stage, "asker") == 0
    assert stage.effects() == {"Bergen": 1}


async def _open(stage: Stage) -> dict[str, e.Asked]:
    async with Holdfast(stage.db) as app:
        return (await app.state("r")).interrupts


async def test_another_goal_while_the_run_waits_for_an_approval(stage: Stage) -> None:
    """What is done stays done; what was to be approved is dropped by the model, and the new call is approved by itself."""
    assert run(stage, "traveller") == WAITS_FOR_A_PERSON
    assert stage.effects() == {"kept": 1}
    say(stage, "goal", "r", "to Boston instead", "--by", "ann", "--note", "the fair moved")
    assert run(stage, "traveller") == WAITS_FOR_A_PERSON
    (asked,) = (await _open(stage)).values()
    assert asked.args == {"subject": "Boston"}
    say(stage, "answer", "r", "approve", "--by", "ann")
    assert run(stage, "traveller") == 0
    assert stage.effects() == {"kept": 1, "Boston": 1}
    (changed,) = await of(stage, e.GoalChanged)
    assert (changed.by, changed.goal.text) == ("ann", "to Boston instead")


async def test_a_late_approval_of_what_the_goal_no_longer_wants_is_refused(stage: Stage) -> None:
    """An approval that was given for a call that fell with the old goal lets nothing through."""
    run(stage, "traveller")
    (interrupt,) = await _open(stage)
    say(stage, "goal", "r", "to Boston instead", "--by", "ann", "--note", "the fair moved")
    assert run(stage, "traveller") == WAITS_FOR_A_PERSON
    late = stage.holdfast("answer", "r", interrupt, "approve", "--by", "bob")
    assert late.returncode == 2, late.stdout
    assert stage.effects() == {"kept": 1}
