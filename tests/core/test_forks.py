"""Forks: what was done stays done, what was open is settled by the record, and what comes asks."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core.approval import sameness
from holdfast.core.evolve import fold
from holdfast.core.forks import FORK_ASKS, SOURCE_ASKS, simulated
from holdfast.core.limits import Limits
from holdfast.core.policy import Policy, Rule
from tests.core.story import Story, ref, step, tool

LOOK = tool("look", "read")
PAY = tool("pay", "keyed", key_ttl_seconds=600.0)
BOOK = tool("book", "reconcilable", settles_within_seconds=5.0)
MAIL = tool("mail", "keyed", key_ttl_seconds=600.0, business_key=("to",))
WIRE = tool("wire", "irreversible")
CHECK = tool("check", "keyed", key_ttl_seconds=600.0, callback=True, owed_within_seconds=3600.0)


def night(*more: Any) -> Story:
    """A run of three effects, of which the last one failed for good."""
    steps = [
        step("a", "pay", args={"amount": 1}),
        step("b", "pay", args={"of": ref("steps.a.n")}),
        step("c", "pay", after=("b",)),
    ]
    told = Story([*steps, *more], PAY, LOOK, MAIL, BOOK, WIRE, CHECK)
    told.decide()
    told.succeed("a", {"n": 7}).decide()
    told.succeed("b", {"n": 8}).decide()
    told.fail("c", "invalid_input", message="no such account").decide()
    return told


def point(told: Story, event: type[e.Event], number: int = 0) -> int:
    """How many entries come before the n-th event of a kind."""
    return [entry.sequence - 1 for entry in told.entries if isinstance(entry.event, event)][number]


# --- blocked ----------------------------------------------------------------------------------------------------------


def test_effects_before_the_point_are_taken_from_the_record() -> None:
    """Their steps are done, with their results, and are not called again."""
    told = night().fork(at=point(night(), e.CallIntended, 2))
    assert told.phases == {"a": "done", "b": "done", "c": "ready"}
    assert told.decide().commands == ()
    assert told.phases["c"] == "asking"


def test_an_effect_after_the_point_stops_for_permission() -> None:
    """Also of a tool that nobody is asked about otherwise; the question says what the run is."""
    told = night().fork(at=3)
    told.decide()
    assert told.asked.ruling is not None and told.asked.ruling.rule == SOURCE_ASKS
    assert "a fork of r1, which made the same call (its entry 4)" in told.asked.question
    assert [option.decision for option in told.asked.options] == ["approve", "edit", "respond", "reject", "cancel"]


def test_a_new_effect_of_a_fork_is_asked_about_as_one_of_a_fork() -> None:
    """The source did no such thing."""
    told = Story([step("a", "look"), step("b", "pay", after=("a",))], PAY, LOOK)
    told.decide()
    forked = told.fork()
    forked.decide()
    assert forked.succeed("a").decide().commands == ()
    assert forked.asked.ruling is not None and forked.asked.ruling.rule == FORK_ASKS
    assert "made the same call" not in forked.asked.question


def test_what_only_reads_is_called_without_asking() -> None:
    """It changes nothing."""
    told = Story([step("a", "look")], LOOK)
    assert told.fork().called() == ["a"]


def test_an_approved_call_of_a_fork_has_a_key_of_its_own() -> None:
    """The source's key would be taken for the source's call by whoever drops repeats."""
    source = night()
    told = source.fork(at=3)
    told.decide()
    told.answer("approve")
    assert told.called() == ["a"]
    assert told.keys[-1] not in source.keys and told["a"].attempt == 1


def test_the_result_of_the_source_can_be_taken_in_place_of_a_call() -> None:
    """It is a person's word, and the next step goes on with it."""
    told = night().fork(at=3)
    told.decide()
    told.answer("respond", {"n": 7}).decide()
    assert told["a"].value == {"n": 7} and told["a"].settled_by == "person"
    assert told.asked.step == "b" and told.asked.args == {"of": 7}


