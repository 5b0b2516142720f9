"""Words from outside, whenever they come: callbacks, signals, the end of a run that a step started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.commands import CallTool
from holdfast.core.limits import Limits
from holdfast.core.plan import Fallback
from tests.core.story import T0, Story, ref, step, tool

DONE = ("done", "callback")
NO = e.Failure(kind="failed_later", message="sold out")
KEYED, PROBED, BLIND = tool("t", "keyed"), tool("t", "reconcilable"), tool("t", "irreversible", approve="never")


def story_of(contract: Any = KEYED, **fields: Any) -> Story:
    """A run with one call under way."""
    story = Story([step("a", **fields)], contract, tool("u"))
    story.decide()
    return story


def flying() -> Story:
    """The call is under way, and its own outcome not known."""
    return story_of()


def doubt() -> Story:
    """The call was lost, and nothing is decided about it yet."""
    return story_of().lose("a")


def repeat() -> Story:
    """A lost call waits to be made again under its key."""
    story = story_of().lose("a")
    story.decide()
    return story


def waiting() -> Story:
    """The call failed for certain, so it was said, and waits to be made again."""
    story = story_of().fail("a")
    story.decide()
    return story


def diagnosis() -> Story:
    """The call failed for certain, and nothing is decided about it yet."""
    return story_of().fail("a", "conflict")


def probe_wait() -> Story:
    """The tool is to be asked later whether a lost call happened."""
    story = story_of(PROBED).crash()
    story.decide()
    story.probed("a", "not_yet").decide()
    return story


def probing() -> Story:
    """The tool is asked whether a lost call happened."""
    story = story_of(PROBED).crash()
    story.decide()
    return story


def asked_about_doubt() -> Story:
    """A person is asked whether a lost call happened."""
    story = story_of(BLIND).crash()
    story.decide()
    return story


def asked_about_failure() -> Story:
    """A person is asked what to do about a call that failed."""
    story = story_of(on_failure="ask").fail("a", "conflict")
    story.decide()
    return story


def asked_about_owed() -> Story:
    """A person is asked about a result that did not come."""
    story = owed()
    story.decide(after=100)
    return story


def asked_about_repeat() -> Story:
    """A person is asked whether the call may be made once more, for it did not come."""
    story = Story([step("a")], tool("t", "irreversible", at_deadline="repeat"), tool("u"))
    story.decide()
    story.answer("approve").decide()
    story.defer("a", until=T0 + 100).decide()
    story.decide(after=100)
    assert story.asked.about == "call"
    return story


def owed() -> Story:
    """The other side took the call on."""
    story = story_of().defer("a", until=T0 + 100)
    story.decide()
    return story


def looked_for() -> Story:
    """What is owed is being looked for."""
    story = story_of(tool("t", "keyed", poll=True)).defer("a", until=T0 + 100)
    story.decide(after=50)
    return story


PHASES: list[tuple[Callable[[], Story], str]] = [
    (flying, "flying"), (doubt, "doubt"), (repeat, "waiting"), (waiting, "waiting"), (diagnosis, "diagnosis"), (probe_wait, "probe_wait"),
    (probing, "probing"), (asked_about_doubt, "asking"), (asked_about_failure, "asking"), (asked_about_owed, "asking"),
    (asked_about_repeat, "asking"), (owed, "owed"), (looked_for, "owed"),
]  # fmt: skip
IN_DOUBT = (doubt, repeat, probe_wait, probing, asked_about_doubt)


def land(story: Story) -> None:
    """What is under way comes back with nothing that counts."""
    if story.phases["a"] == "flying":
        story.lose("a")
    elif story.phases["a"] == "probing" or (story.run.pending and story.run.pending["a"].looking is not None):
        story.probed("a", "cannot_tell")


@pytest.mark.parametrize(("begun", "phase"), PHASES, ids=[begun.__name__ for begun, _ in PHASES])
def test_a_delivered_result_is_the_result_in_whatever_phase_it_comes(begun: Callable[[], Story], phase: str) -> None:
    """Nothing is made again, nobody is asked any more, and the step is done by it once its own call has come back."""
    story = begun()
    assert story.phases["a"] == phase
    calls = len(story.keys)
    story.deliver("a", 5)
    land(story)
    assert story.decide().commands == ()
    assert (story.phases["a"], story["a"].settled_by) == DONE
    assert (story.ended, story.run.result, story.open) == ("completed", {"a": 5}, [])
    assert len(story.keys) == calls


@pytest.mark.parametrize(("begun", "phase"), PHASES, ids=[begun.__name__ for begun, _ in PHASES])
def test_a_second_delivery_changes_nothing(begun: Callable[[], Story], phase: str) -> None:
    """Neither in the same batch, nor later; what came first counts."""
    story = begun()
    before = story.deliver("a", 5).run
    story.deliver("a", 6).deliver("a", failure=NO)
    assert (story.run.steps, story.run.pending, story.run.interrupts) == (before.steps, before.pending, before.interrupts)
    land(story)
    story.decide()
    assert story.run.result == {"a": 5}


@pytest.mark.parametrize("end", ["done", "skipped"])
def test_a_delivery_to_a_step_that_has_ended_changes_nothing(end: str) -> None:
    """It came too late."""
    story = Story([step("a", on_failure="skip"), step("b", "u")], KEYED, tool("u"))
    story.decide()
    _ = story.succeed("a", 1) if end == "done" else story.fail("a", "denied")
    story.decide()
    before = story["a"]
    story.deliver("a", 5).deliver("a", failure=NO).decide()
    assert story["a"] == before
    assert before.phase == end


@pytest.mark.parametrize(("begun", "phase"), PHASES, ids=[begun.__name__ for begun, _ in PHASES])
def test_a_delivered_failure_settles_what_was_open(begun: Callable[[], Story], phase: str) -> None:
    """A doubt, or what is owed: it was not done, for certain. Where the call itself has failed, or may be made again, the step
    goes its way: its retry, or the person who is asked, decides."""
    story = begun()
    story.deliver("a", failure=NO)
    land(story)
    story.decide()
    if begun in (waiting, diagnosis, asked_about_failure, asked_about_repeat):
        assert (story.phases["a"], len(story.keys)) == (begun().phases["a"] if begun is not diagnosis else "failed", 1)
        assert bool(story.open) is (phase == "asking")
        assert len(story.events(e.Asked)) == len(begun().events(e.Asked)), "nothing is asked anew"
    else:
        assert (story.ended, story.phases["a"], story.run.unknown) == ("failed", "failed", ())
        assert "sold out" in story.run.reason
        assert story.run.pending == {}


def test_a_failure_of_the_attempt_before_says_nothing_of_the_next() -> None:
    """It was delivered before the retry went out; the retry is lost, and may have happened."""
    story = waiting().deliver("a", failure=NO)
    assert story.called(after=1) == ["a"]
    story.lose("a").decide()
    assert story["a"].doubt_since is not None
    assert story.rows() == ["keyed-alive"]


@pytest.mark.parametrize("outcome", ["ok", "failed", "unknown", "deferred", "part"])
@pytest.mark.parametrize("crash", [True, False])
def test_a_result_that_is_delivered_before_the_call_has_come_back_is_kept_for_it(outcome: str, crash: bool) -> None:
    """Over a crash too. Where the call brings a result of its own, that is the result."""
    story = flying().deliver("a", "early")
    assert story.decide().commands == ()
    assert story.phases["a"] == "flying"
    if crash:
        story.crash()
    else:
        outcomes: dict[str, Callable[[], Story]] = {
            "ok": lambda: story.succeed("a", "own"), "failed": lambda: story.fail("a"), "unknown": lambda: story.lose("a"),
            "deferred": lambda: story.defer("a"), "part": lambda: story.part("a", "own"),
        }  # fmt: skip
        outcomes[outcome]()
    story.decide()
    assert story.ended == "completed"
    assert story["a"].value == ("own" if outcome == "ok" and not crash else "early")
    assert len(story.keys) == 1
    assert (story["a"].left, story.run.pending) == ((), {})


@pytest.mark.parametrize("stop", ["cancel", "failure"])
@pytest.mark.parametrize("begun", [owed, waiting, repeat])
def test_what_is_delivered_while_a_run_stops_is_known(stop: str, begun: Callable[[], Story]) -> None:
    """It is not called unknown."""
    story = begun()
    if stop == "cancel":
        story.deliver("a", 5).cancel().decide()
    else:
        story.deliver("a", failure=NO).cancel().decide()
    assert story.ended == "cancelled"
    assert story.run.unknown == ()


def test_a_delivery_for_another_key_is_for_nobody() -> None:
    """Of a call that was replaced."""
    story = Story([step("a", fallbacks=(Fallback(tool="u"),))], KEYED, tool("u", "keyed"))
    story.decide()
    story.fail("a", "denied").decide()
    story.deliver("a", 5, key=story.keys[0]).decide()
    assert (story.phases["a"], story["a"].callback) == ("flying", None)
    assert story.deliver("a", 6).lose("a").decide().commands == ()
    assert story.run.result == {"a": 6}


def test_the_first_call_of_an_intended_repeat_may_still_deliver_until_the_second_is_made() -> None:
    """Then it is not made; after that the first is over."""
    contract = tool("t", "keyed", at_deadline="repeat")
    story = Story([step("a")], contract)
    story.decide()
    story.defer("a", until=T0 + 9).decide()
    assert story.called(after=9, full=["t"]) == []
    story.deliver("a", "late").decide()
    assert (story.run.result, len(story.keys)) == ({"a": "late"}, 1)
    story = Story([step("a")], contract)
    story.decide()
    story.defer("a", until=T0 + 9).decide()
    assert story.called(after=9) == ["a"]
    story.deliver("a", "too late", key=story.keys[0]).succeed("a", "again").decide()
    assert story.run.result == {"a": "again"}


@pytest.mark.parametrize("about", ["rest", "sight"])
def test_what_is_delivered_of_a_step_that_is_done_settles_what_it_owes(about: str) -> None:
    """The rest of a part puts the whole in its place; that something is seen changes no result. An open question is closed."""
    contract = tool("t", "keyed", probe=about == "sight", visible_within_seconds=9.0 if about == "sight" else None)
    for asked in (False, True):
        story = Story([step("a")], contract)
        story.decide()
        _ = story.part("a", "flight", until=T0 + 9) if about == "rest" else story.succeed("a", "flight")
        story.decide()
        if asked:
            story.decide(after=9)
            if about == "sight":
                story.probed("a", "not_yet").decide()
            assert story.open
        story.deliver("a", "whole").decide()
        assert (story.ended, story.open, story.run.partial) == ("completed", [], ())
        assert story["a"].value == ("whole" if about == "rest" else "flight")


def test_the_other_side_says_that_the_rest_will_not_come() -> None:
    """What was done is kept, and flagged."""
    story = story_of().part("a", "flight", left=("seat",))
    story.decide()
    story.deliver("a", failure=NO).decide()
    assert (story.ended, story.run.flagged, story.run.partial, story["a"].value) == ("completed", ("a",), ("a",), "flight")


# --- signals ------------------------------------------------------------------------------------------------------


def test_a_signal_settles_what_waits_for_its_name() -> None:
    """The step's, where the call named none; another word is kept for later."""
    story = story_of().defer("a")
    story.decide()
    story.signal("b", 1).decide()
    assert story.phases["a"] == "owed"
    story.signal("a", 2).decide()
    assert (story.run.result, story["a"].settled_by, set(story.run.signals)) == ({"a": 2}, "signal", {"b"})


