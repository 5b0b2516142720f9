"""A plan that somebody wrote down: every part of a file, and every way in which a file can be wrong.

What is wrong with the *plan* (unknown tools, arguments, circles) is in `tests/core/test_plan.py`; the files as a user of the
command line sees them are in `tests/cli/test_bad_input.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.core.contract import Retry
from holdfast.core.limits import Limits
from holdfast.core.plan import Expect, Fallback, Goal, Plan, Step
from holdfast.errors import LoadError, PlanError
from holdfast.reasoners.base import Briefing, Propose
from holdfast.reasoners.planfile import PlanFile, PlanReasoner, load, parse, step_of
from tests import strategies as s

WHOLE = """
agent: onboarding
version: 1.2
goal: Onboard a new hire
description: for people
tools: [tools.py, shop.tools]
agents: research.py
on_stop: undo
inputs: {hire: {type: object}}
limits: {parallel: 4, steps: 50, attempts: 60, turns: 3, wall: 2d, person: 1h, lost: 2, idle_turns: 4, hold: 5m, children: 6, changes: {credit: 2.5}}
secrets: [badge_code]
steps:
  mailbox: {tool: create, args: {user: {$ref: inputs.hire.user}}, description: first}
  vpn:
    tool: grant
    args: {user: {$ref: steps.mailbox.address}, since: 2026-11-20, level: 0b11}
    after: mailbox
    retry: {attempts: 5, backoff: 2s..60s}
    timeout: 20s
    on_failure: flag
    approve: always
    occurrence: 2
    fallback: [grant_by_hand, {tool: grant_old, args: {user: x}}]
  laptop: {tool: order, optional: true, retry: 2}
  desk: {tool: book, alternative_to: laptop, expect: "floor > `0`"}
  chair: {tool: book, expect: {that: ok, tool: look, args: {id: {$ref: result.id}}}}
  brief: {agent: research, goal: Find it, inputs: {hire: {$ref: inputs.hire}}, limits: {attempts: 20, wall: {$ref: inputs.wall}}, detached: true}
  short: {agent: research}
result: {address: {$ref: steps.mailbox.address}}
"""


def written(tmp_path: Path, text: str | bytes, name: str = "plan.yaml") -> Path:
    """A file with this in it."""
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problems(data: Any) -> list[str]:
    """What is wrong with a plan file's data."""
    with pytest.raises(PlanError) as caught:
        parse(data)
    return caught.value.problems


def test_every_part_of_a_file_is_read(tmp_path: Path) -> None:
    """In the words of the file, as the records that the core knows."""
    file = load(written(tmp_path, WHOLE))
    assert file == PlanFile(
        name="onboarding", version="1.2", goal="Onboard a new hire", tools=("tools.py", "shop.tools"),
        inputs={"hire": {"type": "object"}}, secrets=("badge_code",),
        limits=Limits(parallel_max=4, steps_max=50, attempts_max=60, turns_max=3, wall_seconds=172800.0, person_seconds=3600.0, lost_max=2,
                      idle_turns_max=4, hold_seconds=300.0, children_max=6, changes={"credit": 2.5}),
        agents=("research.py",), on_stop="undo",
        plan=Plan(
            steps=(
                Step(id="mailbox", tool="create", args={"user": {"$ref": "inputs.hire.user"}}),
                Step(
                    id="vpn", tool="grant", args={"user": {"$ref": "steps.mailbox.address"}, "since": "2026-11-20", "level": 3}, after=("mailbox",),
                    retry=Retry(attempts_max=5, backoff_seconds=2, backoff_seconds_max=60), timeout_seconds=20.0, on_failure="flag",
                    approve="always", occurrence=2, fallbacks=(Fallback(tool="grant_by_hand"), Fallback(tool="grant_old", args={"user": "x"})),
                ),
                Step(id="laptop", tool="order", on_failure="skip", retry=Retry(attempts_max=2)),
                Step(id="desk", tool="book", alternative_to="laptop", expect=Expect(that="floor > `0`")),
                Step(id="chair", tool="book", expect=Expect(that="ok", tool="look", args={"id": {"$ref": "result.id"}})),
                Step(
                    id="brief", tool="research",
                    args={
                        "goal": "Find it", "inputs": {"hire": {"$ref": "inputs.hire"}}, "limits": {"attempts": 20, "wall": {"$ref": "inputs.wall"}},
                        "detached": True,
                    },
                ),
                Step(id="short", tool="research"),
            ),
            result={"address": {"$ref": "steps.mailbox.address"}},
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "agent"), [("hire.yaml", "hire"), ("hire.yml", "hire"), ("hire.json", "hire"), ("a.b.yaml", "a.b")]
)
def test_a_file_without_a_name_is_called_as_the_file(tmp_path: Path, name: str, agent: str) -> None:
    """Whatever its ending."""
    text = json.dumps({"steps": {"a": {"tool": "t"}}}, indent="\t" if name.endswith(".json") else 1)
    assert load(written(tmp_path, text, name)).name == agent


