"""Forks where something had begun: keys that must stay, what the source learned later, who asks what, and forks of forks."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast.core import events as e
from tests.core.mind import Mind, question, thinking
from tests.core.story import Story, step, tool

PAY = tool("pay", "keyed", key_ttl_seconds=6000.0)
FLY = tool("fly", "keyed", key_ttl_seconds=6000.0, owed_within_seconds=3600.0, callback=True)
ONCE = tool("once", "keyed", key_ttl_seconds=6000.0, business_key=("to",), business_scope="store")


def test_a_doubted_call_that_a_person_wants_made_goes_out_under_the_key_of_the_source() -> None:
    """Their "it did not happen" may be wrong: under another key the other side would do it twice."""
    told = Story([step("a", "pay")], PAY)
    told.decide()
    forked = told.fork()
    forked.decide()
    assert "r1 had begun it" in forked.asked.question and "under the same key" in forked.asked.question
    forked.answer("approve")
    assert forked.called() == ["a"] and forked.keys == [told.keys[0]] * 2


def test_a_call_that_had_its_effect_goes_out_under_the_key_of_the_source() -> None:
    """Its answer could not be used, and a person said to try again; an edited call is another one, under a key of the fork."""
    told = Story([step("a", "pay", args={"n": 1}, on_failure="ask")], PAY)
    told.decide()
    told.fail("a", "invalid_output", landed=True).decide()
    same, other = told.fork(), told.fork()
    for forked, answer in ((same, ("approve", None)), (other, ("edit", {"n": 2}))):
        forked.decide()
        forked.answer(*answer).decide()
        if forked.open:
            forked.answer("approve").decide()
    assert same.keys == [told.keys[0]] * 2
    assert other.keys[-1] != told.keys[0]


def test_the_rest_of_a_part_that_was_delivered_to_the_source_is_delivered() -> None:
    """Or the fork would wait for it until its deadline, and then ask for it, or have it made again."""
    told = Story([step("a", "fly"), step("b", "pay", after=("a",))], FLY, PAY)
    told.decide()
    told.part("a", {"flight": 1}, left=("seat",), until=told.now + 3600).decide()
    at = len(told.entries)
    told.deliver("a", {"flight": 1, "seat": "2A"}).decide()
    forked = told.fork(at=at)
    forked.decide()
    assert not forked.run.pending and forked["a"].value == {"flight": 1, "seat": "2A"}


def test_a_rest_that_never_came_is_owed_to_the_fork_too() -> None:
    """Nobody knows better."""
    told = Story([step("a", "fly")], FLY)
    told.decide()
    told.part("a", {"flight": 1}, left=("seat",), until=told.now + 3600).decide()
    forked = told.fork()
    forked.decide()
    assert set(forked.run.pending) == {"a"}


def test_a_fork_of_a_fork_knows_what_the_first_source_did() -> None:
    """It is asked about as well, and named."""
    steps = [step("a", "pay", args={"n": 1}), step("b", "pay", args={"n": 2}, after=("a",))]
    told = Story(steps, PAY)
    told.decide()
    told.succeed("a").decide()
    told.succeed("b").decide()
    first = told.fork(at=3, mode="live")
    first.decide()
    first.answer("approve").decide()
    first.succeed("a").decide()
    assert first.asked.step == "b"
    second = first.fork(mode="live", run_id="f2")
    second.decide()
    assert second.asked.step == "b" and "a fork of f1, and r1 made the same call" in second.asked.question


def test_what_is_once_in_a_store_keeps_its_key_in_a_fork() -> None:
    """Its key does not come from the run, so the other side drops it."""
    told = Story([step("a", "once", args={"to": "x"}), step("b", "once", args={"to": "x"}, after=("a",))], ONCE)
    told.decide()
    told.succeed("a")
    done, anew = told.fork(), told.fork(at=3)
    done.decide()
    assert done.ended == "completed" and [event.same_as for event in done.events(e.ReuseRuled)] == ["a"]
    anew.decide()
    anew.answer("approve").decide()
    assert anew.keys == [told.keys[0]]


def test_a_question_of_the_reasoner_is_weighed_anew() -> None:
    """It was withdrawn with all that the source asked; nobody would ever answer it else."""
    told = Mind()
    told.ask()
    told.tell(e.QuestionsProposed(turn=1, questions=(question("who"),))).decide()
    assert told.asked.about == "question"
    forked = told.fork()
    forked.decide()
    assert forked.asked.about == "question" and forked.asked.asks is not None and forked.asked.asks.name == "who"


def test_a_model_that_takes_over_from_a_plan_knows_its_inputs_and_what_was_done() -> None:
    """It may refer to what the run was given, hears of all that ended, and what was done is not done again at its wish."""
    told = Story([step("a", "pay", args={"n": 1})], PAY, inputs={"day": "monday"}, final=False)
    told.decide()
    told.succeed("a")
    forked = told.fork(thinking=thinking())
    assert forked.run.facts["day"].value == "monday" and forked.run.unseen == ("a",)
    forked.tell(e.ProposalRequested(turn=2))
    plan = replace(told.entries[2].event.plan, steps=(step("again", "pay", args={"n": 1}),))  # type: ignore[union-attr]
    forked.tell(e.PlanAdopted(turn=2, revision=2, plan=plan)).decide()
    assert [event.same_as for event in forked.events(e.CallRefused)] == ["a"]