def test_a_signal_that_came_early_is_heard_when_something_waits_for_it() -> None:
    """Once: the next that waits for the name waits for a word of its own."""
    steps = [step("a"), step("b", args={"n": 2}, after=("a",))]
    story = Story(steps, KEYED)
    story.signal("paid", 1)
    story.decide()
    assert story.defer("a", signal="paid").called() == ["b"]
    assert story.run.signals == {}
    story.defer("b", signal="paid").decide()
    assert story.phases == {"a": "done", "b": "owed"}
    story.signal("paid", 2).decide()
    assert story.run.result == {"a": 1, "b": 2}


def test_two_that_wait_for_one_name_are_settled_one_after_the_other() -> None:
    """Each by a word of its own, in the order in which they began to wait."""
    story = Story([step("a"), step("b", args={"n": 2})], KEYED)
    story.decide()
    story.defer("b", signal="paid").defer("a", signal="paid").decide()
    story.signal("paid", 1).signal("paid", 2).decide()
    assert story.run.result == {"a": 2, "b": 1}


def test_a_signal_for_what_was_delivered_meanwhile_is_kept() -> None:
    """What came first counts."""
    story = owed().deliver("a", 5).signal("a", 6)
    story.decide()
    assert (story.run.result, set(story.run.signals)) == ({"a": 5}, {"a"})


