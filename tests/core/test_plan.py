"""Is a plan sound? Everything that is wrong is found before anything runs, all at once, each as a sentence."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.contract import Contract, Retry
from holdfast.core.plan import (
    ALTERNATIVES_MAX,
    Expect,
    Fallback,
    Plan,
    Step,
    believes,
    expected,
    fallbacks_of,
    gives_way_to,
    needs,
    plain_plan,
    reads,
    stand_ins,
    waits_for,
)
from holdfast.core.references import Missing
from holdfast.core.soundness import problems, schema_problem
from tests import strategies as s

TOOLS = {
    "find": Contract(
        tool="find", safety="read",
        input_schema={"type": "object", "properties": {"name": {"type": "string"}, "deep": {"type": "boolean"}}, "required": ["name"],
                      "additionalProperties": False},
        output_schema={"type": "object", "properties": {"user": {"$ref": "#/$defs/User"}, "tags": {"type": "array"}, "any": {}},
                       "$defs": {"User": {"type": "object", "properties": {"mail": {"type": "string"}}}}},
    ),
    "count": Contract(tool="count", safety="read", output_schema={"type": "integer"}),
    "open": Contract(tool="open", safety="idempotent", output_schema={"type": "object", "properties": {"x": {}}, "additionalProperties": True}),
    "pay": Contract(
        tool="pay", safety="irreversible", secrets=("token",),
        input_schema={"type": "object", "properties": {"token": {"type": "string"}, "amount": {"type": "number"}}, "required": ["token"]},
    ),
    "look": Contract(
        tool="look", safety="read",
        input_schema={"type": "object", "properties": {"result": {}, "near": {"type": "string"}}, "required": ["result"], "additionalProperties": False},
    ),
    "book": Contract(
        tool="book", safety="keyed", fallback="phone",
        input_schema={
            "type": "object", "required": ["who"], "additionalProperties": False,
            "properties": {"who": {"$ref": "#/$defs/Who"}, "room": {"type": "string"}},
            "$defs": {"Who": {"type": "object", "required": ["name"], "additionalProperties": False,
                              "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}},
        },
        output_schema={"type": "object", "properties": {"id": {"type": "integer"}}},
    ),
    "phone": Contract(
        tool="phone", safety="keyed", output_schema={"type": "object", "properties": {"number": {}}},
        input_schema={"type": "object", "properties": {"who": {"type": "object"}}, "additionalProperties": False},
    ),
}  # fmt: skip


def wrong(
    *steps: Step, result: Any = None, inputs: dict[str, Any] | None = None, before: tuple[str, ...] = (), final: bool = True
) -> list[str]:
    """What is wrong with a plan of these steps."""
    return problems(Plan(steps=steps, final=final, result=result), TOOLS, inputs, before)


def find(name: str = "a", **fields: Any) -> Step:
    """A sound step, and whatever is to be wrong with it."""
    return Step(id=name, tool="find", **{"args": {"name": "x"}, **fields})


def to(expression: str) -> dict[str, Any]:
    """A reference."""
    return {"$ref": expression}


def test_a_sound_plan_has_no_problems() -> None:
    """References, defaults, secrets, fallbacks and all."""
    assert (
        wrong(
            find(),
            find(
                "b",
                args={"name": to("steps.a.user.mail"), "deep": to("inputs.deep")},
                after=("a",),
                timeout_seconds=1,
                retry=Retry(),
            ),
            find(
                "c",
                args={"name": {"$ref": "inputs.gone", "default": "x"}},
                fallbacks=(Fallback(tool="open", args={"k": to("steps.b")}),),
            ),
            Step(id="d", tool="pay", args={"token": {"$secret": "T"}, "amount": 5}, retry=Retry(attempts_max=1)),
            result={"who": to("steps.a.tags[0]"), "any": to("steps.a.any.thing")},
            inputs={"deep": True},
        )
        == []
    )


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ((find("1a"),), "step 1a: an id has letters"),
        ((find("a-b"),), "step a-b: an id has letters"),
        ((find(""),), "an id has letters"),
        ((find("é"),), "an id has letters"),
        ((find(), find()), "step a: the id is taken already"),
        ((find(occurrence=0),), "occurrence starts at 1"),
        ((find(timeout_seconds=0),), "timeout must be more than nothing"),
        ((find(timeout_seconds=-1),), "timeout must be more than nothing"),
        ((find(timeout_seconds=math.nan),), "timeout must be more than nothing"),
        ((find(timeout_seconds=math.inf),), "timeout must be more than nothing"),
        ((find(retry=Retry(attempts_max=0)),), "retry needs 1 to 1000 attempts"),
        ((find(retry=Retry(factor=math.inf)),), "retry needs"),
        ((find(retry=Retry(backoff_seconds=math.nan)),), "retry needs"),
        ((find(after=("bb",)), find("bbb")), "after: there is no step bb (did you mean bbb?)"),
        ((Step(id="a", tool="fnid"),), "there is no tool fnid (did you mean find?)"),
        ((find(fallbacks=(Fallback(tool="nothing"),)),), "there is no tool nothing"),
        ((find(args={}),), "find needs the argument name"),
        ((find(args={"name": "x", "dep": 1}),), "find has no argument dep (did you mean deep?)"),
        ((find(args={"name": 5}),), "argument name of find: 5 is not of type"),
        ((find(fallbacks=(Fallback(tool="find", args={}),)),), "find needs the argument name"),
        ((Step(id="a", tool="pay", args={"token": "hunter2"}),), "token is a secret of pay and must not stand in a plan"),
        ((Step(id="a", tool="pay", args={"token": to("inputs.t")}),), "token is a secret of pay"),
        ((Step(id="a", tool="open", args={"password": "hunter2"}),), "password is never written down"),
        ((Step(id="a", tool="open", args={"deep": [{"api_key": to("inputs.k")}]}),), "api_key is never written down"),
        ((Step(id="a", tool="pay", args={"token": {"$secret": "T"}}, retry=Retry(attempts_max=2)),), "pay is irreversible and is never retried"),
        ((find(args={"name": to("inputs.gone")}),), "inputs.gone names the input gone, which is not given"),
        ((find(args={"name": to("inputs.gone[0].x")}),), "names the input gone"),
        ((find(args={"name": to("steps.b")}),), "steps.b names the step b, which is not there"),
        ((find(args={"name": to("steps.b[0]")}),), "names the step b, which is not there"),
        ((find(args={"name": to("b")}),), "a reference starts at inputs or steps"),
        ((find(args={"name": {"$ref": "inputs.x", "or": 1}}),), "'or' cannot stand beside $ref"),
        ((find(args={"name": to("steps.b.user.phone")}), find("b")), "find returns no phone (did you mean"),
        ((find(args={"name": to("steps.b.usr")}), find("b")), "find returns no usr (did you mean user?)"),
        ((find(args={"name": to("steps.b.user.mail.host")}), find("b")), "find returns string there, which has no host"),
        ((find(args={"name": to("steps.b.x")}), Step(id="b", tool="count")), "count returns integer there, which has no x"),
        ((find(after=("a",)),), "the steps a → a wait for one another in a circle"),
        ((find(after=("b",)), find("b", args={"name": to("steps.a.tags")})), "the steps a → b → a wait"),
        ((), "there is no step in it"),
    ],
)  # fmt: skip
def test_what_makes_a_plan_unsound(steps: tuple[Step, ...], problem: str) -> None:
    """One thing is wrong, and it is said, with its step."""
    found = [line for line in wrong(*steps, inputs={"x": 1, "t": 2, "k": 3}) if problem.removesuffix(" (did you mean") in line]
    assert len(found) == 1, wrong(*steps, inputs={"x": 1})


def test_all_problems_are_told_at_once() -> None:
    """Nobody mends a plan one error a try."""
    found = wrong(
        find("1"),
        Step(id="b", tool="nothing", after=("zzz",)),
        find("c", args={"nmae": 1}),
        find("d", after=("e",)),
        find("e", after=("d",)),
        result=to("steps.gone"),
        inputs={},
    )
    assert len(found) == 7
    assert [line.split(":")[0] for line in found] == ["step 1", "step b", "step b", "step c", "step c", "result", "the steps d → e → d wait for one another in a circle"]  # fmt: skip


def test_where_no_schema_says_anything_nothing_is_said() -> None:
    """A path through what a schema leaves open is sound; so is one into a tool with fallbacks, which may return otherwise."""
    assert wrong(Step(id="a", tool="open"), find("b", args={"name": to("steps.a.deep.er")})) == []
    either = Step(id="a", tool="count", fallbacks=(Fallback(tool="open"),))
    assert wrong(either, find("b", args={"name": to("steps.a.x")})) == []


def test_inputs_that_are_not_known_yet_are_not_missed() -> None:
    """An agent is checked before its runs."""
    step = find(args={"name": to("inputs.anything")})
    assert wrong(step, inputs=None) == []
    assert wrong(step, inputs={}) != []


def test_a_later_plan_builds_on_earlier_steps() -> None:
    """It may read and follow them, and must not take their ids."""
    assert wrong(find("b", args={"name": to("steps.a.x")}, after=("a",)), before=("a",)) == []
    assert "the id is taken" in wrong(find(), before=("a",))[0]
    assert wrong(before=("a",)) == [], "nothing more to do is a plan too, once something was done"


def test_each_circle_is_told_once() -> None:
    """Also beside one another, and in a long chain without depth."""
    circles = [
        find("a", after=("b",)),
        find("b", after=("c",)),
        find("c", after=("a",)),
        find("d", after=("d",)),
        find("e", after=("a",)),
    ]
    found = [line for line in wrong(*circles) if "circle" in line]
    assert found == [
        "the steps a → b → c → a wait for one another in a circle",
        "the steps d → d wait for one another in a circle",
    ]
    chain = [find("s0"), *(find(f"s{n}", after=(f"s{n - 1}",)) for n in range(1, 5000))]
    assert wrong(*chain) == []


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_a_circle_is_found_exactly_where_steps_cannot_be_put_in_order(edges: list[tuple[int, int]]) -> None:
    """Against the obvious way: take away what waits for nothing until nothing is left, or nothing can be taken."""
    after: dict[str, set[str]] = {f"s{n}": set() for n in range(7)}
    for one, other in edges:
        after[f"s{one}"].add(f"s{other}")
    steps = [find(name, after=tuple(sorted(others))) for name, others in after.items()]
    left = dict(after)
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    assert any("circle" in line for line in wrong(*steps)) is bool(left)


def test_what_a_step_reads_and_waits_for() -> None:
    """Results are needed; `after` is only order; a fallback's arguments count."""
    step = find(
        args={"name": to("steps.b.x"), "deep": [to("steps.c || steps.b")]},
        after=("d", "b"),
        fallbacks=(Fallback(tool="open", args={"k": to("steps.e")}),),
    )
    assert needs(step) == ("b", "c", "e")
    assert waits_for(step) == ("b", "c", "e", "d")
    assert needs(find(args={})) == waits_for(find(args={})) == ()