def test_a_step_that_says_what_follows_is_not_made_optional() -> None:
    """on_failure wins over optional."""
    found: list[str] = []
    step = step_of("a", {"tool": "t", "optional": True, "on_failure": "ask"}, found)
    assert step is not None and step.on_failure == "ask"
    assert found == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"\xff\xfe", "is not UTF-8: byte 0"),
        ("a: [", "is not YAML: line 1"),
        ("a: b: c", "is not YAML: line 1, column 5"),
        ("\tsteps: 1", "is not YAML"),
        ("steps: {a: {tool: t}}\n---\nsteps: {}", "is not YAML"),
        ("a: 1\na: 2", "the key 'a' stands there twice"),
        ("steps: {a: {tool: t}, a: {tool: u}}", "the key 'a' stands there twice"),
        ("1: 2", "the key 1 is no text"),
        ("steps: {no: {tool: t}}", "the key no is no text"),
        ("? {a: 1}\n: 2", "is no text"),
        ("a: &x [1]\nb: *x", "aliases, which are not taken"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]", "aliases, which are not taken"),
        ("a: !!python/object/apply:os.system [ls]", "is not YAML"),
        ("a: !!int many", "is not YAML"),
        ("a: !!float much", "is not YAML"),
        ("a: !!bool maybe", "is not YAML"),
        ("a: !!timestamp soon", "is not YAML"),
        ("a: !!binary é", "is not YAML"),
        ("a: !!binary aGk=", "holds what JSON has not"),
        ("a: !!set {x, y}", "holds what JSON has not"),
        ("a: !!timestamp 2026-11-20", "holds what JSON has not"),
        ("a: .nan", "holds what JSON has not"),
        ("a: -.inf", "holds what JSON has not"),
        ("a: " + "9" * 5000, ""),
        ('a: "\\ud800"', "holds what JSON has not"),
        ("[" * 20_000, "nested too deeply"),
        ("{a: " * 20_000, "nested too deeply"),
        ("x" * 4_000_001, "a plan has at most 4000000"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(tmp_path: Path, text: str | bytes, problem: str) -> None:
    """With the file's name, and where in it; never a traceback, never a guess."""
    path = written(tmp_path, text)
    with pytest.raises((LoadError, PlanError)) as caught:
        load(path)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not JSON: line 1"),
        ('{"a": 1, "a": 2}', "the key 'a' stands there twice"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": -Infinity}', "-Infinity is no number"),
        ('{"a": 1e999}', "holds what JSON has not"),
        ('{"a": "\\ud800"}', "holds what JSON has not"),
        ('{"a": ' + "9" * 5000 + "}", "is not JSON"),
        ("[" * 100_000, "nested too deeply"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_json_is_read_as_json(tmp_path: Path, text: str, problem: str) -> None:
    """Proper, with its own complaints."""
    with pytest.raises(LoadError) as caught:
        load(written(tmp_path, text, "plan.json"))
    assert problem in str(caught.value)


def test_a_file_that_is_not_there_or_no_file(tmp_path: Path) -> None:
    """Said in the system's words."""
    for path in (tmp_path / "gone.yaml", tmp_path):
        with pytest.raises(LoadError, match="cannot be read"):
            load(path)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (None, "it is empty"), ([], "it is a list"), ("x", "it is a text"), (5, "it is a number"), (True, "it is true or false"),
        ({}, "there are no `steps`"),
        ({"steps": {}}, "write a table of steps"), ({"steps": []}, "write a table of steps"), ({"steps": 5}, "write a table of steps"),
    ],
)  # fmt: skip
def test_a_file_without_steps_is_no_plan(data: Any, problem: str) -> None:
    """Whatever else it is."""
    assert any(problem in line for line in problems(data))


SOUND = {"tool": "t"}


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ({"stpes": {}}, "'stpes' is not a part of a plan file (did you mean steps?)"),
        ({"inputs": []}, "inputs: write a table of JSON Schemas"),
        ({"inputs": {"a": "integer"}}, "inputs: write a table of JSON Schemas"),
        ({"tools": 5}, "tools: write a name or a list of names"),
        ({"tools": ["a", 5]}, "tools: write a name or a list of names"),
        ({"secrets": {"a": 1}}, "secrets: write a name or a list of names"),
        ({"agent": []}, "agent: write a text, not a list"),
        ({"goal": {}}, "goal: write a text, not a table"),
        ({"limits": None}, "limits: write a table"),
        ({"limits": {"paralel": 3}}, "there is no limit 'paralel'"),
        ({"limits": {"parallel": 0}}, "parallel is a whole number of at least 1, not 0"),
        ({"limits": {"parallel": True}}, "parallel is a whole number"),
        ({"limits": {"parallel": 1.5}}, "parallel is a whole number"),
        ({"limits": {"wall": "soon"}}, "limits: wall: 'soon' is not a duration"),
        ({"limits": {"hold": 0}}, "limits: hold must be more than nothing"),
        ({"limits": {"idle_turn": 3}}, "there is no limit 'idle_turn' (did you mean idle_turns?)"),
        ({"limits": {"children": 0}}, "children is a whole number of at least 1, not 0"),
        ({"limits": {"changes": 5}}, "limits: changes is a number, not a table such as {credit: 100}"),
        ({"limits": {"changes": {"credit": -1}}}, "limits: changes: credit is a number of at least 0, not -1"),
        ({"limits": {"changes": {"credit": True}}}, "limits: changes: credit is a number of at least 0"),
        ({"agents": 5}, "agents: write a name or a list of names"),
        ({"agent": "a", "agnets": []}, "'agnets' is not a part of a plan file (did you mean agents?)"),
        ({"on_stop": "undoo"}, "on_stop is 'undoo' (did you mean undo?)"),
        ({"on_stop": True}, "on_stop is True (it is one of keep, undo, ask)"),
    ],
)
def test_what_is_wrong_beside_the_steps(part: dict[str, Any], problem: str) -> None:
    """One thing, one sentence."""
    (found,) = problems({"steps": {"a": SOUND}, **part})
    assert problem in found


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (None, "it is empty, not a table with `tool`"),
        ("t", "it is a text, not a table"),
        ({}, "`tool` must name a tool"),
        ({"tool": ""}, "`tool` must name a tool"),
        ({"tool": ["t"]}, "`tool` must name a tool"),
        ({"tool": "t", "arguments": {}}, "'arguments' is not a part of a step (it is one of tool, args"),
        ({"tool": "t", "args": [1]}, "args is a list, not a table"),
        ({"tool": "t", "args": None}, "args is empty, not a table"),
        ({"tool": "t", "optional": "yes"}, "optional is true or false"),
        ({"tool": "t", "on_failure": "retry"}, "on_failure is 'retry' (it is one of stop, skip, flag, ask, hand_off)"),
        ({"tool": "t", "on_failure": ["stop"]}, "on_failure is ['stop']"),
        ({"tool": "t", "approve": "never"}, "approve can only be `always`"),
        ({"tool": "t", "approve": True}, "approve can only be `always`"),
        ({"tool": "t", "occurrence": "2"}, "occurrence is a whole number"),
        ({"tool": "t", "occurrence": True}, "occurrence is a whole number"),
        ({"tool": "t", "after": {"a": 1}}, "after: write a name or a list of names"),
        ({"tool": "t", "retry": "often"}, "retry: 'often' is neither a number of attempts nor a table"),
        ({"tool": "t", "retry": {"attempts": 0}}, "retry: needs 1 to 1000 attempts"),
        ({"tool": "t", "retry": None}, "retry: None is neither"),
        ({"tool": "t", "timeout": "soon"}, "timeout: 'soon' is not a duration"),
        ({"tool": "t", "timeout": None}, "timeout: None is not a duration"),
        ({"tool": "t", "fallback": 5}, "a fallback is the name of a tool"),
        ({"tool": "t", "fallback": None}, "a fallback is the name of a tool"),
        ({"tool": "t", "fallback": [{"args": {}}]}, "a fallback is the name of a tool"),
        ({"tool": "t", "fallback": [{"tool": "u", "retry": 3}]}, "a fallback is the name of a tool"),
        ({"tool": "t", "fallback": [{"tool": "u", "args": 5}]}, "a fallback is the name of a tool"),
        ({"tool": "t", "alternative_to": ["a"]}, "alternative_to names one step, not a list"),
        ({"tool": "t", "alternative_to": ""}, "alternative_to names one step"),
        ({"tool": "t", "alternative": "b"}, "'alternative' is not a part of a step (did you mean alternative_to?)"),
        ({"tool": "t", "expect": None}, "expect is a jmespath expression over the result, or {that"),
        ({"tool": "t", "expect": {}}, "expect is a jmespath expression over the result, or {that"),
        ({"tool": "t", "expect": ""}, "expect: that is empty, not a text"),
        ({"tool": "t", "expect": {"that": 5}}, "expect: that is a number, not a text"),
        ({"tool": "t", "expect": {"tool": "u", "args": []}}, "expect: args is a list, not a table"),
        ({"tool": "t", "expect": {"tools": "u"}}, "expect: 'tools' is not a part of it (did you mean tool?)"),
        ({"tool": "t", "goal": "x"}, "goal is for a step with `agent`; a tool has `args`"),
        ({"tool": "t", "limits": {}}, "limits is for a step with `agent`"),
        ({"agent": "r", "args": {}}, "args cannot stand beside `agent`"),
        ({"agent": "r", "tool": "t"}, "tool cannot stand beside `agent`"),
        ({"agent": ""}, "`agent` must name an agent"),
        ({"agent": 5}, "`agent` must name an agent"),
        ({"agent": "r", "goal": 5}, "goal is a number, not a text"),
        ({"agent": "r", "inputs": ["x"]}, "inputs is a list, not a table"),
        ({"agent": "r", "limits": 5}, "limits is a number, not a table"),
        ({"agent": "r", "limits": {"attemps": 5}}, "limits: there is no limit 'attemps' (did you mean attempts?)"),
        ({"agent": "r", "limits": {"attempts": 0}}, "limits: attempts is a whole number of at least 1"),
        ({"agent": "r", "detached": "yes"}, "detached is true or false"),
    ],
)
def test_what_is_wrong_with_a_step(step: Any, problem: str) -> None:
    """One thing, one sentence, with the step's name."""
    (found,) = problems({"steps": {"a": step, "b": SOUND}})
    assert found.startswith("step a: ")
    assert problem in found


