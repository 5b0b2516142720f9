"""Calls of which nobody knows whether they happened: looked up, repeated, taken, asked about."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.commands import CallTool, RunProbe
from holdfast.core.contract import Retry
from holdfast.core.limits import Limits
from holdfast.core.plan import Fallback
from tests.core.story import T0, Story, step, tool, weaker

IDEMPOTENT = tool("t", "idempotent")
KEYED = tool("t", "keyed")
PROBED = tool("t", "reconcilable")


# --- unknown ------------------------------------------------------------------------------------------------------


def test_an_intent_of_an_older_fence_is_in_doubt_and_one_of_this_fence_is_not() -> None:
    """The one rule by which a crash is seen."""
    story = Story([step("a")], KEYED)
    story.decide()
    assert story.decide().events == ()
    story.crash()
    assert story.called() == ["a"]
    (lost,) = story.events(e.CallUnknown)
    assert lost.crashed
    assert story.rows() == ["keyed-alive"]


@pytest.mark.parametrize(
    ("safety", "row", "commands"),
    [
        ("read", "read", [CallTool]),
        ("idempotent", "idempotent", [CallTool]),
        ("keyed", "keyed-alive", [CallTool]),
        ("reconcilable", "reconcilable-first", [RunProbe]),
        ("irreversible", "irreversible", []),
    ],
)
def test_a_crash_in_the_middle_of_a_call(safety: Any, row: str, commands: list[type[Any]]) -> None:
    """Each safety has its row, and what it commands goes out at once."""
    story = Story([step("a")], tool("t", safety, approve="never"))
    story.decide()
    assert [type(command) for command in story.crash().decide().commands] == commands
    assert story.rows() == [row]
    if safety == "irreversible":
        assert (story.asked.about, story.asked.kind) == ("doubt", "escalation")


def test_a_call_that_keeps_being_lost_backs_off_and_then_goes_to_a_person() -> None:
    """A call that takes its worker with it each time ends at lost_max."""
    story = Story([step("a")], KEYED, limits=Limits(lost_max=3))
    waits = []
    story.decide()
    for _ in range(2):
        decision = story.crash().decide()
        waits.append((decision.wake_at or 0) - story.now if not decision.commands else 0.0)
        if not decision.commands:
            story.decide(after=waits[-1])
    story.crash().decide()
    assert waits == [0.0, 2.0]
    assert story.rows() == ["keyed-alive", "keyed-alive", "keyed-often"]
    assert story.asked.about == "doubt"
    assert len(story.keys) == 3


def test_a_call_that_timed_out_backs_off_before_its_repeat() -> None:
    """Only a crash is repeated at once."""
    story = Story([step("a")], KEYED)
    story.decide()
    assert story.lose("a").called() == []
    assert story.called(after=1) == ["a"]


@pytest.mark.parametrize("contract", [KEYED, IDEMPOTENT], ids=["keyed", "idempotent"])
def test_an_attempt_lost_before_a_certain_failure_stays_in_doubt(contract: Any) -> None:
    """Sticky doubt: what failed for certain was the last attempt, not the first. Giving up asks about the first."""
    story = Story([step("a")], contract)
    story.decide()
    story.crash().decide()
    story.fail("a", "transient").decide()
    assert story.phases["a"] == "waiting", "there are attempts left, and a repeat is harmless"
    story.decide(after=60)
    story.fail("a", "conflict").decide()
    assert story.asked.about == "doubt"
    assert "earlier attempt" in story.asked.question
    story.answer("respond", "it had worked").decide()
    assert story.run.result == {"a": "it had worked"}


def test_a_key_must_outlive_the_request_that_may_still_land() -> None:
    """A repeat that is lost may land until its settle time is over, and must be recognised then too."""
    story = Story([step("a")], weaker(KEYED, key_ttl_seconds=100.0, settles_within_seconds=50.0))
    story.decide()
    story.crash(after=40).decide()
    assert story.rows() == ["keyed-alive"]
    story.crash(after=0.5).decide()
    assert story.rows() == ["keyed-alive", "keyed-expired-blind"], "40.5 + 10 + 50 s end after the key"


def test_a_lost_attempt_of_a_reconcilable_tool_is_settled_before_the_next() -> None:
    """So a later certain failure is about a call that was alone in the world."""
    story = Story([step("a")], PROBED)
    story.decide()
    story.crash().decide()
    assert story.probed("a", "not_happened").called() == ["a"]
    assert story["a"].doubt_since is None
    story.fail("a", "conflict").decide()
    assert story.ended == "failed"
    assert story.run.unknown == ()


def test_the_doubt_of_an_expired_key_is_looked_up_when_the_tool_can_be_asked() -> None:
    """A keyed tool past its key's life counts as reconcilable."""
    story = Story([step("a")], weaker(KEYED, key_ttl_seconds=100.0, probe=True))
    story.decide()
    (probe,) = story.crash(after=95).decide().commands
    assert isinstance(probe, RunProbe), "95 s and a time-out of 10 s end after the key"
    assert story.rows() == ["keyed-expired-first"]
    assert story.probed("a", "not_happened").called() == ["a"]