def test_schemas_are_checked_without_fetching_anything() -> None:
    """A schema that points elsewhere cannot be used, and says so."""
    assert schema_problem(5, {"type": "integer"}) is None
    assert "not of type" in (schema_problem("5", {"type": "integer"}) or "")
    assert "x.0" in (schema_problem({"x": ["a"]}, {"properties": {"x": {"items": {"type": "integer"}}}}) or "")
    assert "cannot be used" in (schema_problem(5, {"$ref": "https://example.com/schema.json"}) or "")
    assert "cannot be used" in (schema_problem(5, {"type": "nonsense"}) or "")
    assert "cannot be used" in (schema_problem(5, {"$ref": "file:///etc/passwd"}) or "")


@pytest.mark.parametrize(
    "plan",
    [
        Plan(steps=(Step(id="a", tool="t", args={"x": math.nan}),)),
        Plan(steps=(Step(id="a", tool="t", args={"x": object()}),)),
        Plan(steps=(Step(id="a", tool="t", args={"x": "\ud800"}),)),
        Plan(steps=(Step(id="a", tool="t", args={"x": {1, 2}}),)),
        Plan(steps=(Step(id="a", tool="t", args=[1]),)),  # type: ignore[arg-type]
        Plan(steps=(Step(id=5, tool="t"),)),  # type: ignore[arg-type]
        Plan(steps=(Step(id="a", tool="t", on_failure="maybe"),)),  # type: ignore[arg-type]
        Plan(steps=(Step(id="a", tool="t", approve="amount > 5"),)),  # type: ignore[arg-type]
        Plan(steps=("a",)),  # type: ignore[arg-type]
        "a plan",
        [],
    ],
)
def test_a_plan_that_would_not_read_back_is_no_plan(plan: Any) -> None:
    """It comes from code of the user, which no type check may have seen."""
    with pytest.raises(ValueError, match="."):
        plain_plan(plan)


