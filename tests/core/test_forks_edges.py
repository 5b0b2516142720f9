"""Forks where something had begun: keys that must stay, what the source learned later, who asks what, and forks of forks."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core.forks import SOURCE_ASKS
from holdfast.core.plan import Fallback
from holdfast.core.policy import Policy, Rule
from tests.core.mind import Mind, question, thinking
from tests.core.story import Story, step, tool

PAY = tool("pay", "keyed", key_ttl_seconds=6000.0)
FLY = tool("fly", "keyed", key_ttl_seconds=6000.0, owed_within_seconds=3600.0, callback=True)
PAL = tool("pal", "keyed", key_ttl_seconds=6000.0)
BOOK = tool("book", "reconcilable", settles_within_seconds=5.0)
UNPAY = tool(
    "unpay", "keyed", key_ttl_seconds=6000.0, business_key=("to",), input_schema={"properties": {"to": {"type": "string"}}}
)
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


# --- whose word it takes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["blocked", "live"])
@pytest.mark.parametrize("rules", [None, (), (Rule(name="all", then="always"),), (Rule(name="none", then="never"),)])
def test_what_people_said_in_advance_does_not_answer_for_a_fork(mode: Any, rules: Any) -> None:
    """They said it of runs that were no forks; also where a policy asks by a rule that would have let them."""
    policy = Policy(name="p", rules=rules) if rules is not None else None
    told = Story([step("a", "pay")], PAY)
    told.decide()
    told.succeed("a").decide()
    forked = told.fork(at=3, mode=mode, policy=policy)
    forked.decide()
    assert forked.asked.about == "call" and forked.asked.ruling is not None and not forked.asked.ruling.standing


def test_as_many_people_are_asked_in_a_fork_as_were_before() -> None:
    """A policy that became milder does not let the one of them off, and neither does a fork."""
    two = Policy(name="p", rules=(Rule(name="all", then="always", people=2),))
    told = Story([step("a", "pay")], PAY, start={"policy": two})
    told.decide()
    told.tell(e.PolicyChanged(policy=Policy(name="p", version="2"))).decide()
    for policy in (told.run.policy, None):
        forked = told.fork(policy=policy)
        forked.decide()
        assert told.asked.people == forked.asked.people == 2


@pytest.mark.parametrize("mode", ["blocked", "live"])
def test_an_approval_of_a_plan_is_none_of_what_the_source_did(mode: Any) -> None:
    """They were shown the calls, and not that each of them has been made already."""
    plans = Policy(name="p", rules=(Rule(name="plans", on="plan", then="always"), Rule(name="calls", then="always")))
    told = Story([step("a", "pay"), step("b", "pay", args={"n": 2}, after=("a",))], PAY, start={"policy": plans})
    told.decide()
    assert set(told.asked.calls) == {"a", "b"}
    told.answer("approve").decide()
    told.succeed("a").decide()
    forked = told.fork(at=3, mode=mode)
    forked.decide()
    assert forked.asked.about == "plan" and not forked.asked.calls
    forked.answer("approve").decide()
    assert forked.asked.step == "a" and "made the same call" in forked.asked.question


# --- the same thing by other means ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["blocked", "live"])
def test_what_the_source_did_by_another_tool_is_not_done_unasked(mode: Any) -> None:
    """Its first bank refused, and its second one paid; by now the first one would pay as well."""
    told = Story([step("a", "pay", fallbacks=(Fallback(tool="pal"),))], PAY, PAL)
    told.decide()
    told.fail("a", "invalid_input").decide()
    assert told["a"].tool == "pal"
    told.succeed("a").decide()
    forked = told.fork(at=3, mode=mode)
    assert forked.called() == [] and forked.asked.ruling is not None and forked.asked.ruling.rule == SOURCE_ASKS
    assert "r1, which did this step by pal (its entry 7)" in forked.asked.question


def test_what_the_source_did_by_an_alternative_is_not_done_unasked() -> None:
    """Of a step and those that stand in for it one is done; that holds for the source and its fork together."""
    told = Story([step("a", "pay"), step("b", "pal", alternative_to="a"), step("c", "pay", args={"n": 3})], PAY, PAL)
    told.decide()
    told.succeed("c")
    told.fail("a", "invalid_input").decide()
    told.succeed("b").decide()
    forked = told.fork(at=3, mode="live")
    forked.decide()
    asked = {one.step: one.question for one in forked.run.interrupts.values()}
    assert forked.phases == {"a": "asking", "b": "blocked", "c": "asking"}
    assert "r1, which did b in its place, by pal" in asked["a"] and "made the same call" in asked["c"]


def test_what_the_plan_itself_took_back_is_not_taken_back_again() -> None:
    """Under the key that the source gave it, which is not the one that the fork would give it."""
    steps = [
        step("a", "pay", args={"to": "x"}),
        step("u", "unpay", args={"to": "x"}, after=("a",)),
        step("z", "pal", after=("u",)),
    ]
    told = Story(steps, replace(PAY, undo="unpay"), UNPAY, PAL)
    told.decide()
    told.succeed("a").decide()
    told.succeed("u")
    forked = told.fork(mode="live", on_stop="undo")
    forked.decide()
    forked.fail("z", "invalid_input").decide()
    assert forked.ended == "failed" and [event.same_as for event in forked.events(e.ReuseRuled)] == ["u"]
    assert "undo_a" not in {call.step for call in forked.events(e.CallIntended)}


# --- calls that may have happened -------------------------------------------------------------------------------------


def in_doubt(told: Story) -> Story:
    """A story whose step `a` a person is asked about, because nobody could tell whether it happened."""
    told.decide()
    told.lose("a").decide()
    while not told.open:
        if told["a"].phase == "probing":
            told.probed("a", "cannot_tell")
        told.decide(after=60.0)
    return told


@pytest.mark.parametrize("mode", ["blocked", "live"])
def test_a_call_that_a_person_told_the_source_to_make_again_keeps_its_key(mode: Any) -> None:
    """Their "it did not happen" may be wrong, and the fork cannot know better."""
    told = in_doubt(Story([step("a", "book")], BOOK))
    told.answer("approve")
    for source in (told, told.fork(mode=mode)):
        forked = source.fork(mode=mode, run_id="f2")
        forked.decide()
        if mode == "blocked":
            forked.answer("approve").decide()
        assert forked.keys == [told.keys[0]] * 2


def test_a_call_that_is_edited_in_a_fork_has_a_key_of_the_fork() -> None:
    """Whoever edits it means another call."""
    told = in_doubt(Story([step("a", "book", args={"n": 1})], BOOK))
    told.answer("approve")
    edited = told.fork()
    edited.decide()
    edited.answer("edit", {"n": 2}).decide()
    assert edited.keys[-1] != told.keys[0] and len(edited.keys) == 2


def test_a_call_whose_answer_could_not_be_used_is_repeated_under_its_key() -> None:
    """As the source would have: the other side leaves it at once."""
    told = Story([step("a", "same")], tool("same", "idempotent"))
    told.decide()
    told.fail("a", "invalid_output", landed=True).decide()
    forked = told.fork(mode="live")
    assert forked.called(after=60.0) == ["a"] and forked.keys == [told.keys[0]] * 2


def test_a_repeat_of_which_the_source_learned_is_settled() -> None:
    """It waited to be made again, and was, under the same key: it is the same call."""
    told = Story([step("a", "pay")], PAY)
    told.decide()
    told.lose("a").decide()
    at = len(told.entries)
    assert told["a"].phase == "waiting"
    assert told.called(after=60.0) == ["a"]
    told.succeed("a", 5).decide()
    forked = told.fork(at=at)
    forked.decide()
    assert forked.ended == "completed" and forked["a"].value == 5 and len(forked.keys) == 1