def test_a_key_that_expires_while_the_repeat_waits_is_not_used() -> None:
    """What was a harmless repeat when it was ruled is one no more when its time comes."""
    story = Story([step("a")], weaker(KEYED, key_ttl_seconds=100.0, retry=Retry(backoff_seconds=60, jitter=0)))
    story.decide()
    story.lose("a").decide()
    assert story.rows() == ["keyed-alive"]
    assert story.called(after=95) == []
    assert story.rows() == ["keyed-alive", "keyed-expired-blind"]
    assert story.asked.about == "doubt"


def test_the_life_of_a_key_is_counted_from_its_first_use() -> None:
    """Not from the last attempt: the other side remembers when it first saw it."""
    story = Story([step("a")], weaker(KEYED, key_ttl_seconds=100.0))
    story.decide()
    story.crash(after=50).decide()
    story.crash(after=45).decide()
    assert story.rows() == ["keyed-alive", "keyed-expired-blind"]


def test_a_no_before_the_settle_time_is_asked_again_when_it_can_be_final() -> None:
    """A request of a killed caller may still land."""
    story = Story([step("a")], weaker(PROBED, settles_within_seconds=30.0))
    story.decide()
    story.crash().decide()
    decision = story.probed("a", "not_happened").decide()
    assert story.rows()[-1] == "reconcilable-no-early"
    assert decision.wake_at == T0 + 30
    assert story.called(after=29.999) == []
    (probe,) = story.decide(after=0.001).commands
    assert isinstance(probe, RunProbe)
    assert story.probed("a", "not_happened").called() == ["a"]


def test_the_settle_time_starts_when_the_loss_is_seen() -> None:
    """Not when the call was sent: it may have been sent late."""
    story = Story([step("a")], weaker(PROBED, settles_within_seconds=30.0))
    story.decide()
    story.crash(after=1000).decide()
    assert story.probed("a", "not_happened").decide().wake_at == T0 + 1030


def test_a_no_that_was_seen_early_is_not_final_for_being_old() -> None:
    """What counts is when the probe looked."""
    story = Story([step("a")], weaker(PROBED, settles_within_seconds=30.0))
    story.decide()
    story.crash().decide()
    story.wait(60).probed("a", "not_happened")
    (probe,) = story.decide().commands
    assert isinstance(probe, RunProbe)