@given(st.data())
def test_a_plan_reads_back_as_it_was(data: st.DataObject) -> None:
    """In its plain form nothing changes any more."""
    plan = data.draw(s.plans(data.draw(s.toolboxes)))
    assert plain_plan(plan) == plan
    assert plain_plan(Plan(steps=(Step(id="a", tool="t", args={"x": (1, 2)}),))).steps[0].args == {"x": [1, 2]}


# --- what must be true afterwards ---------------------------------------------------------------------------------


def book(name: str = "a", **fields: Any) -> Step:
    """A sound booking, and whatever is to be wrong with it."""
    return Step(id=name, tool="book", **{"args": {"who": {"name": "ann"}}, **fields})


def test_what_is_expected_may_be_said_and_looked_for() -> None:
    """An expression, a tool that looks, or both; with the result, earlier steps and inputs in its arguments."""
    assert (
        wrong(
            find("b"),
            book(expect=Expect(that="id > `0` && !cancelled")),
            book("c", expect=Expect(tool="look")),
            book("d", expect=Expect(tool="look", args={"near": to("steps.b.user.mail")}, that="@")),
            find("e", expect=Expect(tool="find", args={"name": to("result.user.mail"), "deep": to("inputs.deep")})),
            book("f", expect=Expect(tool="find", args={"name": to("result.number")})),
            inputs={"deep": True},
        )
        == []
    )


