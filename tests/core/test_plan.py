"""Is a plan sound? Everything that is wrong is found before anything runs, all at once, each as a sentence."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.contract import Contract, Retry
from holdfast.core.plan import Fallback, Plan, Step, needs, plain_plan, problems, schema_problem, waits_for
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
