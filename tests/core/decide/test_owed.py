"""What the world still owes: looked for on its schedule, ruled on at its deadline."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.approval import OPTIONS
from holdfast.core.commands import CallTool, RunProbe
from holdfast.core.limits import Limits
from holdfast.core.plan import Fallback
from tests.core.story import T0, Story, step, tool, weaker

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


# --- at the deadline ----------------------------------------------------------------------------------------------

DEADLINES = ("ask", "fail", "repeat", "give_up")
DAY = 86400.0


def owing(about: str, at_deadline: Any = "ask", **fields: Any) -> Story:
    """A run to which a result, the rest of a part, or the sight of what was done is owed until T0 + 100. Nobody can look for a
    result or a rest; for what is to be seen the probe is asked, at last after the deadline."""
    sight = about == "sight"
    contract = tool("t", "keyed", at_deadline=at_deadline, probe=sight, visible_within_seconds=100.0 if sight else None, **fields)
    story = Story([step("a", args={"to": "x"}), step("next", "u", after=("a",))], contract, tool("u"))
    story.decide()
    if about == "result":
        story.defer("a", until=T0 + 100, by="the bank")
    elif about == "rest":
        story.part("a", "flight", left=("seat",), until=T0 + 100, by="the airline")
    else:
        story.succeed("a", "sent")
    story.decide()
    return story


def overdue(about: str, at_deadline: Any = "ask", **fields: Any) -> Story:
    """The same, after its deadline."""
    story = owing(about, at_deadline, **fields)
    story.decide(after=100)
    if about == "sight":
        story.probed("a", "not_yet").decide()
    return story


@pytest.mark.parametrize("about", ["result", "rest", "sight"])
def test_at_the_deadline_a_person_is_asked(about: str) -> None:
    """Shown what is owed and by whom; the rest of the run has gone on where it does not need it."""
    story = overdue(about)
    assert story.rows() == ["late-ask"]
    assert (story.asked.about, story.asked.kind, story.asked.step) == ("owed", "escalation", "a")
    assert {"result": "the bank", "rest": "seat", "sight": "nobody can see it"}[about] in story.asked.question
    assert story.asked.options == OPTIONS[{"result": "owed"}.get(about, about)]
    assert story.phases == {"a": "asking" if about == "result" else "done", "next": "blocked" if about == "result" else "flying"}
    assert len(story.keys) == (1 if about == "result" else 2), "and nothing is made again"


@pytest.mark.parametrize("about", ["result", "rest", "sight"])
@pytest.mark.parametrize("said", ["respond", "approve", "reject", "nothing"])
def test_what_a_person_says_of_what_did_not_come(about: str, said: Any) -> None:
    """It came; make it once more, as a new call; leave it. Silence never means yes: a result that nobody knows of stops the
    run, what else is owed is named."""
    story = overdue(about)
    if said == "nothing":
        story.decide(after=7 * DAY)
    else:
        story.answer(said, "by post" if said == "respond" else None)
    story.decide()
    assert story.open == [], "a question is asked once"
    if said == "approve":
        again = "a" if about == "result" else "a_again"
        assert story.phases[again] == "flying"
        assert story[again].occurrence == 2
        assert story[again].args == {"to": "x"}
        assert len(set(story.keys)) == len(story.keys)
    elif said == "respond":
        assert (story["a"].value, story["a"].left) == ("by post", ())
    elif about == "result":
        assert story.phases["a"] == ("failed" if said == "reject" else "owed")
        assert story.ended == "failed"
        assert story.run.unknown == (() if said == "reject" else ("a",))
    else:
        story.succeed("next").decide()
        assert (story.ended, story.run.flagged) == ("completed", ("a",))
        assert story.run.partial == (("a",) if about == "rest" else ())


def test_a_silence_about_a_result_stops_the_run_which_keeps_what_is_owed_in_view() -> None:
    """Nobody knows whether it still comes."""
    story = overdue("result")
    story.decide(after=7 * DAY)
    assert (story.ended, story.run.unknown) == ("failed", ("a",))


@pytest.mark.parametrize("about", ["result", "rest", "sight"])
def test_at_the_deadline_it_may_count_as_failed(about: str) -> None:
    """A result that did not come is a failure like any other; what was done stays done, and is flagged."""
    story = overdue(about, "fail")
    assert story.rows() == ["late-fail"]
    if about == "result":
        assert (story.ended, story.phases["a"]) == ("failed", "failed")
        assert "overdue: it has not come in the time it had" in story.run.reason
        assert story.run.unknown == ()
    else:
        story.succeed("next").decide()
        assert (story.ended, story.phases["a"], story.run.flagged) == ("completed", "done", ("a",))


def test_a_result_that_failed_at_its_deadline_falls_back() -> None:
    """As its author declared: it counts as not done."""
    story = Story([step("a", fallbacks=(Fallback(tool="u"),))], tool("t", "keyed", at_deadline="fail"), tool("u"))
    story.decide()
    story.defer("a", until=T0 + 9).decide()
    assert story.called(after=9) == ["a"]
    assert story["a"].tool == "u"


@pytest.mark.parametrize("about", ["result", "rest", "sight"])
@pytest.mark.parametrize("policy", ["stop", "skip", "flag", "ask"])
def test_at_the_deadline_it_may_be_given_up(about: str, policy: Any) -> None:
    """It is waited for no more, and named; no other tool does it, for it may have been done."""
    contract = tool(
        "t", "keyed", at_deadline="give_up", probe=about == "sight", visible_within_seconds=9.0 if about == "sight" else None
    )
    story = Story([step("a", on_failure=policy, fallbacks=(Fallback(tool="u"),))], contract, tool("u"))
    story.decide()
    if about == "result":
        story.defer("a", until=T0 + 9)
    elif about == "rest":
        story.part("a", until=T0 + 9)
    else:
        story.succeed("a")
    story.decide()
    story.decide(after=9)
    if about == "sight":
        story.probed("a", "not_happened").decide()
    assert story.rows() == ["late-give-up"]
    assert len(story.keys) == 1
    if about == "result" and policy == "ask":
        assert story.asked.about == "failure"
        assert story.answer("approve").called() == ["a"], "a person who knows it may say so"
        assert len(set(story.keys)) == 2
    else:
        assert (story.ended, story.run.flagged) == ("completed", ("a",))


def test_at_the_deadline_a_call_may_be_made_again_on_purpose() -> None:
    """Under a new key, as another occurrence; when that does not come either, a person is asked."""
    story = overdue("result", "repeat")
    (call,) = story.last.commands if story.last is not None else ()
    assert isinstance(call, CallTool)
    assert (call.occurrence, call.attempt, len(set(story.keys))) == (2, 2, 2)
    assert story["a"].suppressed_by == ""
    story.defer("a", until=story.now + 50).decide()
    story.decide(after=50)
    assert story.rows() == ["late-repeat", "late-repeated"]
    assert story.asked.about == "owed"


def test_what_nobody_sees_may_be_made_again_on_purpose() -> None:
    """As a step of its own, with another key; the first stays done. When that is not seen either, a person is asked."""
    story = overdue("sight", "repeat")
    assert story.rows() == ["late-repeat"]
    assert story.phases == {"a": "done", "next": "flying", "a_again": "flying"}
    assert story["a_again"].occurrence == 2
    (planned,) = story.events(e.RestPlanned)
    assert (planned.step, planned.rest.args, planned.rest.after) == ("a", {"to": "x"}, ("a",))
    assert len(set(story.keys)) == 3
    story.succeed("next").succeed("a_again").decide()
    story.decide(after=100)
    story.probed("a_again", "not_yet").decide()
    assert story.rows() == ["late-repeat", "late-repeated"]


def test_the_rest_of_a_part_is_not_repeated_by_itself() -> None:
    """Made again whole it would do what was done once more."""
    story = overdue("rest", "repeat")
    assert story.rows() == ["late-rest"]
    assert story.asked.about == "owed"


def test_an_intended_repeat_is_approved_anew() -> None:
    """A person's word was for one call."""
    contract = tool("t", "irreversible", at_deadline="repeat")
    story = Story([step("a")], contract)
    story.decide()
    story.answer("approve").decide()
    story.defer("a", until=T0 + 9).decide()
    story.decide(after=9)
    assert (story.asked.about, story.phases["a"]) == ("call", "asking")
    assert story.answer("approve").called() == ["a"]