@pytest.mark.parametrize(
    ("expect", "problem"),
    [
        (Expect(), "it says nothing"),
        (Expect(that="id >"), "'id >' is not a jmespath expression"),
        (Expect(that="  "), "it is empty"),
        (Expect(that="id", args={"name": "x"}), "its args are for a `tool`, and it names none"),
        (Expect(tool="fnid", args={"name": "x"}), "there is no tool fnid (did you mean find?)"),
        (Expect(tool="open"), "open is idempotent; only a tool that changes nothing"),
        (Expect(tool="find"), "find needs the argument name"),
        (Expect(tool="find", args={"name": 5}), "argument name of find: 5 is not of type"),
        (Expect(tool="find", args={"name": "x", "dep": 1}), "find has no argument dep (did you mean deep?)"),
        (Expect(tool="find", args={"name": to("steps.zz")}), "steps.zz names the step zz, which is not there"),
        (Expect(tool="find", args={"name": to("inputs.zz")}), "names the input zz"),
        (Expect(tool="find", args={"name": to("steps.a.id")}), "steps.a.id is this step itself; write {$ref: result}"),
        (Expect(tool="find", args={"name": to("result.ident")}), "result.ident: book returns no ident"),
        (Expect(tool="find", args={"name": to("args.who")}), "'args.who': starts at 'args'"),
        (Expect(tool="find", args={"name": {"$ref": "result", "or": 1}}), "'or' cannot stand beside $ref"),
        (Expect(tool="look", args={"result": 5}), "look is given the result as its argument result; leave it out"),
    ],
)
def test_what_is_wrong_with_an_expectation(expect: Expect, problem: str) -> None:
    """One thing, one sentence, with the step and the word."""
    (found,) = wrong(book(expect=expect, fallbacks=(Fallback(tool="book"),)), inputs={})
    assert found.startswith("step a: expect: ")
    assert problem in found


def test_what_a_look_afterwards_reads_is_needed_and_a_secret_in_it_is_seen() -> None:
    """The call would not be made if it could not be judged."""
    step = book(expect=Expect(tool="find", args={"name": to("steps.b.x"), "deep": to("result.id")}))
    assert needs(step) == waits_for(step) == ("b",)
    assert "password is never written down" in wrong(book(expect=Expect(tool="count", args={"password": "x"})))[0]
    assert any("circle" in line for line in wrong(step, find("b", after=("a",))))


def test_an_expectation_is_made_ready_before_the_call() -> None:
    """All but the result is put in; where nothing is there, it is missing then."""
    step = book(expect=Expect(tool="find", args={"name": to("steps.b.x"), "id": to("result.id")}))
    assert expected(step, {}, {"b": {"x": "y"}}.__getitem__) == Expect(tool="find", args={"name": "y", "id": to("result.id")})
    assert expected(book(), {}, {"b": 1}.__getitem__) is None
    with pytest.raises(Missing):
        expected(step, {}, {"b": {}}.__getitem__)