def test_an_early_word_does_not_outdo_an_early_result() -> None:
    """Both lay there when the call came back; the word stays for whoever waits for it."""
    story = flying().signal("a", "word").deliver("a", "result").defer("a")
    story.decide()
    assert (story.run.result, set(story.run.signals)) == ({"a": "result"}, {"a"})


# --- runs that steps start ----------------------------------------------------------------------------------------

RESEARCH = tool("research", "keyed", agent="research")


def parent(**fields: Any) -> Story:
    """A run that waits for one that it started."""
    fields = {"args": {"goal": "find out"}, **fields}
    story = Story([step("a", "research", **fields)], RESEARCH, tool("u"))
    story.decide()
    return story


def test_a_run_that_was_started_is_waited_for_and_nobody_looks() -> None:
    """Its end is told; the deadline holds all the same."""
    story = parent().defer("a", handle="r1.a", until=T0 + 1000)
    decision = story.decide()
    assert (decision.commands, decision.wake_at) == ((), T0 + 1000)
    assert story.run.pending["a"].child == "r1.a"
    story.child("a", result=7, attempts=3).decide()
    assert (story.run.result, story["a"].settled_by, story.run.attempts) == ({"a": 7}, "child", 4)


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_run_that_did_not_reach_its_goal_is_a_failure_of_its_step(early: bool, status: Any) -> None:
    """It is not started again; a fallback may take over."""
    story = parent(fallbacks=(Fallback(tool="u", args={}),))
    if early:
        story.child("a", status, reason="no money").lose("a")
    else:
        story.defer("a", handle="r1.a").child("a", status, reason="no money")
    story.decide()
    assert (story["a"].tool, story["a"].phase) == ("u", "flying")
    assert f"the run r1.a is {status}: no money" in story.events(e.FallbackRuled)[0].reason