def test_an_approval_of_the_source_is_not_one_of_the_fork() -> None:
    """It was given for another call, and is used once."""
    told = Story([step("a", "wire")], WIRE)
    told.decide()
    told.answer("approve")
    assert told["a"].approved is not None
    forked = told.fork()
    assert forked["a"].approved is None
    assert forked.called() == [] and forked.asked.step == "a"


def test_a_question_of_the_source_is_asked_anew() -> None:
    """Under a name of the fork's, for the answer belongs to the fork."""
    told = Story([step("a", "wire")], WIRE)
    told.decide()
    forked = told.fork()
    assert forked.open == []
    forked.decide()
    assert forked.open and forked.open != told.open


def test_the_bounds_and_the_clock_begin_anew_and_what_was_spent_counts() -> None:
    """A fork that is made a year later is not over at once."""
    source = night()
    told = source.wait(400 * 86400.0).fork(at=3, limits=Limits(wall_seconds=60.0))
    assert told.run.started_at == told.now and told.run.spent == fold(source.entries[:3]).spent
    told.decide()
    assert told.open and not told.run.ended


def test_a_fork_goes_by_its_own_tools_and_policy() -> None:
    """Without anybody being asked whether weaker promises will do: whoever forks has changed them on purpose."""
    stricter = Policy(name="p", rules=(Rule(name="none", then="block", tools=("pay",)),))
    told = night().fork(at=3, contracts=(replace(PAY, safety="idempotent"), LOOK), policy=stricter)
    told.decide()
    assert told.run.contracts["pay"].safety == "idempotent" and told.run.policy == stricter
    assert told.phases["a"] == "failed"


# --- what was open at the point ---------------------------------------------------------------------------------------


def test_a_call_that_was_under_way_is_settled_by_what_the_source_learned() -> None:
    """It is the source's effect, with the source's outcome; nothing is made again or asked."""
    told = night().fork(at=point(night(), e.CallIntended, 1) + 1)
    assert told["b"].phase == "done" and told["b"].value == {"n": 8}
    assert "b" not in told.called() and told.asked.step == "c"


def test_a_failure_that_the_source_learned_is_one_of_the_fork() -> None:
    """Its effect did not happen, so the fork may try, under its own key."""
    source = night()
    told = source.fork(at=point(source, e.CallIntended, 2) + 1)
    assert told["c"].phase == "diagnosis"


def test_a_call_of_which_the_source_learned_nothing_is_in_doubt() -> None:
    """It may have happened; who forks does not get round the recovery table."""
    told = Story([step("a", "wire")], WIRE)
    told.decide()
    told.answer("approve").decide()
    forked = told.fork()
    assert forked.decide().commands == ()
    assert forked.asked.about == "doubt"


def test_a_doubt_is_looked_into_under_the_key_of_the_source() -> None:
    """Under another one the other side would know of nothing, and it would be done again."""
    told = Story([step("a", "book")], BOOK)
    told.decide()
    forked = told.fork()
    forked.decide()
    assert forked["a"].phase == "probing" and forked["a"].key == told.keys[0]
    forked.probed("a", "happened", {"id": 1}).decide()
    assert forked.ended == "completed" and forked["a"].value == {"id": 1}


def test_a_repeat_of_a_lost_call_asks_too() -> None:
    """Under the same key it is harmless, and still an effect of the fork."""
    told = Story([step("a", "pay")], PAY)
    told.decide()
    forked = told.fork()
    assert forked.called() == [] and forked.asked.about == "doubt"


def test_a_doubt_that_the_source_settled_later_is_settled() -> None:
    """By a probe, after the point."""
    told = Story([step("a", "book"), step("b", "pay", after=("a",))], BOOK, PAY)
    told.decide()
    told.lose("a").decide()
    at = len(told.entries)
    told.probed("a", "happened", {"id": 5}).decide()
    forked = told.fork(at=at)
    forked.decide()
    assert forked["a"].phase == "done" and forked["a"].value == {"id": 5} and forked.asked.step == "b"


