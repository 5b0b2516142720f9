"""Calls that are not made, or not yet: the same call elsewhere, tools that are held back, what failed before or is used up."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core import events as e
from holdfast.core.commands import once_name
from holdfast.core.contract import Retry
from holdfast.core.decide import Room
from holdfast.core.limits import Limits
from holdfast.core.plan import Fallback
from tests.core.story import T0, Story, ref, step, tool, weaker

READ = tool("t", "read")
KEYED = tool("t", "keyed")
FINAL = tool("t", "irreversible")


# --- the same call in another run of the store --------------------------------------------------------------------

STORE = tool("mail", "keyed", business_key=("to",), business_scope="store")


def taken(name: str, holder: str = "r0") -> Room:
    """Another run has the place of a call."""
    return Room(free={name: 0}, holders={name: holder})


def test_a_call_that_another_run_has_under_way_is_not_made() -> None:
    """It is said whose it is, and the run goes on without it; the other's result is the other's."""
    steps = [step("a", "mail", args={"to": "x"}), step("b", "mail", args={"to": "y"}), step("c", "t", args={"n": ref("steps.a")})]
    story = Story(steps, STORE, READ)
    once = once_name(STORE, {"to": "x"})
    assert once is not None and once.startswith("once:")
    assert story.called(room=taken(once)) == ["b"]
    (suppressed,) = story.events(e.FollowUpSuppressed)
    assert (suppressed.step, suppressed.same_as, suppressed.run_id) == ("a", "", "r0")
    assert "under way in the run r0" in story["a"].reason
    story.succeed("b").decide()
    assert (story.ended, story.run.skipped) == ("completed", ("a", "c"))


def test_a_key_of_a_store_is_the_same_in_every_run() -> None:
    """So the other side knows the repeat too; that of a run is its own."""
    keys = []
    for run_id in ("r1", "r2"):
        for contract in (STORE, weaker(STORE, business_scope="run")):
            story = Story([step("a", "mail", args={"to": "x"})], contract, start={"run_id": run_id})
            story.decide()
            keys.append(story.keys[0])
    assert keys[0] == keys[2]
    assert len(set(keys)) == 3


def test_a_call_in_doubt_is_repeated_though_its_place_is_taken() -> None:
    """It may have happened: it must be settled, whoever else began meanwhile."""
    story = Story([step("a", "mail", args={"to": "x"})], STORE)
    story.decide()
    once = once_name(STORE, {"to": "x"})
    assert once is not None
    assert story.crash().called(room=taken(once)) == ["a"]


# --- tools that may not be called now -----------------------------------------------------------------------------


def held(seconds: float, why: Any = "rate", called: str = "t", now: float = T0) -> Room:
    """A tool that may not be called for so long."""
    return Room(held={called: (now + seconds, why)})


@pytest.mark.parametrize("why", ["rate", "circuit"])
def test_a_call_that_may_not_be_made_now_waits_for_its_time(why: Any) -> None:
    """With its reason; one step of the run stands in line for the tool, the others begin when it does."""
    story = Story([step("a"), step("b", args={"n": 2}), step("c", "u")], READ, tool("u"))
    room = held(30, why)
    assert story.called(room=room) == ["c"]
    assert story.events(e.CallHeld) == [e.CallHeld(step="a", tool="t", why=why, until=T0 + 30)]
    assert story.phases == {"a": "waiting", "b": "ready", "c": "flying"}
    assert story.last is not None and story.last.wake_at == T0 + 30
    assert story.called(after=29) == []
    assert story.called(after=1) == ["a", "b"]
    assert story["a"].attempt == 1, "nothing was tried meanwhile"
    assert story["a"].held_since is None


def test_a_time_to_come_back_that_is_over_is_not_asked_again_at_once() -> None:
    """The clocks of two workers differ; the run must come to rest all the same."""
    story = Story([step("a")], READ)
    decision = story.decide(room=held(-5))
    assert decision.wake_at is not None and decision.wake_at > T0


def test_a_call_that_is_held_back_for_too_long_counts_as_failed() -> None:
    """hold_seconds in all, over every time that it was put off; then the step says what follows."""
    story = Story([step("a", on_failure="flag")], READ, limits=Limits(hold_seconds=100))
    story.decide(room=held(60))
    story.decide(after=60, room=held(60, now=T0 + 60))
    assert story.phases["a"] == "waiting"
    story.decide(after=60, room=held(60, now=T0 + 120))
    assert (story.ended, story.run.flagged) == ("completed", ("a",))
    assert "its rate is used up, and it was held back for 100 s" in story["a"].reason
    assert story.keys == []


def test_a_call_in_doubt_is_held_back_for_as_long_as_it_takes() -> None:
    """It is not given up over what may have happened."""
    story = Story([step("a")], KEYED, limits=Limits(hold_seconds=100))
    story.decide()
    story.crash().decide(room=held(200))
    story.decide(after=200, room=held(200, now=T0 + 200))
    assert story.phases["a"] == "waiting"
    assert story.called(after=200) == ["a"]
    assert len(set(story.keys)) == 1


def test_an_open_circuit_is_gone_around_where_there_is_a_way() -> None:
    """A fallback at once, at every step; a rate is waited for, for it passes."""
    steps = [step("a", fallbacks=(Fallback(tool="u"),)), step("b", fallbacks=(Fallback(tool="u"),), args={"n": 2})]
    story = Story(steps, READ, tool("u"))
    assert story.called(room=held(30, "circuit")) == ["a", "b"]
    assert [ruled.reason for ruled in story.events(e.FallbackRuled)] == ["the circuit of t is open"] * 2
    assert {story["a"].tool, story["b"].tool} == {"u"}
    waits = Story(steps, READ, tool("u"))
    assert waits.called(room=held(30, "rate")) == []


def test_an_open_circuit_gives_way_to_an_alternative() -> None:
    """Another step is there for it."""
    story = Story([step("a"), step("b", "u", alternative_to="a")], READ, tool("u"))
    assert story.called(room=held(30, "circuit")) == ["b"]
    assert story.phases["a"] == "skipped"


def test_a_chain_of_open_circuits_is_walked_to_its_end_and_waited_for_there() -> None:
    """The last way is the one that is waited for."""
    story = Story([step("a", fallbacks=(Fallback(tool="u"), Fallback(tool="v")))], READ, tool("u"), tool("v"))
    room = Room(held=dict.fromkeys(("t", "u", "v"), (T0 + 30, "circuit")))
    assert story.called(room=room) == []
    assert (story.phases["a"], story["a"].tool) == ("waiting", "v")


# --- the same call, which failed ----------------------------------------------------------------------------------


def failed_once(kind: Any = "conflict", **second: Any) -> Story:
    """A call that failed for good, another that changes the world, and the first call once more."""
    steps = [
        step("a", args={"n": 1}, on_failure="skip"),
        step("between", "u", on_failure="skip", after=("a",)),
        step("b", **{"args": {"n": 1}, "after": ("between",), "on_failure": "skip", **second}),
    ]
    story = Story(steps, READ, tool("u", "idempotent"), tool("v"))
    story.decide()
    story.fail("a", kind).decide()
    return story


def test_the_same_call_after_the_same_failure_is_refused() -> None:
    """Its failure is the one that it had; nothing is sent, and nothing is retried."""
    story = failed_once().fail("between", "denied")
    assert story.called() == []
    (refused,) = story.events(e.CallRefused)
    assert (refused.step, refused.same_as, refused.failure.kind) == ("b", "a", "conflict")
    assert "the same call failed in step a, and nothing has changed since" in story["b"].reason
    assert (story.ended, story.run.skipped, len(story.keys)) == ("completed", ("a", "between", "b"), 2)


@pytest.mark.parametrize(
    ("kind", "refused"),
    [("conflict", False), ("not_found", False), ("insufficient", False), ("denied", True), ("invalid_input", True)],
)
def test_a_refusal_is_lifted_when_the_world_was_changed(kind: Any, refused: bool) -> None:
    """What lay in the arguments lies there still."""
    story = failed_once(kind).succeed("between")
    assert story.called() == ([] if refused else ["b"])


@pytest.mark.parametrize(
    "second",
    [{"args": {"n": 2}}, {"called": "v"}, {"occurrence": 2}],
    ids=["other arguments", "another tool", "an intended repeat"],
)
def test_another_call_is_not_refused(second: dict[str, Any]) -> None:
    """Only the very same is."""
    assert failed_once(**second).fail("between", "denied").called() == ["b"]


def test_a_failure_that_passes_forbids_nothing() -> None:
    """The service was down; it may be up again."""
    story = Story([step("a", on_failure="skip"), step("b", after=("a",))], tool("t", "read", retry=Retry(attempts_max=1)))
    story.decide()
    assert story.fail("a", "transient").called() == ["b"]


def test_a_refused_call_has_fallbacks_like_one_that_failed() -> None:
    """What it falls back to is refused too where it failed."""
    story = failed_once(fallbacks=(Fallback(tool="v"),)).fail("between", "denied")
    assert story.called() == ["b"]
    assert story["b"].tool == "v"


def test_how_a_call_failed_is_remembered_when_its_step_went_another_way() -> None:
    """A fallback of the first step was done; what the first call failed of is what counts for the second."""
    steps = [step("a", fallbacks=(Fallback(tool="u"),)), step("b", after=("a",), on_failure="skip")]
    story = Story(steps, READ, tool("u", "idempotent"))
    story.decide()
    story.fail("a", "conflict").decide()
    assert story.succeed("a").called() == ["b"], "the fallback changed the world, and a conflict may be over"


def test_a_person_may_insist() -> None:
    """They know what went wrong."""
    story = failed_once(on_failure="ask").fail("between", "denied")
    story.decide()
    assert story.asked.about == "failure"
    assert story.answer("approve").called() == ["b"]


# --- what calls change beside -------------------------------------------------------------------------------------

COSTLY = tool("costly", "idempotent", changes=("credit",))


def used(story: Story, name: str, amount: float) -> Story:
    """A call comes back and says what else it changed."""
    change = e.Change(name="credit", amount=amount)
    return story.tell(e.CallSucceeded(step=name, attempt=story[name].attempt, changes=(change,)))


def test_what_calls_change_beside_is_counted_and_bounded() -> None:
    """A tool that says that it changes it is not called any more when it is used up; others are."""
    steps = [step("a", "costly"), step("b", "costly", args={"n": 2}, after=("a",), on_failure="skip"), step("c", after=("b",))]
    story = Story(steps, COSTLY, READ, limits=Limits(changes={"credit": 5.0}))
    story.decide()
    assert used(story, "a", 5.0).called() == ["c"]
    assert story.run.changes == {"credit": 5.0}
    assert "the run may change credit by 5 in all, and has" in story["b"].reason
    assert story.events(e.CallRefused)[0].failure.kind == "too_expensive"


def test_what_is_changed_beyond_its_bound_stops_the_run() -> None:
    """It was not known before; nothing more begins. Failures and deferred calls may have used it up too."""
    for outcome in (e.CallFailed, e.CallPartial, e.CallDeferred):
        story = Story(
            [step("a", "costly", on_failure="skip"), step("b", after=("a",))],
            COSTLY,
            READ,
            limits=Limits(changes={"credit": 5.0}),
        )
        story.decide()
        given: dict[str, Any] = {"failure": e.Failure(kind="denied")} if outcome is e.CallFailed else {}
        story.tell(
            outcome(step="a", attempt=1, changes=(e.Change(name="credit", amount=3), e.Change(name="credit", amount=3)), **given)
        )
        assert story.called() == []
        assert story.ended == "failed"
        assert "changes.credit of 5" in story.run.reason


def test_a_refused_costly_call_falls_back() -> None:
    """To what costs less."""
    steps = [step("a", "costly"), step("b", "costly", args={"n": 2}, after=("a",), fallbacks=(Fallback(tool="t"),))]
    story = Story(steps, COSTLY, READ, limits=Limits(changes={"credit": 5.0}))
    story.decide()
    assert used(story, "a", 5.0).called() == ["b"]
    assert story["b"].tool == "t"