@pytest.mark.parametrize("how", ["deferred", "lost", "crashed"])
def test_a_run_that_ends_before_its_step_knows_that_it_began_is_heard(how: str) -> None:
    """The child is faster than its parent, or the parent died in between."""
    story = parent().child("a", result=7, attempts=2)
    outcomes: dict[str, Callable[[], Story]] = {
        "deferred": lambda: story.defer("a", handle="r1.a"), "lost": lambda: story.lose("a"), "crashed": story.crash,
    }  # fmt: skip
    outcomes[how]()
    story.decide()
    assert (story.run.result, story.run.attempts, len(story.keys)) == ({"a": 7}, 3, 1)


def test_the_end_of_a_run_that_is_waited_for_no_more_is_only_counted() -> None:
    """Another was started in its place; the old one's result is not the new one's."""
    contract = tool("research", "keyed", agent="research", at_deadline="repeat")
    story = Story([step("a", "research")], contract)
    story.decide()
    story.defer("a", handle="r1.a", until=T0 + 9).decide()
    assert story.called(after=9) == ["a"]
    story.child("a", result="old", child="r1.a", attempts=2)
    assert story["a"].callback is None
    story.defer("a", handle="r1.a.2").decide()
    story.child("a", result="old", child="r1.a").decide()
    assert story.phases["a"] == "owed"
    story.child("a", result="new").decide()
    assert (story.run.result, story.run.attempts) == ({"a": "new"}, 4)


