"""What the world still owes: looked for, delivered, ruled on at its deadline."""

from __future__ import annotations

from holdfast.core import events as e
from holdfast.core.commands import CallTool, RunProbe
from tests.core.story import T0, Story, ref, step, tool, weaker

KEYED = tool("t", "keyed")
PROBED = tool("t", "reconcilable")


# --- owed ---------------------------------------------------------------------------------------------------------


def test_a_deferred_call_is_looked_up_until_it_is_there() -> None:
    """By its probe where it has no poll: after a first wait and then on a schedule, without being called again."""
    story = Story([step("a")], weaker(PROBED, probe_seconds=5.0, probe_window_seconds=1000.0))
    story.decide()
    decision = story.defer("a", until=T0 + 1000, handle="job-7").decide()
    assert (decision.commands, decision.wake_at) == ((), T0 + 5)
    (probe,) = story.decide(after=5).commands
    assert isinstance(probe, RunProbe)
    assert (probe.owed, probe.handle, probe.probe, probe.key) == (True, "job-7", 1, story.keys[0])
    decision = story.probed("a", "not_yet").decide()
    assert (story.phases["a"], decision.wake_at) == ("owed", T0 + 15)
    story.decide(after=10)
    story.probed("a", "happened", "done").decide()
    assert story.run.result == {"a": "done"}
    assert story["a"].settled_by == "probe"
    assert story.rows() == ["came"]
    assert len(story.keys) == 1


def test_a_deferred_call_without_a_probe_waits_until_its_time_and_then_asks() -> None:
    """It parks and costs nothing; at the deadline a person says what came."""
    story = Story([step("a")], tool("t", "keyed"))
    story.decide()
    assert story.defer("a", until=T0 + 50).decide().wake_at == T0 + 50
    story.decide(after=50)
    assert story.asked.about == "owed"
    story.answer("respond", "came by post").decide()
    assert story.run.result == {"a": "came by post"}


def test_a_deferred_call_that_named_no_time_has_a_deadline_all_the_same() -> None:
    """That of its contract."""
    story = Story([step("a")], tool("t", "keyed", owed_within_seconds=30.0))
    story.decide()
    assert story.defer("a").decide().wake_at == T0 + 30


def test_what_is_owed_and_did_not_come_is_given_up_as_the_step_says() -> None:
    """reject at the question."""
    story = Story([step("a", on_failure="flag")], tool("t", "keyed"))
    story.decide()
    story.defer("a", until=T0 + 1).decide(after=1)
    story.answer("reject").decide()
    assert (story.ended, story.run.flagged, story.run.unknown) == ("completed", ("a",), ())


def test_what_is_owed_when_a_run_stops_is_named() -> None:
    """The other side will still do it."""
    story = Story([step("a"), step("b")], tool("t", "keyed"))
    story.decide()
    story.defer("a", until=T0 + 100).decide()
    story.fail("b", "denied").decide()
    assert (story.ended, story.run.unknown) == ("failed", ("a",))


def test_what_is_owed_survives_a_crash_without_a_second_call() -> None:
    """The call is not in doubt: the other side has it."""
    story = Story([step("a")], tool("t", "keyed"))
    story.decide()
    story.defer("a", until=T0 + 100).decide()
    assert story.crash().decide().commands == ()
    assert story.phases["a"] == "owed"


def test_a_deferred_attempt_after_a_lost_one_is_one_call() -> None:
    """The same key: the other side has the call, whichever attempt brought it."""
    story = Story([step("a")], tool("t", "keyed"))
    story.decide()
    story.crash().decide()
    story.defer("a", until=T0 + 9).decide()
    assert story["a"].doubt_since is None
    assert story.phases["a"] == "owed"


# --- partial ------------------------------------------------------------------------------------------------------


def test_what_is_partly_done_is_done_and_named() -> None:
    """What is left is kept by identity, and waited for; when it does not come the run says which steps are not whole."""
    story = Story([step("a"), step("b", args={"x": ref("steps.a.seat")})], KEYED)
    story.decide()
    story.tell(e.CallPartial(step="a", attempt=1, value={"seat": None, "flight": 7}, left=("seat",))).decide()
    assert story["a"].left == ("seat",)
    assert story.called() == []
    (call,) = [command for command in story.commands if isinstance(command, CallTool) and command.step == "b"]
    assert call.args == {"x": None}
    story.succeed("b").decide()
    assert not story.ended
    story.decide(after=86400)
    assert (story.asked.about, story.asked.kind, story.ended) == ("owed", "escalation", "")
    story.answer("reject").decide()
    assert (story.ended, story.run.partial, story.run.flagged) == ("completed", ("a",), ("a",))