# --- fallbacks ----------------------------------------------------------------------------------------------------


def test_the_fallback_of_a_tool_acts_where_a_step_names_none() -> None:
    """With the step's own arguments, which must fit it; a step's own chain takes its place."""
    own = book(fallbacks=(Fallback(tool="find", args={"name": "x"}), Fallback(tool="phone")))
    assert fallbacks_of(own, TOOLS["book"]) == own.fallbacks
    assert fallbacks_of(book(), TOOLS["book"]) == (Fallback(tool="phone"),)
    assert fallbacks_of(find(), TOOLS["find"]) == fallbacks_of(book(), None) == ()
    with_a_room = {"who": {"name": "ann"}, "room": "9"}
    assert wrong(book(args=with_a_room)) == ["step a: phone has no argument room (the fallback that book declares)"]
    assert wrong(book(args=with_a_room, fallbacks=(Fallback(tool="phone", args={}),))) == []


def test_a_path_must_lead_somewhere_in_one_of_the_results_at_least() -> None:
    """Whichever tool did it: the step's, its fallbacks', or that of an alternative."""
    for word in ("id", "number"):
        assert wrong(book(), find("b", args={"name": to(f"steps.a.{word}")})) == []
    assert wrong(book(), find("b", args={"name": to("steps.a.idd")})) == [
        "step b: steps.a.idd: book returns no idd (did you mean id?)"
    ]
    tags = find("b", args={"name": to("steps.a.tags")})
    assert wrong(book(), find("c", alternative_to="a"), tags) == []


def test_names_inside_an_argument_are_checked_also_beside_references() -> None:
    """What is known before the run is said before it."""
    ref = to("inputs.x")
    assert wrong(book(args={"who": {"name": ref}})) == wrong(book(args={"who": ref})) == []
    assert wrong(book(args={"who": {"nmae": ref}})) == [
        "step a: argument who of book: name is missing",
        "step a: argument who of book: there is no nmae (did you mean name?)",
    ]
    assert wrong(book(args={"who": {"name": ref, "age": "old"}}))[0].startswith("step a: argument who.age of book: ")


# --- alternatives -------------------------------------------------------------------------------------------------


def way(name: str, of: str = "", **fields: Any) -> Step:
    """A step, perhaps an alternative to another."""
    return find(name, alternative_to=of, **fields)


CHAIN = (way("a"), way("b", "a"), way("c", "a"), way("d", "b"))


def test_alternatives_stand_in_in_the_order_of_the_plan() -> None:
    """Those of an alternative come right after it, for they stand in for what it stands in for."""
    assert stand_ins(Plan(steps=CHAIN)) == {"a": ("b", "d", "c"), "b": ("d",)}
    assert stand_ins(Plan(steps=CHAIN[::-1])) == {"a": ("c", "b", "d"), "b": ("d",)}
    assert stand_ins(Plan(steps=(way("a"),))) == {}


def test_alternatives_wait_for_one_another_and_who_refers_waits_for_all() -> None:
    """So at most one is done, and there is one result to be had."""
    others = stand_ins(Plan(steps=CHAIN))
    assert {step.id: waits_for(step, others) for step in CHAIN} == {"a": (), "b": ("a",), "c": ("a", "b", "d"), "d": ("b",)}
    assert waits_for(way("z", args={"name": to("steps.a")}), others) == ("a", "b", "d", "c")
    assert waits_for(way("z", after=("b",)), others) == ("b", "d")
    assert waits_for(CHAIN[2]) == ("a",)
    assert wrong(*CHAIN, way("z", args={"name": to("steps.a.tags")}, after=("d",))) == []


def test_a_later_plan_may_have_alternatives_to_earlier_steps() -> None:
    """They come behind those there are, each in its place."""
    before = stand_ins(Plan(steps=CHAIN))
    later = Plan(steps=(way("e", "b"), way("f", "e"), way("g", "a"), way("h", "x")))
    assert stand_ins(later, before) == {"a": ("b", "d", "e", "f", "c", "g"), "b": ("d", "e", "f"), "e": ("f",), "x": ("h",)}
    assert wrong(*later.steps, before=("a", "b", "x")) == []
    assert before == stand_ins(Plan(steps=CHAIN)), "what was given is not changed"