def test_a_run_may_use_a_part_of_what_its_parent_may() -> None:
    """Half of the calls that are left, where its step names no number; never more than are left, whoever asks."""
    steps = [
        step("a", "research"),
        step("b", "research", args={"limits": {"attempts": 10}}),
        step("c", "research", args={"limits": {"attempts": 10_000}}),
    ]
    story = Story(steps, RESEARCH, limits=Limits(attempts_max=100))
    calls = {call.step: call for call in story.decide().commands if isinstance(call, CallTool)}
    granted = {name: call.limits.attempts_max for name, call in calls.items() if call.limits is not None}
    assert granted == {"a": 50, "b": 10, "c": 100 - 50 - 10 - 3}
    assert [entry.granted for entry in story.events(e.CallIntended)] == [call.limits for call in calls.values()]


def test_calls_of_a_run_and_of_those_that_it_started_are_within_its_limit() -> None:
    """What they may still use is not there for the parent; what they did not use is there again when they have ended."""
    steps = [step("a", "research", args={"limits": {"attempts": 3}}), step("b", "u"), step("c", "u", args={"n": 2})]
    story = Story(steps, RESEARCH, tool("u"), limits=Limits(attempts_max=5))
    assert story.called() == ["a", "b"], "1 + 1, and 3 that are promised"
    story.defer("a", handle="r1.a").succeed("b")
    assert story.called() == []
    assert (story.phases["c"], story.ended) == ("ready", "")
    assert story.child("a", attempts=1).called() == ["c"]
    story.succeed("c").decide()
    assert (story.ended, story.run.attempts) == ("completed", 4)


def test_what_a_run_that_failed_did_not_use_is_there_for_others() -> None:
    """At once, and not only when it is known what becomes of its step."""
    steps = [
        step("a", "research", args={"limits": {"attempts": 3}}, on_failure="ask"),
        step("b", "u"),
        step("c", "u", args={"n": 2}),
    ]
    story = Story(steps, RESEARCH, tool("u"), limits=Limits(attempts_max=5))
    story.decide()
    story.defer("a", handle="r1.a").succeed("b").decide()
    assert story.child("a", "failed", attempts=1).called() == ["c"]
    assert story.asked.step == "a"


def test_a_limit_that_started_runs_have_used_up_stops_their_parent() -> None:
    """As its own calls would have."""
    steps = [step("a", "research"), step("b", "u", after=("a",))]
    story = Story(steps, RESEARCH, tool("u"), limits=Limits(attempts_max=3))
    story.decide()
    story.defer("a", handle="r1.a").child("a", attempts=2).decide()
    assert story.ended == "failed"
    assert "attempts_max of 3" in story.run.reason


def test_a_start_that_is_tried_again_is_one_run_with_as_much_to_use() -> None:
    """What was promised to it the first time is its own."""
    story = Story([step("a", "research")], RESEARCH, limits=Limits(attempts_max=100, children_max=1))
    story.decide()
    first = story["a"].granted
    story.fail("a").decide()
    (call,) = story.decide(after=1).commands
    assert isinstance(call, CallTool) and call.limits is not None
    assert (story.run.children, first, call.limits.attempts_max) == (1, 50, 49)


def test_runs_that_may_be_started_are_bounded() -> None:
    """children_max, over the whole run."""
    story = Story([step("a", "research"), step("b", "research", args={"goal": "2"})], RESEARCH, limits=Limits(children_max=1))
    assert story.called() == ["a"]
    story.defer("a", handle="r1.a").child("a").decide()
    assert story.ended == "failed"
    assert "children_max" in story.run.reason


def test_a_plan_reads_what_a_run_found() -> None:
    """By its step, like any other result."""
    story = Story([step("a", "research"), step("b", "u", args={"x": ref("steps.a.answer")})], RESEARCH, tool("u"))
    story.decide()
    story.defer("a", handle="r1.a").child("a", result={"answer": 42})
    assert story.called() == ["b"]
    assert story["b"].args == {"x": 42}
