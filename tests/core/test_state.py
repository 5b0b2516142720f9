"""What is known of a run, and the one word for it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core.state import contract_of, result_of, source_of, status
from tests.core.mind import Mind
from tests.core.story import Story, step, tool, weaker

READ, KEYED = tool("t", "read"), tool("t", "keyed")


def test_a_tool_that_has_gone_has_no_contract() -> None:
    """Unless a call of it was made under one."""
    story = Story([step("a")], KEYED)
    assert contract_of(story.run, story["a"]) == KEYED
    story.decide()
    story.crash().tell(e.AgentChanged(differences=(), contracts=(tool("u"),)))
    assert contract_of(story.run, story["a"]) == KEYED
    assert contract_of(story.run, replace(story["a"], contract=None)) is None


# --- the one word for a run ---------------------------------------------------------------------------------------


def at(story: Story) -> str:
    """The word for a run now."""
    return status(story.run, story.now)


def test_a_run_with_something_in_flight_is_running() -> None:
    """A call, a probe, or the reasoner."""
    story = Story(None, READ)
    story.decide()
    assert at(story) == "running"
    story = Story([step("a")], tool("t", "reconcilable"))
    story.decide()
    assert at(story) == "running"
    story.crash().decide()
    assert at(story) == "running"


def test_a_run_that_waits_for_a_time_is_waiting() -> None:
    """Until the time has come."""
    story = Story([step("a")], READ)
    story.decide()
    story.fail("a").decide()
    assert at(story) == "waiting"
    story.wait(5)
    assert at(story) == "running"


def test_a_run_whose_models_may_not_be_asked_yet_is_waiting() -> None:
    """It costs nothing meanwhile, and whoever looks sees that."""
    mind = Mind(tool("t"))
    mind.ask()
    mind.refuse("too_expensive").decide()
    assert at(mind) == "waiting"
    mind.wait(3_700)
    assert at(mind) == "running"
    mind.ask()
    assert at(mind) == "running"


def test_a_run_that_only_a_person_can_move_on_is_blocked() -> None:
    """Also where other steps could not begin; not while another step goes on."""
    story = Story([step("a", on_failure="ask"), step("b")], READ)
    story.decide()
    story.fail("a", "denied").decide()
    assert at(story) == "running"
    story.fail("b").decide()
    assert at(story) == "waiting"
    story.decide(after=1)
    story.succeed("b").decide()
    assert at(story) == "blocked"


@pytest.mark.parametrize("waits", [True, False])
def test_a_run_whose_agent_became_weaker_is_blocked(waits: bool) -> None:
    """A retry that waits waits for the person too; whoever drives the run must not sit there until it expires."""
    story = Story([step("a")], KEYED)
    story.decide()
    if waits:
        story.fail("a").decide()
    else:
        story.succeed("a")
    story.crash().change(weaker(KEYED, safety="irreversible"), weaker=True).decide()
    assert story.open
    assert at(story) == "blocked"
    story.wait(1000)
    assert at(story) == "blocked"


def test_a_run_that_is_owed_something_waits_for_it() -> None:
    """Also where all its steps are done; while it is looked for the run is running."""
    for part in (False, True):
        story = Story([step("a")], tool("t", "keyed", poll=True, poll_seconds=30.0))
        story.decide()
        _ = story.part("a") if part else story.defer("a")
        story.decide()
        assert at(story) == "waiting"
        assert story.looked(after=30) == ["a"]
        assert at(story) == "running"
        story.probed("a", "not_yet").decide()
        assert at(story) == "waiting"


def test_a_run_that_asks_what_becomes_of_what_it_did_is_blocked() -> None:
    """Whatever else its steps are in the middle of."""
    story = Story(
        [step("a", "u"), step("b", after=("a",))],
        READ,
        tool("u", "keyed", undo="w"),
        tool("w", "keyed"),
        start={"on_stop": "ask"},
    )
    story.decide()
    story.succeed("a").decide()
    story.fail("b", "denied").decide()
    assert at(story) == "blocked"
    story.answer("approve").decide()
    assert at(story) == "running"


def test_what_stands_in_for_a_step_is_the_first_alternative_that_was_done() -> None:
    """Its own alternatives stand in for what it stands in for."""
    steps = [step("a", on_failure="skip")]
    steps += [step(name, args={"n": name}, alternative_to=of) for name, of in (("b", "a"), ("c", "b"), ("d", "a"))]
    story = Story(steps, READ)
    story.decide()
    assert source_of(story.run, "a") is None
    for name in ("a", "b"):
        story.fail(name, "conflict").decide()
    story.succeed("c", 3).decide()
    assert [source_of(story.run, name) for name in "abcd"] == ["c", "c", "c", None]
    assert [result_of(story.run, name) for name in "abd"] == [3, 3, None]
    assert story.phases["d"] == "skipped"


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
def test_an_ended_run_is_what_it_ended_as(end: Any) -> None:
    """With what it leaves behind."""
    story = Story([step("a")], READ)
    story.decide()
    if end == "completed":
        story.succeed("a", 1)
    elif end == "failed":
        story.fail("a", "denied")
    else:
        story.succeed("a", 1).tell(e.CancelRequested(by="ann"))
    story.decide()
    assert at(story) == end
    assert story.run.result == ({"a": 1} if end == "completed" else None)