def test_a_step_gives_way_to_whatever_may_still_be_done_in_its_place() -> None:
    """Of its own and of what it stands in for; the last one gives way to nothing, and its `stop` stops."""
    others = stand_ins(Plan(steps=CHAIN))
    assert {name: gives_way_to(name, others) for name in "abcdz"} == {
        "a": ("b", "d", "c"), "b": ("d", "c"), "c": (), "d": ("c",), "z": ()
    }  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ((way("a", "a"),), "step a: alternative_to: that is the step itself"),
        ((way("train", "flihgt"), way("flight")), "step train: alternative_to: there is no step flihgt (did you mean flight?)"),
        ((way("a", "b"), way("b", "a")), "the steps a → b → a wait for one another in a circle"),
        ((way("a", "c"), way("b", "a"), way("c", "b")), "wait for one another in a circle"),
        ((way("a"), way("b", "a", args={"name": to("steps.a.tags")})), "step b: it reads a, and it begins only where a was not done"),
        ((way("a"), way("b", "a"), way("c", "a", args={"name": to("steps.b.tags")})), "step c: it reads b, and it begins only where b was not"),
        ((way("a", args={"name": to("steps.b.tags")}), way("b", "a")), "the steps a → b → a wait"),
        ((way("a"), way("x", args={"name": to("steps.a.tags")}), way("b", "a", args={"name": to("steps.x.tags")})),
         "the steps x → b → x wait for one another in a circle (x waits for b, which may stand in for a)"),
        ((way("a"), way("b", "a", after=("c",)), way("c", "a")), "the steps b → c → b wait"),
        ((way("a"), *(way(f"b{n}", "a") for n in range(ALTERNATIVES_MAX + 1))), f"step a: it has more than {ALTERNATIVES_MAX} alternatives"),
        ((find(undoes="bb"), find("b")), "step a: undoes: there is no step bb (did you mean b?)"),
        ((find(undoes="a"),), "step a: undoes: that is the step itself"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_alternative(steps: tuple[Step, ...], problem: str) -> None:
    """One thing, one sentence."""
    (found,) = wrong(*steps)
    assert problem in found


def test_alternatives_have_a_bound_that_keeps_the_checking_short() -> None:
    """Also in a long chain of them, and in a crowd."""
    assert wrong(way("a"), *(way(f"b{n}", "a") for n in range(ALTERNATIVES_MAX))) == []
    chain = [way("s0"), *(way(f"s{n}", f"s{n - 1}") for n in range(1, 3000))]
    assert f"step s0: it has more than {ALTERNATIVES_MAX} alternatives, those of its alternatives included" in wrong(*chain)
    crowd = [way("s0"), *(way(f"s{n}", "s0") for n in range(1, 3000))]
    assert len([line for line in wrong(*crowd) if "more than" in line]) == 1


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(-1, 6)), max_size=10), st.data())
def test_alternatives_of_any_shape_are_in_order_or_in_a_circle(links: list[tuple[int, int]], data: st.DataObject) -> None:
    """Where nothing is wrong: each waits for all that come before it, is behind its own, and the same comes of two plans as of
    one."""
    of = {f"s{one}": f"s{other}" if other >= 0 else "" for one, other in links}
    steps = [way(f"s{n}", of.get(f"s{n}", "")) for n in range(7)]
    if wrong(*steps):
        return
    others = stand_ins(Plan(steps=tuple(steps)))
    for name, each in others.items():
        assert name not in each and len(set(each)) == len(each)
        for at, other in enumerate(each):
            step = next(step for step in steps if step.id == other)
            assert step.alternative_to in (name, *each[:at])
            below: set[str] = set()
            left = [other]
            while left:
                below_it = left.pop()
                waited = waits_for(next(step for step in steps if step.id == below_it), others)
                left.extend(set(waited) - below)
                below.update(waited)
            assert {name, *each[:at]} <= below
    order = sorted(steps, key=lambda step: (len(_above(step, of)), int(step.id[1:])))
    cut = data.draw(st.integers(0, 7))
    first = stand_ins(Plan(steps=tuple(order[:cut])))
    assert {k: set(v) for k, v in stand_ins(Plan(steps=tuple(order[cut:])), first).items()} == {
        k: set(v) for k, v in others.items()
    }


