"""The reasoner's turns and the end: completed, or stopped, with what was done kept or taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.commands import AskReasoner, RunProbe
from holdfast.core.decide import decide
from holdfast.core.evolve import evolve
from holdfast.core.limits import Limits
from holdfast.core.plan import Plan
from tests.core.story import T0, Story, ref, step, tool

READ = tool("t", "read")
KEYED = tool("t", "keyed")
PROBED = tool("t", "reconcilable")
FINAL = tool("t", "irreversible")


# --- cancel and stop ----------------------------------------------------------------------------------------------


def cancelled(story: Story) -> Story:
    """A cancel, decided on."""
    story.tell(e.CancelRequested(by="bob", reason="wrong order")).decide()
    return story


def test_a_cancel_before_anything_began() -> None:
    """It ends at once."""
    assert cancelled(Story([step("a")], READ)).run.ended == "cancelled"


def test_a_cancel_while_the_reasoner_thinks_waits_for_it() -> None:
    """Its answer is recorded, and nothing of it begins."""
    story = Story(None, READ)
    story.decide()
    assert not cancelled(story).ended
    story.tell(e.PlanAdopted(turn=1, revision=1, plan=Plan(steps=(step("a"),)))).decide()
    assert story.ended == "cancelled"
    assert story.keys == []


@pytest.mark.parametrize("outcome", ["ok", "failed", "unknown"])
def test_a_cancel_during_a_call_waits_for_its_end_and_names_what_is_unknown(outcome: str) -> None:
    """The effect at hand is finished; a failure is not diagnosed; a doubt is named."""
    story = Story([step("a"), step("b", after=("a",))], KEYED)
    story.decide()
    assert not cancelled(story).ended
    outcomes: dict[str, Callable[[str], Story]] = {"ok": story.succeed, "failed": story.fail, "unknown": story.lose}
    outcomes[outcome]("a")
    assert story.called() == []
    assert story.ended == "cancelled"
    assert story.run.unknown == (("a",) if outcome == "unknown" else ())


def test_a_cancel_while_a_retry_waits() -> None:
    """It is not made."""
    story = Story([step("a")], READ)
    story.decide()
    story.fail("a").decide()
    assert cancelled(story).ended == "cancelled"
    assert story.run.unknown == ()


def test_a_cancel_while_a_repeat_waits_names_the_doubt() -> None:
    """The lost attempt may have happened."""
    story = Story([step("a")], KEYED)
    story.decide()
    story.lose("a").decide()
    assert story.phases["a"] == "waiting"
    assert cancelled(story).run.unknown == ("a",)


def test_a_cancel_lets_a_probe_settle_what_it_can_at_once() -> None:
    """The probe under way is heard; what it found to be undone is not unknown."""
    story = Story([step("a")], PROBED)
    story.decide()
    story.crash().decide()
    assert not cancelled(story).ended
    story.probed("a", "not_happened").decide()
    assert (story.ended, story.run.unknown) == ("cancelled", ())


def test_a_stop_probes_once_what_was_lost_and_takes_what_it_finds() -> None:
    """A doubt that can be settled now is settled before the run ends."""
    story = Story([step("a"), step("b")], PROBED)
    story.decide()
    story.lose("a").fail("b", "denied")
    (probe,) = story.decide().commands
    assert isinstance(probe, RunProbe)
    story.probed("a", "happened", 5).decide()
    assert (story.ended, story.run.unknown) == ("failed", ())
    assert story["a"].value == 5


def test_a_stop_does_not_wait_for_what_cannot_be_known_now() -> None:
    """ "Not yet" is named unknown, and the run ends."""
    story = Story([step("a"), step("b")], PROBED)
    story.decide()
    story.lose("a").fail("b", "denied").decide()
    story.probed("a", "not_yet").decide()
    assert (story.ended, story.run.unknown) == ("failed", ("a",))


@pytest.mark.parametrize("phase", ["call", "doubt", "owed"])
def test_a_cancel_while_a_person_is_asked(phase: str) -> None:
    """The question is closed with the run; what was unknown is named."""
    story = Story([step("a")], FINAL if phase == "call" else tool("t", "irreversible", approve="never"))
    story.decide()
    if phase == "doubt":
        story.crash().decide()
    elif phase == "owed":
        story.defer("a", until=T0).decide()
    assert story.asked.about == phase
    cancelled(story)
    assert story.ended == "cancelled"
    assert story.run.unknown == (() if phase == "call" else ("a",))
    assert story.open == []


@pytest.mark.parametrize("phase", ["call", "doubt", "owed"])
def test_cancel_as_the_answer_names_what_is_unknown(phase: str) -> None:
    """The same when it is said at the question itself."""
    story = Story([step("a")], FINAL if phase == "call" else tool("t", "irreversible", approve="never"))
    story.decide()
    if phase == "doubt":
        story.crash().decide()
    elif phase == "owed":
        story.defer("a", until=T0).decide()
    story.answer("cancel").decide()
    assert story.ended == "cancelled"
    assert story.run.unknown == (() if phase == "call" else ("a",))


def test_a_read_that_was_lost_is_not_named_unknown() -> None:
    """It changes nothing, so there is nothing to know."""
    story = Story([step("a")], READ)
    story.decide()
    story.crash().tell(e.CancelRequested(by="bob")).decide()
    assert (story.ended, story.run.unknown) == ("cancelled", ())


def test_a_crash_while_a_cancel_waits_for_a_call() -> None:
    """The cancel is remembered; the lost call is looked up once and named if need be."""
    story = Story([step("a")], KEYED)
    story.decide()
    cancelled(story)
    story.crash().decide()
    assert (story.ended, story.run.unknown) == ("cancelled", ("a",))


# --- limits -------------------------------------------------------------------------------------------------------


def test_more_steps_than_allowed_stop_the_run_before_any_begins() -> None:
    """steps_max over all revisions."""
    story = Story([step(name) for name in "abc"], READ, limits=Limits(steps_max=2))
    assert story.called() == []
    assert "steps_max" in story.run.reason
    assert Story([step(name) for name in "ab"], READ, limits=Limits(steps_max=2)).called() == ["a", "b"]


def test_calls_in_all_are_a_hard_limit() -> None:
    """attempts_max calls are made and not one more, however many could begin at once."""
    story = Story([step(name) for name in "abcd"], READ, limits=Limits(attempts_max=2))
    assert story.called() == ["a", "b"]
    story.succeed("a").succeed("b").decide()
    assert story.ended == "failed"
    assert "attempts_max" in story.run.reason
    exact = Story([step(name) for name in "ab"], READ, limits=Limits(attempts_max=2))
    exact.decide()
    exact.succeed("a").succeed("b").decide()
    assert exact.run.ended == "completed", "a run that needs exactly what is allowed is within the limit"


def test_a_retry_counts_as_a_call() -> None:
    """The limit holds for the same step too."""
    story = Story([step("a")], READ, limits=Limits(attempts_max=1))
    story.decide()
    story.fail("a").decide()
    assert story.called(after=60) == []
    assert story.ended == "failed"


def test_wall_time_ends_a_run_that_waits() -> None:
    """It wakes at the limit and stops there, at the very moment."""
    story = Story([step("a")], FINAL, limits=Limits(wall_seconds=100.25, person_seconds=1e6))
    assert story.decide().wake_at == T0 + 100.25
    story.decide(after=100.25)
    assert story.ended == "failed"
    assert "wall_seconds" in story.run.reason


def test_wall_time_waits_for_the_call_under_way() -> None:
    """What is in flight is heard."""
    story = Story([step("a")], READ, limits=Limits(wall_seconds=5))
    story.decide()
    story.decide(after=6)
    assert story.phases == {"a": "flying"}
    story.succeed("a", 1).decide()
    assert story.ended == "failed"
    assert story["a"].value == 1


def test_a_clock_that_goes_backwards_does_not_move_the_run_backwards() -> None:
    """Time is never earlier than what was written."""
    story = Story([step("a")], READ)
    story.decide()
    story.fail("a").decide()
    decision = decide(story.run, T0 - 1000)
    assert decision.events == ()
    assert decision.wake_at == T0 + 1


# --- the reasoner -------------------------------------------------------------------------------------------------


def test_a_run_begins_by_asking_its_reasoner() -> None:
    """With an intent, like every effect."""
    story = Story(None, READ)
    assert story.decide().commands == (AskReasoner(turn=1),)
    assert story.decide().commands == ()


def test_a_plan_that_is_not_final_asks_again_when_its_steps_have_ended() -> None:
    """Turn after turn; new steps may build on old ones."""
    story = Story([step("a")], READ, final=False)
    story.decide()
    assert story.succeed("a", 1).decide().commands == (AskReasoner(turn=2),)
    more = Plan(steps=(step("b", args={"x": ref("steps.a")}),), final=False)
    story.tell(e.PlanAdopted(turn=2, revision=2, plan=more))
    assert story.called() == ["b"]
    assert story.succeed("b").decide().commands == (AskReasoner(turn=3),)
    story.tell(e.FinishProposed(turn=3, result="all of it")).decide()
    assert (story.ended, story.run.result) == ("completed", "all of it")


def test_a_reasoner_that_gives_up_ends_the_run_with_its_reason() -> None:
    """Also with an empty one."""
    for reason in ("no such customer", ""):
        story = Story(None, READ)
        story.decide()
        story.tell(e.GiveUpProposed(turn=1, reason=reason)).decide()
        assert (story.ended, story.run.reason) == ("failed", reason)


def test_proposals_that_cannot_be_run_are_bounded() -> None:
    """Three in a row end the run, and say what was wrong with the last; a sound one in between starts the count anew."""
    story = Story(None, READ)
    for turn in (1, 2):
        story.decide()
        story.tell(e.ProposalFailed(turn=turn, problems=("there is no tool x",)))
    story.decide()
    story.tell(e.PlanAdopted(turn=3, revision=1, plan=Plan(steps=(step("a"),), final=False))).decide()
    story.succeed("a")
    for turn in (4, 5, 6):
        assert story.decide().commands == (AskReasoner(turn=turn),)
        story.tell(e.ProposalFailed(turn=turn, problems=("there is no tool x",)))
    story.decide()
    assert story.ended == "failed"
    assert "there is no tool x" in story.run.reason


def test_turns_are_bounded() -> None:
    """turns_max questions to the reasoner and not one more."""
    story = Story(None, READ, limits=Limits(turns_max=2))
    for turn in (1, 2):
        assert story.decide().commands == (AskReasoner(turn=turn),)
        story.tell(e.PlanAdopted(turn=turn, revision=turn, plan=Plan(steps=(step(f"s{turn}"),), final=False))).decide()
        story.succeed(f"s{turn}")
    assert story.decide().commands == ()
    assert "turns_max" in story.run.reason
    assert story.ended == "failed"


def test_a_crash_while_the_reasoner_thinks_asks_it_again() -> None:
    """What it might have said is lost, and nothing rests on it."""
    story = Story(None, READ)
    story.decide()
    assert story.crash().decide().commands == (AskReasoner(turn=2),)


def test_steps_that_a_revision_drops_are_given_up() -> None:
    """They are skipped with the revision's reason, and what reads them with them."""
    steps = [step("a"), step("b", after=("a",)), step("c", args={"x": ref("steps.b")})]
    story = Story(steps, READ, final=False)
    story.decide()
    revised = e.PlanAdopted(
        turn=2, revision=2, plan=Plan(steps=(step("d"),), final=True), reason="b is of no use", dropped=("b",)
    )
    story.tell(revised)
    assert story.called() == ["d"]
    assert "b is of no use" in story["b"].reason
    story.succeed("a").succeed("d").decide()
    assert story.phases == {"a": "done", "b": "skipped", "c": "skipped", "d": "done"}
    assert story.ended == "completed"