def test_what_was_owed_and_came_later_has_come() -> None:
    """A callback goes to the source, for it has the token."""
    told = Story([step("a", "check")], CHECK)
    told.decide()
    told.defer("a").decide()
    at = len(told.entries)
    told.deliver("a", {"ok": True}).decide()
    assert told.ended == "completed"
    forked = told.fork(at=at)
    forked.decide()
    assert forked.ended == "completed" and forked["a"].value == {"ok": True}


def test_an_open_request_to_the_reasoner_is_made_anew() -> None:
    """It changes nothing in the world, and what it would be told may be what the fork is for."""
    told = Story(None, PAY)
    told.decide()
    forked = told.fork()
    assert [type(command).__name__ for command in forked.decide().commands] == ["AskReasoner"]
    assert not forked.events(e.ModelCallLost)


# --- the same thing in another step -----------------------------------------------------------------------------------


def again(*, key: bool = True) -> Story:
    """A plan that mails the same person in two steps."""
    contract = MAIL if key else replace(MAIL, business_key=())
    told = Story([step("a", "mail", args={"to": "ann"}), step("b", "mail", args={"to": "ann"}, after=("a",))], contract)
    told.decide()
    return told.succeed("a", "sent")


def test_what_was_done_under_a_business_key_is_not_done_again_in_another_step() -> None:
    """The keys of a fork are other ones, and what they stand for is the same."""
    forked = again().fork()
    forked.decide()
    assert forked.ended == "completed" and [event.same_as for event in forked.events(e.ReuseRuled)] == ["a"]
    other = again(key=False).fork()
    other.decide()
    assert other.asked.step == "b"


# --- live -------------------------------------------------------------------------------------------------------------


def test_a_live_fork_asks_only_about_what_the_source_did() -> None:
    """Everything else is as its tools and policies say."""
    source = Story([step("a", "pay", args={"n": 1}), step("b", "pay", args={"n": 2})], PAY, limits=Limits(parallel_max=1))
    source.decide()
    source.succeed("a")
    told = source.fork(at=3, mode="live")
    assert told.called() == ["b"]
    assert told.asked.step == "a" and told.asked.ruling is not None and told.asked.ruling.rule == SOURCE_ASKS


def test_a_live_fork_makes_calls_that_failed_in_the_source() -> None:
    """A failure says that nothing happened."""
    source = Story([step("a", "pay", args={"n": 1}, on_failure="flag")], PAY)
    source.decide()
    source.fail("a", "denied").decide()
    assert source.fork(at=3, mode="live").called() == ["a"]


def test_a_step_that_the_source_did_is_asked_about_whatever_its_arguments_are() -> None:
    """Who pays the same person another amount has paid them twice. A failed one was not done."""
    source = Story([step("r", "look"), step("a", "pay", args={"n": ref("steps.r")}, after=("r",))], PAY, LOOK)
    source.decide()
    source.succeed("r", 900).decide()
    source.succeed("a").decide()
    for mode in ("live", "blocked"):
        told = source.fork(at=3, mode=mode)
        told.decide()
        told.succeed("r", 9).decide()
        assert told.asked.args == {"n": 9} and told.asked.ruling is not None and told.asked.ruling.rule == SOURCE_ASKS
        assert "which did this step with other arguments (its entry 6)" in told.asked.question
    failed = Story([step("a", "pay", args={"n": 1}, on_failure="flag")], PAY)
    failed.decide()
    failed.fail("a", "denied").decide()
    assert failed.fork(at=3, mode="live").called() == ["a"]


# --- simulated --------------------------------------------------------------------------------------------------------


def test_a_simulated_call_comes_to_what_it_came_to() -> None:
    """Nothing is asked for it, and nothing is called."""
    source = night()
    told = source.fork(at=3, mode="simulate")
    (command,) = told.decide().commands
    assert simulated(told.run, command) == e.CallSucceeded(step="a", attempt=1, value={"n": 7})  # type: ignore[arg-type]