def _above(step: Step, of: dict[str, str]) -> list[str]:
    """What a step is an alternative to, and so on."""
    found, name = [], step.id
    while name := of.get(name, ""):
        found.append(name)
    return found


# --- facts and conditions ---------------------------------------------------------------------------------------------


def sound(*steps: Step, facts: Any = None, observes: dict[str, str] | None = None) -> list[str]:
    """What is wrong with a plan of tools that take anything."""
    tools = {name: Contract(tool=name, safety="read", observes=(observes or {}) if name == "t" else {}) for name in ("t", "u")}
    return problems(Plan(steps=steps), tools, {"max": 1}, facts=facts)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"needs_fresh": ("a\nb",)}, "is no name of a fact"),
        ({"rests_on": ("",)}, "is no name of a fact"),
        ({"rests_on": ("steps.b",)}, "begins what is said of a step"),
        ({"abort_when": "facts."}, "is not a jmespath expression"),
        ({"abort_when": "args.n > `1`"}, "starts at 'args'"),
        ({"ask_when": "result.n"}, "starts at 'result'"),
        ({"abort_when": "facts"}, "name the fact"),
        ({"abort_when": "steps.gone.n"}, "there is no step gone"),
        ({"abort_when": "steps.a.n"}, "is this step itself"),
        ({"ask_when": "inputs.most > `1`"}, "names the input most"),
        ({"confidence": 1.5}, "confidence"),
    ],
)
def test_what_a_step_says_of_facts_and_conditions_is_checked(fields: dict[str, Any], said: str) -> None:
    """Before anything runs."""
    (problem,) = sound(Step(id="a", tool="t", **fields))
    assert said in problem and problem.startswith("step a: ")


def test_conditions_that_are_sound() -> None:
    """Over inputs, steps and facts; and the arguments where a person would be asked."""
    step = Step(
        id="a", tool="t", abort_when="steps.b.n > inputs.max", ask_when="args.amount > facts.limit", needs_fresh=("limit",),
        rests_on=("offer.price",), args={"p": {"$ref": 'facts."offer.price"'}},
    )  # fmt: skip
    assert sound(step, Step(id="b", tool="u")) == []
    assert waits_for(step) == ("b",), "a condition waits for what it names"
    assert (reads(step), needs(step)) == (("b",), ()), "and does without"
    assert believes(step) == ("offer.price", "limit")


def test_conditions_that_wait_for_one_another_are_a_circle() -> None:
    """As references are."""
    a, b = Step(id="a", tool="t", abort_when="steps.b"), Step(id="b", tool="t", ask_when="steps.a")
    assert any("circle" in problem for problem in sound(a, b))


def test_a_fact_that_nobody_will_ever_know_is_a_problem_of_the_plan() -> None:
    """Where it is known what is known: no tool observes it, no input has it, nobody has told it."""
    step = Step(id="a", tool="t", needs_fresh=("seats UA1", "max", "told"), args={"r": {"$ref": "facts.rate"}})
    assert sound(step) == []
    assert sound(step, facts=("told", "rate"), observes={"seats {flight}": "left"}) == []
    found = sound(step, facts=("told",))
    assert len(found) == 2 and all("no tool observes it" in problem for problem in found)
    does_without = Step(id="a", tool="t", args={"r": {"$ref": "facts.rate", "default": 1}}, rests_on=("rate",))
    assert sound(does_without, facts=()) == []


def test_every_form_of_a_step_says_what_it_rests_on() -> None:
    """Its arguments, those of its fallbacks, what is looked at afterwards, and what it names."""
    step = Step(
        id="a", tool="t", args={"x": {"$ref": "facts.one"}}, fallbacks=(Fallback(tool="u", args={"x": {"$ref": "facts.two"}}),),
        expect=Expect(tool="u", args={"x": {"$ref": "facts.three"}}), rests_on=("four",), needs_fresh=("five", "one"),
    )  # fmt: skip
    assert believes(step) == ("one", "two", "three", "four", "five")
    assert expected(step, {}, {}.__getitem__, {"three": 3}.__getitem__) == Expect(tool="u", args={"x": 3})