# --- results ------------------------------------------------------------------------------------------------------


def test_the_result_is_what_the_plan_says() -> None:
    """References in its form are resolved from what was done; null stands where a step was skipped."""
    form = {"first": ref("steps.a.n"), "second": ref("steps.b"), "both": [ref("steps.a"), ref("steps.b.x")], "word": "w"}
    story = Story([step("a"), step("b", on_failure="skip")], READ, result=form)
    story.decide()
    story.succeed("a", {"n": 1}).fail("b", "denied").decide()
    assert story.run.result == {"first": 1, "second": None, "both": [{"n": 1}, None], "word": "w"}


def test_without_a_form_the_result_is_that_of_all_finished_steps() -> None:
    """By step; those not done are named beside it."""
    story = Story([step("a"), step("b", on_failure="skip")], READ)
    story.decide()
    story.succeed("a", 1).fail("b", "denied").decide()
    assert story.run.result == {"a": 1}
    assert story.run.skipped == ("b",)


def test_an_ended_run_decides_nothing() -> None:
    """Whatever the time."""
    story = Story([step("a")], READ)
    story.decide()
    story.succeed("a").decide()
    assert story.ended
    decision = decide(story.run, T0 + 1e9)
    assert (decision.events, decision.commands, decision.wake_at) == ((), (), None)