def test_all_problems_of_form_are_told_at_once() -> None:
    """Nobody mends a file one error a try; what is sound is passed over."""
    found = problems(
        {"gaol": 1, "limits": {"x": 1}, "steps": {"a": {}, "b": SOUND, "c": {"tool": "t", "retry": 0, "timeout": "x"}}}
    )
    assert len(found) == 5


@settings(max_examples=200)
@given(
    st.recursive(
        s.json_values,
        lambda inner: st.dictionaries(st.sampled_from(["steps", "tool", "args", "limits", "retry", "a"]), inner, max_size=4),
    )
)
def test_no_data_breaks_the_reading(data: Any) -> None:
    """Any JSON is a plan file or has problems, each a sentence."""
    try:
        assert isinstance(parse(data), PlanFile)
    except PlanError as error:
        assert error.problems
        assert all(len(problem) > 3 for problem in error.problems)


async def test_a_plan_is_proposed_whole_whenever_it_is_asked_for() -> None:
    """A fixed plan is a reasoner of one thought."""
    plan = Plan(steps=(Step(id="a", tool="t"),))
    briefing = Briefing(run_id="r", goal=Goal(), turn=1, steps=(), tools=())
    assert await PlanReasoner(plan).propose(briefing) == Propose(plan=plan, reason="the plan as written")


