"""What a model said → what it proposes: sound calls become steps, all else comes back as problems."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.core import events as e
from holdfast.core import values
from holdfast.core.facts import Fact
from holdfast.core.models import Part
from holdfast.core.plan import Step
from holdfast.reasoners import verbs
from holdfast.reasoners.answers import CALLS_HEARD_MAX, CALLS_MAX, TEXT_MAX
from holdfast.reasoners.base import Ask, Finish, GiveUp, Interpret, Keep, Propose, Thought, events_of
from tests.core.story import tool
from tests.reasoners.kit import MODEL, Talk, call, schema, text, thinks
from tests.strategies import json_values

FIND = tool("find", "read", input_schema=schema("name"))
MAIL = tool("mail", "keyed", input_schema=schema("to"), undo="unmail")
UNMAIL = tool("unmail", "idempotent", input_schema=schema("to"))
LOGIN = tool("login", "keyed", input_schema=schema("user", "password"), secrets=("password",))
NOTHING = tool("look", "read")
TOOLS = (FIND, MAIL, UNMAIL, LOGIN, NOTHING)


def talk(**fields: Any) -> Talk:
    """A run with a model and some tools."""
    return Talk(*TOOLS, **fields)


def planning(**fields: Any) -> Talk:
    """One that plans several steps at once."""
    return talk(thinking=thinks(horizon=0, **fields))


def steps(found: Thought) -> tuple[Step, ...]:
    """The steps that an answer proposes."""
    assert isinstance(found.proposal, Propose), (found.problems, [part.problem for part in found.said])
    return found.proposal.plan.steps


def refused(found: Thought) -> str:
    """Why nothing was taken."""
    assert found.proposal is None, found.proposal
    assert found.problems
    return "\n".join(found.problems)


def problem(found: Thought, at: int = 0) -> str:
    """Why a call was not taken."""
    return [part for part in found.said if part.kind == "call"][at].problem


# --- calls ------------------------------------------------------------------------------------------------------------


def test_a_call_becomes_a_step_that_is_written_down_once() -> None:
    """Its arguments stand in the step, and not in the call beside it."""
    found = talk().hears(text("looking"), call("find", "c1", name="ann"))
    assert steps(found) == (Step(id="find_1", tool="find", args={"name": "ann"}, on_failure="replan"),)
    assert not found.proposal.plan.final and found.proposal.reason == "looking"  # type: ignore[union-attr]
    assert found.said == (Part(kind="text", text="looking"), Part(kind="call", id="c1", tool="find", step="find_1"))


def test_several_calls_are_named_by_their_ids_and_not_by_their_places() -> None:
    """However they stand in the answer, the same call has the same name."""
    calls = [call("find", "x2", name="b"), call("look", "x3"), call("find", "x1", name="a"), call("find", "x4", name="c")]
    names = {"x1": "find_1", "x2": "find_1b", "x4": "find_1c", "x3": "look_1"}
    for order in (calls, calls[::-1]):
        found = talk().hears(*order)
        assert {part.id: part.step for part in found.said} == names
        assert {step.id: step.args for step in steps(found)}["find_1b"] == {"name": "b"}


def test_what_looks_like_a_reference_in_a_call_is_data() -> None:
    """Whoever plants one into what a model reads gains nothing."""
    contract = tool("take", "read", input_schema=schema(x={}))
    found = Talk(contract).hears(call("take", x={"$secret": "key"}))
    assert steps(found)[0].args == {"x": {"$literal": {"$secret": "key"}}}
    found = Talk(tool("any", "read")).hears(call("any", **{"$ref": "inputs.x"}))
    assert "no argument $ref" in refused(found)


def test_a_secret_argument_is_put_in_by_its_name_and_never_taken_from_a_model() -> None:
    """The model knows of none."""
    found = talk().hears(call("login", user="ann"))
    assert steps(found)[0].args == {"user": "ann", "password": {"$secret": "password"}}
    found = talk().hears(call("login", user="ann", password="hunter2"))
    assert "put in by itself" in refused(found)
    assert "hunter2" not in msgspec.json.encode(found.said).decode()


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (call("fimd", name="ann"), "there is no tool fimd (did you mean find?)"),
        (call("make_plan", steps={}), "there is no tool make_plan"),
        (call("find"), "find needs the argument name"),
        (call("find", name=3), "is not of type"),
        (call("find", name="ann", nam="b"), "find has no argument nam"),
        (Part(kind="call", tool="find", args='{"name": "ann"'), "the arguments are no table"),
        (Part(kind="call", tool="find", args=["ann"]), "the arguments are no table"),
        (Part(kind="call", tool="find", args={"name": "\ud800"}), "cannot be written as JSON"),
        (Part(kind="call", tool="find", args={"name": float("nan")}), "cannot be written as JSON"),
        (Part(kind="call", tool="", args={}), "there is no tool"),
        (call("look", password="x"), "never written down"),
        (call("find", name="x" * 2_000_000), "more than 1000000 bytes"),
    ],
)
def test_a_call_that_cannot_be_made_is_refused_with_the_reason(part: Part, said: str) -> None:
    """And a sound one beside it is taken all the same: calls of one answer are independent."""
    found = talk().hears(part)
    assert said in refused(found) and said in problem(found)
    both = talk().hears(part, call("find", "ok", name="ann"))
    assert [step.args for step in steps(both)] == [{"name": "ann"}]
    assert said in problem(both) and both.problems == ()
    assert len(msgspec.json.encode(both.said)) < 20_000


def test_a_call_without_arguments_may_have_none() -> None:
    """Some providers leave them out, some write an empty text."""
    for args in (None, "", {}):
        assert steps(talk().hears(Part(kind="call", tool="look", args=args)))[0].args == {}


def test_the_same_call_under_one_id_is_one_call_and_two_under_one_id_are_none() -> None:
    """Which of two is meant cannot be known; where a call stands says nothing."""
    found = talk().hears(call("find", "c", name="a"), call("find", "c", name="a"))
    assert len(steps(found)) == 1 and len(found.said) == 1
    found = talk().hears(call("find", "c", name="a"), call("find", "c", name="b"), call("look", "d"))
    assert [step.tool for step in steps(found)] == ["look"]
    assert "has the same id c" in problem(found) and "has the same id c" in problem(found, 1)
    assert len({part.id for part in found.said}) == 3


def test_ids_are_made_unique_over_the_conversation_and_fit_for_any_provider() -> None:
    """A provider that counts its calls from 1 in each answer says nothing wrong."""
    run = talk()
    run.says(call("look", "1"))
    run.returns("look_1")
    found = run.hears(call("look", "1"), call("find", "a b\n", name="x"))
    ids = [part.id for part in found.said]
    assert "1" not in ids and all(name.replace("_", "").isalnum() for name in ids) and len(set(ids)) == 2


def test_too_many_calls_are_refused_one_by_one_and_then_left_away() -> None:
    """An answer of any length is written down in a bounded length."""
    found = talk().hears(*(call("find", f"c{n:04}", name=str(n)) for n in range(CALLS_HEARD_MAX + 100)))
    assert len(steps(found)) == CALLS_MAX and len(found.said) == CALLS_HEARD_MAX
    assert f"more than {CALLS_MAX} calls" in problem(found, CALLS_MAX)


def test_a_step_says_which_facts_it_rests_on() -> None:
    """Those whose value stands among its arguments: so a correction finds it."""
    run = talk()
    facts = [("who", "Ann"), ("a", "a"), ("n", 3), ("yes", True), ("other", "bob"), ("deep", "x1")]
    run.ask  # noqa: B018 — the request is made before the facts come.
    run.tell(e.FactsLearned(facts=tuple(Fact(name=name, value=value) for name, value in facts)))
    found = run.hears(call("look", name="ann", n=3, a="a", flag=True, deep={"list": ["x1"]}))
    assert steps(found)[0].rests_on == ("who", "n", "deep")


# --- effects that are done --------------------------------------------------------------------------------------------


def test_an_effect_that_is_done_is_not_proposed_again() -> None:
    """A model that forgot that it did something is told which step did it."""
    run = talk()
    run.says(call("mail", to="ann"))
    run.returns("mail_1", "sent")
    found = run.hears(call("mail", to="ann"))
    assert "step mail_1 did this; use its result, or repeat_step" in refused(found)
    assert steps(run.hears(call("mail", to="bob")))


def test_a_look_may_be_repeated_and_two_same_effects_in_one_answer_are_one() -> None:
    """Reading again changes nothing."""
    run = talk()
    run.says(call("find", name="ann"))
    run.returns("find_1")
    assert steps(run.hears(call("find", name="ann")))
    found = run.hears(call("mail", "a", to="ann"), call("mail", "b", to="ann"))
    assert [part.step for part in found.said] == ["mail_2", ""] and "made once" in problem(found, 1)


def test_an_intended_repeat_has_the_next_occurrence() -> None:
    """Also the repeat of a repeat."""
    run = talk()
    run.says(call("mail", to="ann"))
    run.returns("mail_1", "sent")
    run.says(call(verbs.REPEAT, step="mail_1", reason="she lost it"))
    assert (run["mail_2"].occurrence, run["mail_2"].args) == (2, {"to": "ann"})
    run.returns("mail_2", "sent")
    assert run["mail_2"].key != run["mail_1"].key
    found = run.hears(call(verbs.REPEAT, step="mail_1", reason="again"))
    assert steps(found)[0].occurrence == 3
    assert found.said[0].args == {"step": "mail_1", "reason": "again"} and found.said[0].step == "mail_3"


@pytest.mark.parametrize("verb", [verbs.REPEAT, verbs.UNDO])
def test_what_has_not_ended_is_neither_repeated_nor_taken_back(verb: str) -> None:
    """It is settled first."""
    run = Talk(*TOOLS, thinking=thinks(horizon=0))
    run.says(call(verbs.PLAN, steps={"a": {"tool": "mail", "args": {"to": "ann"}}}))
    run.tell(e.PlanSuspected(why="goal", reason="x"))
    run.lose("a").decide()
    run.ask  # noqa: B018
    for name, said in (("a", "step a"), ("b", "there is no step b")):
        assert said in refused(run.hears(call(verb, step=name, reason="x")))


def test_a_step_is_taken_back_by_the_call_that_its_tool_names() -> None:
    """Once."""
    run = talk()
    run.says(call("mail", to="ann"), call("find", name="ann"))
    run.returns("mail_1", "sent").returns("find_1", 1)
    found = run.says(call(verbs.UNDO, "a", step="mail_1", reason="x"), call(verbs.UNDO, "b", step="mail_1", reason="y"))
    (undo,) = steps(found)
    assert (undo.id, undo.tool, undo.undoes) == ("undo_mail_1", "unmail", "mail_1")
    run.returns("undo_mail_1")
    assert "taken back" in refused(run.hears(call(verbs.UNDO, step="mail_1", reason="x")))
    assert "changed nothing" in refused(run.hears(call(verbs.UNDO, step="find_1", reason="x")))


# --- words ------------------------------------------------------------------------------------------------------------


def test_plain_text_is_the_end_where_no_form_is_asked_for() -> None:
    """The first model example of the README relies on it."""
    assert talk().hears(text("It is done.")).proposal == Finish("It is done.")
    form = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    run = talk(thinking=thinks(result_schema=form))
    assert "call finish_run" in refused(run.hears(text("It is done.")))
    assert run.hears(call(verbs.FINISH, result={"n": 1})).proposal == Finish({"n": 1})
    assert "is not of type" in refused(run.hears(call(verbs.FINISH, result={"n": "x"})))


def test_an_endless_text_is_cut_and_says_so() -> None:
    """And it is valid, whatever was in it."""
    found = talk().hears(text("\ud800\x00" + "x" * 10_000_000))
    assert isinstance(found.proposal, Finish)
    assert len(found.proposal.result) < TEXT_MAX + 100 and "cut: it had 10000002 characters" in found.proposal.result
    assert values.plain(found.proposal.result) == found.proposal.result and "\x00" not in found.proposal.result


def test_plain_text_does_not_end_a_plan_that_has_more_to_do() -> None:
    """A remark on a plan is no order to drop the rest of it."""
    run = planning()
    run.says(call(verbs.PLAN, steps={"a": {"tool": "look"}, "b": {"tool": "look", "after": ["a"]}}))
    run.returns("a").tell(e.PlanSuspected(why="goal", reason="x"))
    assert "steps that have not begun" in refused(run.hears(text("Looks good.")))
    assert run.hears(call(verbs.KEEP, reason="good")).proposal == Keep("good")
    assert run.hears(call(verbs.FINISH, result=1)).proposal == Finish(1)


@pytest.mark.parametrize(
    ("said", "finish", "why"),
    [
        ((), "stop", "your answer is empty"),
        ((text(" \n"),), "stop", "your answer is empty"),
        ((text("I cannot help with that"),), "refused", "refused to answer: I cannot help"),
        ((call("find", name="ann"),), "length", "cut off at its longest"),
        ((text("It is do"),), "length", "cut off at its longest"),
        ((call(verbs.GIVE_UP, reason=" "),), "stop", "say why"),
        ((call(verbs.PLAN, steps={}, reason="x"),), "stop", "there is no tool make_plan"),
        ((call(verbs.FINISH, result=1), call("find", name="ann")), "stop", "look at what comes of them first"),
        ((call(verbs.FINISH, result=1), call(verbs.GIVE_UP, reason="x")), "stop", "do not go together"),
        ((call(verbs.FINISH, "a", result=1), call(verbs.FINISH, "b", result=2)), "stop", "do not go together"),
        ((call(verbs.NOTE, facts=[{"name": "x", "value": 1}]),), "stop", "noted; now call a tool"),
        ((call(verbs.NOTE, facts=[]),), "stop", "note_facts"),
        ((call(verbs.INTERPRET, intent="x"),), "stop", "there is no tool interpret_goal"),
    ],
)
def test_an_answer_of_which_nothing_can_be_taken_says_why(said: tuple[Part, ...], finish: str, why: str) -> None:
    """One clear sentence for the model."""
    assert why in refused(talk().hears(*said, finish=finish))


def test_the_run_is_given_up_with_a_reason() -> None:
    """For the person who asked."""
    assert talk().hears(call(verbs.GIVE_UP, reason="no such user")).proposal == GiveUp("no such user")


def test_a_question_goes_before_the_calls_beside_it() -> None:
    """Ask first, then act."""
    asked = {"name": "city", "question": "From where?", "guess": "SFO", "confidence": 0.8, "options": ["SFO", "OAK"]}
    found = talk().hears(call(verbs.ASK, "a", questions=[asked]), call("mail", "b", to="ann"))
    assert isinstance(found.proposal, Ask)
    (question,) = found.proposal.questions
    assert (question.name, question.has_guess, question.guess, question.confidence, question.options) == (
        "city", True, "SFO", 0.8, ("SFO", "OAK"),
    )  # fmt: skip
    assert "ask first, then act" in problem(found, 1)


def test_what_is_known_is_not_asked() -> None:
    """Nor what is asked already in the same breath."""
    run = talk(inputs={"city": "SFO"})
    assert 'city is known: "SFO"' in refused(run.hears(call(verbs.ASK, questions=[{"name": "city", "question": "Where?"}])))
    twice = [{"name": "x", "question": "a?"}, {"name": "x", "question": "b?"}]
    assert "asked twice" in refused(run.hears(call(verbs.ASK, questions=twice)))


def test_notes_go_beside_anything_and_are_inferences_of_the_model() -> None:
    """Whatever it says of them."""
    note = call(verbs.NOTE, facts=[{"name": "mood", "value": "good"}, {"name": "n", "value": 2, "rests_on": ["steps.zzz"]}])
    found = talk().hears(note, call("find", name="ann"))
    assert len(steps(found)) == 1
    (fact,) = found.notes
    assert (fact.name, fact.source, fact.by, fact.confidence) == ("mood", "inferred", MODEL, 0.5)
    assert "rests on steps.zzz, which is not there" in problem(found)


def test_nothing_is_noted_that_is_never_written_down() -> None:
    """By its name."""
    found = talk().hears(call(verbs.NOTE, facts=[{"name": "password", "value": "hunter2"}]), call("look"))
    assert found.notes == () and "never written down" in problem(found)


# --- what the goal means ----------------------------------------------------------------------------------------------


def interpreting(**fields: Any) -> Talk:
    """A run whose goal is interpreted first."""
    run = talk(thinking=thinks(interpret=True, **fields), start={}, inputs={"budget": 900})
    run.state = msgspec.structs.replace(
        run.run, goal=msgspec.structs.replace(run.run.goal, text="Fly me to New York City tomorrow")
    )
    return run


def test_what_stands_in_the_goal_is_told_and_all_else_inferred() -> None:
    """The value itself has to stand there; a quote that says it in other words is read by the model."""
    known = [
        {"name": "to", "value": "NYC", "quote": "new york  city"},
        {"name": "when", "value": "tomorrow"},
        {"name": "most", "value": 900},
        {"name": "class", "value": "first", "quote": "business class"},
        {"name": "part", "value": "York Ci"},
    ]
    assumed = [{"name": "from", "value": "SFO", "confidence": 0.7, "basis": "the calendar"}]
    missing = [{"name": "airline", "question": "Which airline?"}]
    found = interpreting().hears(call(verbs.INTERPRET, intent="a flight", known=known, assumed=assumed, missing=missing))
    assert isinstance(found.proposal, Interpret)
    told = {fact.name: (fact.source, fact.confidence) for fact in found.proposal.facts}
    assert told == {
        "to": ("inferred", 0.5), "when": ("told", 1.0), "most": ("told", 1.0), "class": ("inferred", 0.5), "part": ("inferred", 0.5),
        "from": ("inferred", 0.7),
    }  # fmt: skip
    assert [question.name for question in found.proposal.missing] == ["airline"]


def test_nothing_is_done_before_the_goal_is_interpreted() -> None:
    """But a question may be asked, and something noted."""
    run = interpreting()
    assert "first say what the goal means" in refused(run.hears(call("find", name="ann")))
    assert "not in plain text" in refused(run.hears(text("Done.")))
    asked = {"name": "city", "question": "Which?"}
    assert isinstance(run.hears(call(verbs.ASK, questions=[asked])).proposal, Ask)
    run.says(call(verbs.INTERPRET, intent="x"))
    assert "interpreted already" in refused(run.hears(call(verbs.INTERPRET, intent="x")))


def test_a_declared_input_is_held_to_its_form() -> None:
    """Whoever fills it in."""
    run = interpreting(inputs={"to": {"type": "string", "maxLength": 3}})
    assert "to: " in refused(run.hears(call(verbs.INTERPRET, intent="x", known=[{"name": "to", "value": "New York City"}])))
    found = run.hears(call(verbs.INTERPRET, intent="x", missing=[{"name": "to", "question": "Where?"}]))
    assert found.proposal.missing[0].answer_schema == {"type": "string", "maxLength": 3}  # type: ignore[union-attr]


# --- plans ------------------------------------------------------------------------------------------------------------


def test_a_plan_is_taken_in_the_form_of_a_plan_file() -> None:
    """Its steps are told to the model when they fail; what it wrote is written down once."""
    plan = {
        "a": {"tool": "find", "args": {"name": "ann"}},
        "b": {"tool": "mail", "args": {"to": {"$ref": "steps.a"}}, "optional": True},
    }
    found = planning().hears(call(verbs.PLAN, steps=plan, reason="so", confidence=0.9))
    first, second = steps(found)
    assert (first.on_failure, second.on_failure, second.args) == ("replan", "skip", {"to": {"$ref": "steps.a"}})
    assert found.proposal.confidence == 0.9 and not found.proposal.plan.final  # type: ignore[union-attr]
    assert found.said[0].args["steps"] == {"a": {"tool": "find"}, "b": {"tool": "mail", "optional": True}}


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"steps": {}}, "there is no step in it"),
        ({"steps": {"a": {"tool": "fimd"}}}, "there is no tool fimd"),
        ({"steps": {"a": {"tool": "find", "args": {"name": {"$secret": "key"}}}}}, "$secret cannot stand"),
        ({"steps": {"a": {"tool": "find", "args": {"name": {"$literal": "key"}}}}}, "$literal cannot stand"),
        ({"steps": {"a": {"tool": "login", "args": {"user": "a", "password": "b"}}}}, "put in by itself"),
        ({"steps": {"a": {"tool": "find", "args": {"name": {"$ref": "steps.x"}}}}}, "the step x, which is not there"),
        ({"steps": {"a": {"tool": "look", "after": ["b"]}, "b": {"tool": "look", "after": ["a"]}}}, "in a circle"),
        ({"steps": {"a b": {"tool": "look"}}}, "letters, digits and underscores"),
        ({"steps": {"a": {"tool": "look", "retry": "often"}}}, "make_plan"),
        ({"steps": {"a": {"tool": "look"}}, "dropped": ["x"]}, "there is no step x to drop"),
        ({"steps": {"a": {"tool": "mail", "args": {"to": "x"}}, "b": {"tool": "mail", "args": {"to": "x"}}}}, "the same effect"),
        ({"steps": {"a": {"tool": "look"}}, "confidence": 2}, "make_plan"),
        ({"steps": [1]}, "make_plan"),
        ({}, "make_plan"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused_whole(args: dict[str, Any], why: str) -> None:
    """Its steps belong together."""
    assert why in refused(planning().hears(call(verbs.PLAN, **args)))


def test_no_more_steps_wait_for_one_another_than_the_horizon_allows() -> None:
    """Steps side by side are not in a row."""
    row = {f"s{n}": {"tool": "look", "after": [f"s{n - 1}"] if n else []} for n in range(4)}
    side = {f"s{n}": {"tool": "look"} for n in range(8)}
    run = talk(thinking=thinks(horizon=3))
    assert "4 of its steps wait for one another in a row; at most 3 may" in refused(run.hears(call(verbs.PLAN, steps=row)))
    assert len(steps(run.hears(call(verbs.PLAN, steps=side)))) == 8


def test_a_plan_that_is_trusted_little_is_put_to_a_person_call_by_call() -> None:
    """But for what changes nothing; and the reason says so."""
    run = planning(confidence_min=0.6)
    plan = {"a": {"tool": "find", "args": {"name": "x"}}, "b": {"tool": "mail", "args": {"to": "x"}}}
    found = run.hears(call(verbs.PLAN, steps=plan, confidence=0.4))
    assert [step.approve for step in steps(found)] == [None, "always"]
    assert "the confidence is 0.4, under 0.6" in found.proposal.reason  # type: ignore[union-attr]
    assert [step.approve for step in steps(run.hears(call(verbs.PLAN, steps=plan, confidence=0.6)))] == [None, None]


def test_only_steps_that_have_not_begun_are_dropped() -> None:
    """What is done stays done."""
    run = planning()
    run.says(call(verbs.PLAN, steps={"a": {"tool": "look"}, "b": {"tool": "look", "after": ["a"]}}))
    run.returns("a").tell(e.PlanSuspected(why="goal", reason="x"))
    found = run.hears(call(verbs.PLAN, steps={}, dropped=["b"]))
    assert isinstance(found.proposal, Propose) and found.proposal.dropped == ("b",)
    assert "step a has begun (done)" in refused(run.hears(call(verbs.PLAN, steps={}, dropped=["a"])))
    waiting = {"c": {"tool": "look", "after": ["b"]}}
    assert "waits for b, which is dropped" in refused(run.hears(call(verbs.PLAN, steps=waiting, dropped=["b"])))


# --- anything at all --------------------------------------------------------------------------------------------------

words = st.text(max_size=20) | st.sampled_from(["", "\ud800", "\x00", "find_1", "steps.mail_1", "$ref", "a" * 300])
names = st.sampled_from([*(contract.tool for contract in TOOLS), *sorted(verbs.VERBS), "nobody", "", "\ud800"]) | words
hostile = json_values | st.sampled_from([float("nan"), 2**70, object(), {1: 2}, "{", {"\ud800": 1}])
tables = st.dictionaries(
    st.sampled_from(["name", "to", "user", "password", "steps", "facts", "questions", "result", "reason", "step", "intent", "known",
                     "assumed", "missing", "dropped", "confidence", "$ref", "x"]),
    hostile
    | st.lists(st.fixed_dictionaries({}, optional={"name": words, "value": hostile, "question": words, "confidence": st.floats()}), max_size=3)
    | st.dictionaries(words, st.fixed_dictionaries({"tool": names}, optional={"args": hostile, "after": hostile, "retry": hostile}), max_size=3),
    max_size=4,
)  # fmt: skip
sound = st.sampled_from([call("find", name="ann"), call("mail", to="ann"), call("mail", to="bob"), call("look"),
    call(verbs.REPEAT, step="mail_1", reason="x"), call(verbs.UNDO, step="mail_1", reason="x"), call(verbs.NOTE, facts=[{"name": "x", "value": "ann"}]),
    call(verbs.PLAN, steps={"p": {"tool": "mail", "args": {"to": "ann"}}, "q": {"tool": "find", "args": {"name": {"$ref": "steps.p"}}}}),
    call(verbs.ASK, questions=[{"name": "c", "question": "?"}]), call(verbs.KEEP)])  # fmt: skip
calls = st.builds(
    Part, kind=st.just("call"), id=words, tool=names, args=hostile | tables, text=words, signature=words, provider=words, details=hostile,
)  # fmt: skip
others = st.builds(
    Part, kind=st.sampled_from(["text", "thinking", "result"]), text=words, id=words, signature=words, details=hostile
)
answers = st.lists(calls | others | sound, max_size=6)


@given(rounds=st.lists(answers, min_size=1, max_size=4), horizon=st.sampled_from([0, 1, 3]), interpret=st.booleans(), finish=st.sampled_from(["stop", "tool", "length", "refused"]))  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_whatever_a_model_says_is_a_thought_that_can_be_written_down(
    rounds: list[list[Part]], horizon: int, interpret: bool, finish: str
) -> None:
    """Nothing raises, nothing is believed that would not be read back, each call has an id of its own, and a plan that is
    proposed is one that the run takes."""
    run = talk(thinking=thinks(horizon=horizon, interpret=interpret))
    for said in rounds:
        if run.ended or run.run.stopping or run.open:
            break
        found = run.hears(*said, finish=finish if said is rounds[-1] else "stop")
        encoded = msgspec.json.encode(found.said)
        assert msgspec.json.decode(encoded, type=tuple[Part, ...]) == found.said
        assert (found.proposal is None) == bool(found.problems)
        ids = [part.id for part in found.said if part.kind == "call"]
        assert len(ids) == len(set(ids)) and all(ids)
        events = events_of(found, run.run, run.ask.turn)
        assert (found.proposal is None) == isinstance(events[-1], e.ProposalFailed), events[-1]
        for event in events:
            assert msgspec.json.decode(msgspec.json.encode(event), type=type(event)) == event
        run.tell(*events)
        run.decide()
        while any(run[name].phase == "flying" for name in run.run.active):
            run.returns_all("ok").decide()