def test_deciding_twice_decides_the_same() -> None:
    """The same state and time: the same decision; and what is decided is not decided again."""
    story = Story([step("a"), step("b")], KEYED)
    assert decide(story.run, T0) == decide(story.run, T0)
    story.decide()
    assert decide(story.run, T0).events == ()


def test_an_outcome_for_a_call_that_is_not_under_way_is_a_bug_that_is_seen() -> None:
    """The fold asserts what the driver owes."""
    story = Story([step("a")], READ)
    with pytest.raises(AssertionError, match="attempt 1 of a"):
        evolve(story.run, e.Entry(story.run.version + 1, T0, 1, e.CallSucceeded(step="a", attempt=1)))


# --- going in circles ---------------------------------------------------------------------------------------------


def turn(story: Story, number: int, *steps: Any) -> list[str]:
    """The reasoner, asked once more, adds steps; the ones that are called."""
    assert story.decide().commands == (AskReasoner(turn=number),), story.run.reason
    story.tell(e.PlanAdopted(turn=number, revision=number, plan=Plan(steps=steps, final=False)))
    return story.called()


def test_turns_that_teach_nothing_new_are_bounded() -> None:
    """The same calls with the same results, in steps of other names; a person is told why it stopped."""
    story = Story(None, READ, limits=Limits(idle_turns_max=3))
    assert turn(story, 1, step("s1")) == ["s1"]
    story.succeed("s1", 1)
    for number in (2, 3, 4):
        assert turn(story, number, step(f"s{number}")) == [f"s{number}"]
        story.succeed(f"s{number}", 1)
    assert story.decide().commands == ()
    assert story.ended == "failed"
    assert "3 turns of the reasoner in a row taught nothing new" in story.run.reason