# --- facts and conditions ---------------------------------------------------------------------------------------------


def one_step(**form: Any) -> tuple[Step | None, list[str]]:
    """A step as somebody wrote it, and what is wrong with it."""
    found: list[str] = []
    return step_of("a", {"tool": "t", **form}, found), found


def test_a_step_says_what_it_rests_on_and_when_it_is_not_begun() -> None:
    """One name or several; expressions as texts."""
    made, found = one_step(
        needs_fresh="price", rests_on=["city", "hotel"], abort_when="facts.price > `9`", ask_when="args.n > `1`"
    )
    assert found == []
    assert made == Step(
        id="a", tool="t", needs_fresh=("price",), rests_on=("city", "hotel"), abort_when="facts.price > `9`",
        ask_when="args.n > `1`",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"needs_fresh": {"price": 1}}, "needs_fresh: write a name or a list of names"),
        ({"rests_on": 3}, "rests_on: write a name or a list of names"),
        ({"abort_when": True}, "abort_when is a jmespath expression over inputs, steps and facts, not true or false"),
        ({"abort_when": ""}, "not empty"),
        ({"ask_when": ["x"]}, "ask_when is a jmespath expression over inputs, steps and facts, not a list"),
        ({"ask_when": None}, "not empty"),
        ({"on_failure": "replan"}, "a plan that is written down is not made again"),
        ({"on_failure": "retry"}, "it is one of stop, skip, flag, ask"),
    ],
)
def test_what_a_step_cannot_say_of_them(form: dict[str, Any], said: str) -> None:
    """With the step and the key."""
    made, (problem,) = one_step(**form)
    assert made is None
    assert said in problem and problem.startswith("step a: ")