def test_the_nth_simulated_call_comes_to_what_the_nth_came_to() -> None:
    """A call that failed once and then went well does so again; after the last one, the last one counts."""
    source = Story([step("a", "pay")], PAY)
    source.decide()
    source.fail("a").decide()
    source.decide(after=1.0)
    source.succeed("a", "paid").decide()
    told = source.fork(at=3, mode="simulate")
    (first,) = told.decide().commands
    failed = simulated(told.run, first)  # type: ignore[arg-type]
    assert isinstance(failed, e.CallFailed)
    told.tell(failed).decide()
    (second,) = told.decide(after=2.0).commands
    assert simulated(told.run, second) == e.CallSucceeded(step="a", attempt=2, value="paid")  # type: ignore[arg-type]


def test_another_call_comes_to_what_the_script_says() -> None:
    """By tool and condition, the first that holds and is not used up; a call that nobody knows fails and says so."""
    script = (
        e.Scripted(tool="pay", when="amount > `5`", fails="denied", message="too much"),
        e.Scripted(tool="pay", result="first", times=1),
        e.Scripted(tool="pay", when="amount ==", result="never"),
        e.Scripted(tool="pay", when="amount == `3`", result="third"),
    )
    steps = [step(name, "pay", args={"amount": n}, on_failure="flag") for name, n in (("a", 9), ("b", 1), ("c", 3), ("d", 4))]
    told = Story(steps, PAY).fork(at=3, mode="simulate", script=script)
    commands = {command.step: command for command in told.decide().commands}  # type: ignore[union-attr]
    answers = {name: simulated(told.run, command) for name, command in commands.items()}  # type: ignore[arg-type]
    assert answers["b"].value == "first" and answers["c"].value == "third"  # type: ignore[union-attr]
    assert answers["a"].failure.kind == "denied"  # type: ignore[union-attr]
    assert "knows no answer" in answers["d"].failure.message  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", ["blocked", "simulate", "live"])
def test_a_fork_folds_alike_in_parts(mode: Any) -> None:
    """As with a checkpoint in between, at every place."""
    told = night().fork(at=5, mode=mode)
    told.decide()
    for at in range(1, len(told.entries)):
        assert fold(told.entries[at:], fold(told.entries[:at])) == told.run


@pytest.mark.parametrize("mode", ["blocked", "simulate", "live"])
def test_a_run_can_be_forked_at_every_point(mode: Any) -> None:
    """Something can be decided there; and no done step is begun again."""
    source = night(step("d", "book", after=("a",)), step("e", "wire"), step("f", "mail", args={"to": "ann"}))
    for at in range(3, len(source.entries)):
        told = source.fork(at=at, mode=mode)
        done = {name for name, phase in told.phases.items() if phase == "done"}
        told.decide()
        after = [entry.event.step for entry in told.entries[at:] if isinstance(entry.event, e.CallIntended)]
        assert not done & set(after), at
        if mode == "blocked":
            assert after == []


def test_a_fork_of_a_fork_knows_its_source() -> None:
    """And what was done in both parts."""
    first = night().fork(at=3)
    first.decide()
    first.answer("approve").decide()
    first.succeed("a", {"n": 9}).decide()
    second = first.fork(run_id="f2")
    assert second.run.run_id == "f2" and second.run.fork is not None and second.run.fork.source == "f1"
    second.decide()
    assert second["a"].value == {"n": 9} and second.asked.step == "b"


def test_calls_are_the_same_by_business_key_or_by_all_their_arguments() -> None:
    """As everywhere else."""
    source = again()
    (mail,) = source.fork(at=3).run.fork.recorded  # type: ignore[union-attr]
    assert mail.call == sameness("mail", {"to": "ann", "text": "another"}, MAIL)
