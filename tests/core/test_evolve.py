"""The fold, event by event. What is *decided* is in `decide/`; here is what events do to the state."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core.evolve import evolve, fold
from holdfast.core.limits import Limits
from holdfast.core.plan import Goal, Plan
from holdfast.core.state import result_of, secret_names, unknown_steps
from tests.core.story import T0, Story, step, tool, weaker

READ, KEYED = tool("t", "read"), tool("t", "keyed")


def test_a_run_begins_with_its_start() -> None:
    """All that the start says is known; nothing else may come first."""
    start = e.RunStarted(
        run_id="r", agent="a", agent_version="2", goal=Goal(text="g", inputs={"x": 1}), contracts=(READ,), tenant="acme", priority=3,
        labels={"k": "v"}, limits=Limits(parallel_max=2), secrets=("pin",),
    )  # fmt: skip
    state = evolve(None, e.Entry(1, T0, 1, start))
    assert (state.run_id, state.agent, state.agent_version, state.goal.inputs) == ("r", "a", "2", {"x": 1})
    assert (state.tenant, state.priority, state.labels, state.limits.parallel_max) == ("acme", 3, {"k": "v"}, 2)
    assert (state.version, state.fence, state.started_at, state.contracts) == (1, 1, T0, {"t": READ})
    assert {"pin", "password"} <= secret_names(state)
    with pytest.raises(AssertionError, match="begins with its start"):
        evolve(None, e.Entry(1, T0, 1, e.RunResumed(worker="w")))
    with pytest.raises(AssertionError, match="at least its start"):
        fold([])


def test_entries_are_folded_in_order_and_none_is_left_out() -> None:
    """A gap is a bug of whoever reads, and is seen."""
    story = Story([step("a")], READ)
    with pytest.raises(AssertionError, match="entry 9 after 3"):
        evolve(story.run, e.Entry(9, T0, 1, e.RunResumed(worker="w")))


def test_time_does_not_run_backwards_in_the_state() -> None:
    """A later entry with an earlier time leaves the latest time known."""
    story = Story([step("a")], READ)
    story.tell(e.RunResumed(worker="w"), at=T0 - 500)
    assert story.run.at == T0


def test_folding_changes_nothing_that_was_known_before() -> None:
    """States are values: the old one is as it was."""
    story = Story([step("a"), step("b")], READ)
    before = story.run
    kept = (before.ready, before.active, before.steps["a"], before.version)
    story.decide()
    story.succeed("a", 1)
    assert (before.ready, before.active, before.steps["a"], before.version) == kept


def test_a_plan_counts_what_each_step_waits_for() -> None:
    """Reads and `after` together, each once; those that have ended already do not count."""
    story = Story([step("a")], READ, final=False)
    story.decide()
    story.succeed("a", 1).decide()
    more = (
        step("b", args={"x": {"$ref": "steps.a"}}),
        step("c", args={"x": {"$ref": "steps.a"}, "y": {"$ref": "steps.b"}}, after=("b", "a")),
        step("d", after=("b", "c")),
    )
    story.tell(e.PlanAdopted(turn=2, revision=2, plan=Plan(steps=more)))
    assert {name: (story[name].phase, story[name].missing) for name in "bcd"} == {
        "b": ("ready", 0),
        "c": ("blocked", 1),
        "d": ("blocked", 2),
    }
    assert story.run.order == ("a", "b", "c", "d")
    assert story.run.open_steps == 3
    assert story["c"].reads == ("a", "b")


def test_steps_become_ready_in_the_order_in_which_they_were_freed() -> None:
    """First come, first served."""
    story = Story([step("a"), step("b"), step("x", after=("a",)), step("y", after=("b",))], READ)
    story.decide()
    story.succeed("b").succeed("a")
    assert story.run.ready == ("y", "x")


def test_a_call_keeps_its_first_time_and_its_key_over_attempts() -> None:
    """The life of the key counts from there; a new key counts anew."""
    story = Story([step("a")], KEYED)
    story.decide()
    story.fail("a").decide()
    story.decide(after=50)
    first = story["a"]
    assert (first.first_sent_at, first.attempt, first.tries) == (T0, 2, 2)
    other = e.CallIntended(step="a", attempt=3, tool="t", key="another", args={})
    story.fail("a").tell(other)
    assert (story["a"].first_sent_at, story["a"].attempt) == (T0 + 50, 3)


def test_a_doubt_lasts_until_it_is_settled() -> None:
    """It starts with the loss, survives a certain failure after it, and ends with the result."""
    story = Story([step("a")], KEYED)
    story.decide()
    story.lose("a").decide()
    assert (story["a"].doubt_since, story["a"].lost) == (T0, 1)
    story.decide(after=1)
    story.fail("a")
    assert story["a"].doubt_since == T0
    assert unknown_steps(story.run) == ("a",)
    story.decide()
    story.decide(after=60)
    story.succeed("a", 5)
    settled = story["a"]
    assert (settled.doubt_since, settled.phase, result_of(story.run, "a")) == (None, "done", 5)
    assert unknown_steps(story.run) == ()


def test_a_second_loss_starts_the_settle_time_again_and_never_shortens_it() -> None:
    """Any of the lost requests may land."""
    story = Story([step("a")], weaker(KEYED, settles_within_seconds=100.0))
    story.decide()
    story.crash().decide()
    assert story["a"].settle_at == T0 + 100
    story.crash(after=30).decide()
    assert story["a"].settle_at == T0 + 130


def test_a_partial_result_is_kept_with_what_is_left() -> None:
    """By identity."""
    story = Story([step("a")], KEYED)
    story.decide()
    story.tell(e.CallPartial(step="a", attempt=1, value={"x": 1}, left=("y", "z")))
    assert (story["a"].phase, story["a"].value, story["a"].left) == ("done", {"x": 1}, ("y", "z"))


def test_an_answer_to_nothing_changes_nothing() -> None:
    """It is written down as void."""
    story = Story([step("a")], READ)
    before = story.run
    story.tell(e.AnswerVoided(interrupt="a-1", by="ann", reason="late"))
    assert replace(story.run, version=before.version) == before


def test_the_first_cancel_is_the_one_that_counts() -> None:
    """Its name and its reason stand in the end."""
    story = Story([step("a")], READ)
    story.decide()
    story.tell(e.CancelRequested(by="ann", reason="first")).tell(e.CancelRequested(by="bob", reason="second"))
    story.succeed("a").decide()
    assert story.run.reason == "cancelled by ann: first"