def test_not_yet_is_asked_again_on_a_doubling_schedule_until_the_window_ends() -> None:
    """1, 2, 4 … seconds, at most an eighth of the window, then a person."""
    story = Story([step("a")], weaker(PROBED, probe_seconds=1.0, probe_window_seconds=64.0))
    story.decide()
    story.crash().decide()
    waits = []
    for _ in range(40):
        decision = story.probed("a", "not_yet").decide()
        if story.open:
            break
        waits.append((decision.wake_at or 0) - story.now)
        story.decide(after=waits[-1])
    assert waits[:5] == [1, 2, 4, 8, 8]
    assert story.rows()[-1] == "reconcilable-not-yet-late"
    assert 64 <= story.now - T0 <= 64 + 8
    assert story.asked.about == "doubt"


def test_a_probe_that_cannot_tell_goes_to_a_person_with_its_words() -> None:
    """What it said is shown."""
    story = Story([step("a")], PROBED)
    story.decide()
    story.crash().decide()
    story.tell(e.ProbeAnswered(step="a", probe=1, verdict="cannot_tell", message="two of them"))
    story.decide()
    assert "two of them" in story.asked.question


def test_a_crash_during_a_probe_asks_again() -> None:
    """A probe changes nothing."""
    story = Story([step("a")], PROBED)
    story.decide()
    story.crash().decide()
    (probe,) = story.crash().decide().commands
    assert isinstance(probe, RunProbe)
    assert probe.probe == 2


def test_a_probe_sees_the_key_and_arguments_of_the_call() -> None:
    """It is about that very call."""
    story = Story([step("a", args={"x": 1})], PROBED)
    (call,) = story.decide().commands
    (probe,) = story.crash().decide().commands
    assert isinstance(call, CallTool) and isinstance(probe, RunProbe)
    assert (probe.key, probe.args, probe.attempt, probe.occurrence) == (call.key, call.args, 1, 1)


def test_a_final_no_with_no_attempt_left_falls_back() -> None:
    """It did not happen, for certain: then what follows is a matter of strategy, and that may be another tool."""
    story = Story([step("a", fallbacks=(Fallback(tool="u"),))], PROBED, tool("u", "idempotent"), limits=Limits(lost_max=1))
    story.decide()
    story.crash().decide()
    assert story.probed("a", "not_happened").called() == ["a"]
    assert story.rows()[-1] == "reconcilable-no-often"
    assert story["a"].tool == "u"


# --- people: doubts -----------------------------------------------------------------------------------------------


def doubtful() -> Story:
    """A run that asks whether a lost irreversible call happened."""
    story = Story([step("a", on_failure="skip")], tool("t", "irreversible", approve="never"))
    story.decide()
    story.crash().decide()
    return story


def test_a_person_says_that_it_happened() -> None:
    """respond: its result is taken and nothing is sent."""
    story = doubtful()
    story.answer("respond", {"receipt": 1}).decide()
    assert story.run.result == {"a": {"receipt": 1}}
    assert len(story.keys) == 1


def test_a_person_says_that_it_did_not_and_wants_it() -> None:
    """approve: it is called again."""
    story = doubtful()
    assert story.answer("approve").called() == ["a"]
    story.succeed("a").decide()
    assert story.ended == "completed"
    assert story.run.unknown == ()


def test_a_person_says_that_it_did_not_and_does_not_want_it() -> None:
    """reject: given up as the step says, and no longer unknown."""
    story = doubtful()
    story.answer("reject").decide()
    assert (story.ended, story.run.skipped, story.run.unknown) == ("completed", ("a",), ())


def test_a_person_cancels_at_the_question() -> None:
    """cancel says nothing about the doubt: it is named."""
    story = doubtful()
    story.answer("cancel", note="never mind").decide()
    assert (story.ended, story.run.unknown) == ("cancelled", ("a",))
    assert story.run.reason == "cancelled by ann: never mind"


def test_nobody_says_whether_it_happened() -> None:
    """The run stops, and says what nobody knows."""
    story = doubtful()
    story.decide(after=story.run.limits.person_seconds)
    assert (story.ended, story.run.unknown) == ("failed", ("a",))
    assert "nobody said in time" in story.run.reason