@pytest.mark.parametrize("news", ["another result", "another call", "another failure"])
def test_whatever_is_new_starts_the_count_anew(news: str) -> None:
    """A result, a call, a way in which a call fails."""
    story = Story(None, READ, limits=Limits(idle_turns_max=2))
    turn(story, 1, step("s1"))
    story.succeed("s1", 1)
    turn(story, 2, step("s2"))
    story.succeed("s2", 1)
    turn(story, 3, step("s3", args={"n": 3} if news == "another call" else {}, on_failure="skip"))
    _ = story.fail("s3", "conflict") if news == "another failure" else story.succeed("s3", 2 if news == "another result" else 1)
    turn(story, 4, step("s4", args={"n": 4}))
    assert story.run.idle_turns == 0


def test_a_reasoner_that_only_repeats_what_is_refused_is_stopped() -> None:
    """A refused call teaches nothing."""
    story = Story(None, READ, limits=Limits(idle_turns_max=2))
    assert turn(story, 1, step("s1", on_failure="skip")) == ["s1"]
    story.fail("s1", "denied").decide()
    for number in (2, 3):
        assert story.run.turn == number
        again = Plan(steps=(step(f"s{number}", on_failure="skip"),), final=False)
        story.tell(e.PlanAdopted(turn=number, revision=number, plan=again)).decide()
    assert len(story.events(e.CallRefused)) == 2
    assert "taught nothing new" in story.run.reason


def test_turns_that_a_crash_took_are_not_counted_as_idle() -> None:
    """What the reasoner would have said is not known; turns_max bounds these."""
    story = Story(None, READ, limits=Limits(idle_turns_max=2))
    story.decide()
    for number in range(2, 9):
        assert story.crash().decide().commands == (AskReasoner(turn=number),)
    assert not story.ended


def test_a_plan_that_is_final_keeps_no_account_of_what_is_known() -> None:
    """Nobody will be asked again."""
    story = Story([step("a")], READ)
    story.decide()
    story.succeed("a").decide()
    assert len(story.run.known) == 0


def test_a_run_does_not_end_before_what_is_owed_to_it_has_come() -> None:
    """Its reasoner may go on with what it has learned, and is not asked again about nothing; the end waits."""
    story = Story([step("a")], tool("t", "keyed"), final=False)
    story.decide()
    assert story.part("a").decide().commands == (AskReasoner(turn=2),)
    story.tell(e.ProposalFailed(turn=2, problems=("no",)))
    assert story.decide().commands == ()
    assert story.deliver("a").decide().commands == (AskReasoner(turn=3),)
    late = Story([step("a")], tool("t", "keyed"), final=False)
    late.decide()
    late.part("a").decide()
    late.tell(e.FinishProposed(turn=2, result=1)).decide()
    assert not late.ended
    late.deliver("a").decide()
    assert (late.ended, late.run.result) == ("completed", 1)