@pytest.mark.parametrize("at_deadline", DEADLINES)
def test_there_is_one_last_look_before_the_deadline_has_its_way(at_deadline: Any) -> None:
    """What it finds then counts."""
    story = Story([step("a")], tool("t", "keyed", poll=True, poll_seconds=30.0, at_deadline=at_deadline))
    story.decide()
    assert story.defer("a", until=T0 + 40).looked(after=30) == ["a"]
    assert story.probed("a", "not_yet").looked() == []
    assert story.looked(after=10) == ["a"]
    story.probed("a", "happened", "late").decide()
    assert (story.run.result, story.rows()) == ({"a": "late"}, ["came"])


def test_a_last_look_that_a_crash_took_is_made_again() -> None:
    """Or else the call would be repeated although its result is there."""
    story = Story([step("a")], tool("t", "keyed", poll=True, at_deadline="repeat"))
    story.decide()
    assert story.defer("a", until=T0 + 9).looked(after=9) == ["a"]
    assert story.crash().looked() == ["a"]
    story.probed("a", "happened", 5).decide()
    assert (story.run.result, len(story.keys)) == ({"a": 5}, 1)


def test_a_deadline_that_passed_while_nobody_was_there_is_found_over() -> None:
    """A run that wakes after a week looks once and then does what its contract says."""
    story = Story([step("a")], tool("t", "keyed", poll=True, at_deadline="fail"))
    story.decide()
    story.defer("a", until=T0 + 100).decide()
    assert story.crash(after=7 * DAY).looked() == ["a"]
    story.probed("a", "not_yet").decide()
    assert story.rows() == ["late-fail"]


# --- looks --------------------------------------------------------------------------------------------------------


def test_a_poll_is_asked_on_its_own_schedule() -> None:
    """Not on the probe's, which is for calls in doubt; each wait is twice the one before, up to the longest."""
    contract = tool("t", "reconcilable", poll=True, poll_seconds=10.0, poll_seconds_max=25.0, probe_seconds=1.0)
    story = Story([step("a")], contract)
    story.decide()
    story.defer("a").decide()
    waits = []
    for _ in range(4):
        assert story.last is not None and story.last.wake_at is not None
        waits.append(story.last.wake_at - story.now)
        assert story.looked(after=waits[-1]) == ["a"]
        story.probed("a", "not_yet").decide()
    assert waits == [10.0, 20.0, 25.0, 25.0]


@pytest.mark.parametrize(
    ("poll", "verdict", "row"), [(True, "not_happened", "failed"), (False, "not_happened", None), (True, "cannot_tell", None)]
)
def test_what_a_look_says_that_is_not_there(poll: bool, verdict: Any, row: str | None) -> None:
    """A poll may say that it will not come; a probe cannot: what it does not see may come yet."""
    story = Story([step("a", on_failure="skip")], tool("t", "keyed", poll=poll, probe=not poll))
    story.decide()
    assert story.defer("a").looked(after=30) == ["a"]
    story.probed("a", verdict, message="no such order").decide()
    assert story.rows() == ([row] if row else [])
    if row:
        assert (story.ended, story.run.skipped) == ("completed", ("a",))
        assert "failed_later: no such order" in story["a"].reason
    else:
        assert story.phases["a"] == "owed"


def test_what_the_other_side_could_not_do_is_a_failure_that_is_not_retried() -> None:
    """Under the same key it would say the same; a fallback may."""
    story = Story([step("a", fallbacks=(Fallback(tool="u"),))], tool("t", "keyed", poll=True), tool("u"))
    story.decide()
    story.defer("a").decide()
    story.decide(after=30)
    assert story.probed("a", "happened", failure=e.Failure(kind="failed_later", message="sold out")).called() == ["a"]
    assert (story["a"].tool, story["a"].attempt) == ("u", 2)


def test_a_result_that_came_and_will_not_do_is_not_replaced() -> None:
    """It was done, whatever is wrong with what it says."""
    broken = e.Failure(kind="invalid_output", message="no number", landed=True)
    story = Story([step("a", fallbacks=(Fallback(tool="u"),))], tool("t", "keyed", poll=True), tool("u"))
    story.decide()
    story.defer("a").decide()
    story.decide(after=30)
    story.probed("a", "happened", failure=broken).decide()
    assert (story.ended, len(story.keys), story["a"].landed) == ("failed", 1, True)


def test_an_answer_to_a_look_of_something_that_is_over_is_only_noted() -> None:
    """The result was delivered while it was looked for."""
    story = Story([step("a"), step("b", "u", after=("a",))], tool("t", "keyed", poll=True), tool("u"))
    story.decide()
    assert story.defer("a").looked(after=30) == ["a"]
    assert story.deliver("a", "delivered").called() == ["b"]
    before = story["a"]
    story.tell(e.ProbeAnswered(step="a", probe=1, verdict="happened", value="looked up")).decide()
    assert story["a"] == before
    story.succeed("b").decide()
    assert story.run.result == {"a": "delivered", "b": None}


def test_the_answer_to_an_older_look_is_not_taken_for_that_of_a_newer_one() -> None:
    """A look of an operation that was settled meanwhile says nothing about the next one of the same step."""
    contract = tool("t", "keyed", poll=True, poll_seconds=1.0)
    story = Story([step("a", on_failure="ask")], contract)
    story.decide()
    story.defer("a").decide()
    story.decide(after=1)
    story.probed("a", "not_yet").decide()
    assert story.looked(after=2) == ["a"]
    story.deliver("a", failure=e.Failure(kind="failed_later")).decide()
    assert story.answer("approve").called() == ["a"]
    assert story.defer("a").looked(after=1) == ["a"]
    story.tell(e.ProbeAnswered(step="a", probe=2, verdict="happened", value="of the first")).decide()
    assert story.phases["a"] == "owed"
    story.probed("a", "happened", "of the second").decide()
    assert story["a"].value == "of the second"


def test_looking_for_what_is_owed_takes_no_call_and_no_place() -> None:
    """A parked run costs nothing but its looks."""
    steps = [step("a"), step("b", args={"n": 2})]
    story = Story(steps, tool("t", "keyed", poll=True), limits=Limits(parallel_max=1, attempts_max=2))
    story.decide()
    assert story.defer("a").called(after=30) == ["b"]
    assert story.run.pending["a"].looking is not None
