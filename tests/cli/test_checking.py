"""`check` and `schema`: what is declared, before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from holdfast.cli.schema import plan_schema
from holdfast.errors import HoldfastError
from holdfast.reasoners import planfile
from tests.cli.kit import PLANS, Cli


def test_every_tool_says_in_one_line_what_happens_after_a_crash(cli: Cli) -> None:
    """In the words of the recovery table."""
    views = {record["tool"]: record for record in cli("check", "grant.yaml", "--json").records}
    assert views["look"]["after_crash"].startswith("a read changes nothing; it is done again")
    assert views["grant"]["after_crash"].startswith("the other side drops repeats of this key")
    assert "once its key is older than 1d: a person is asked" in views["grant"]["after_crash"]
    assert views["pay"]["after_crash"] == "it can neither be repeated nor looked up; only a person can tell; a person is asked"
    assert (views["pay"]["asks_first"], views["grant"]["asks_first"]) == (True, False)


def test_a_person_reads_the_whole_contract(cli: Cli) -> None:
    """Arguments with their types, times, retries, who is asked."""
    ended = cli("check", "grant.yaml")
    assert ended.code == 0
    assert ended.err == "agent grant: 8 tools; its plan of 2 steps is sound\n"
    block = ended.out.partition("\ngrant  keyed\n")[2].partition("\npay  ")[0]
    for part in ("Grant access.", "takes      name: string; level: integer, optional", "timeout    20s", "key lives  1d"):
        assert part in block, block


def test_a_file_with_tools_alone_and_one_with_several_agents_can_be_checked(cli: Cli, folder: Path) -> None:
    """No choice is needed, for nothing runs."""
    assert len(cli("check", "tools.py", "--json").records) == 8
    (folder / "two.py").write_text(
        "from holdfast import Agent\nfrom tools import look, pay\n"
        "a = Agent('a', tools=[look], reasoner=print)\nb = Agent('b', tools=[look, pay], reasoner=print)\n"
    )
    assert [record["tool"] for record in cli("check", "two.py", "--json").records] == ["look", "pay"]
    assert [record["tool"] for record in cli("check", "two.py:a", "--json").records] == ["look"]


def test_every_problem_of_a_plan_is_told_at_once(cli: Cli, folder: Path) -> None:
    """Each on its line."""
    (folder / "bad.yaml").write_text(
        "tools: tools.py\nsteps:\n"
        "  a: {tool: lok, args: {}}\n  b: {tool: look, args: {nam: x}}\n  c: {tool: pay, args: {to: 1}}\n"
    )
    ended = cli("check", "bad.yaml")
    assert ended.code == 2
    assert ended.err.splitlines()[0] == "holdfast: bad.yaml has 4 problems:"
    assert len(ended.err.splitlines()) == 5


# --- the schema ---------------------------------------------------------------------------------------------------

STEP: dict[str, Any] = {"tool": "look", "args": {"name": "x"}}
GOOD: dict[str, Any] = {
    "the smallest": {"steps": {"a": {"tool": "look"}}},
    "everything": {
        "agent": "x", "version": 1.2, "goal": "g", "description": ["any", "thing"], "tools": ["a.py", "b.c"], "secrets": "badge",
        "inputs": {"n": {"type": "integer", "optional": True}},
        "limits": {"parallel": 4, "steps": 10, "attempts": 10, "turns": 3, "wall": "1h30m", "person": 3600, "lost": 2},
        "result": {"$ref": "steps.a"},
        "steps": {
            "a": {
                "tool": "look", "args": {"name": {"$ref": "inputs.n", "default": 1}}, "after": ["b"], "timeout": "20s",
                "retry": {"attempts": 5, "backoff": "2s..60s", "factor": 2, "jitter": 0.5}, "optional": True,
                "fallback": [{"tool": "b", "args": {"x": {"$literal": {"$ref": "y"}}}}, "c"], "approve": "always",
                "occurrence": 2, "description": "why",
            },
            "b": {"tool": "look", "after": "c", "retry": 3, "on_failure": "flag", "fallback": "d", "timeout": 1.5},
            "c": {"tool": "look", "retry": {"backoff": 2}, "on_failure": "ask"},
        },
    },
}  # fmt: skip
BAD: dict[str, Any] = {
    "a list": [],
    "a text": "steps",
    "nothing": None,
    "no steps": {"goal": "x"},
    "steps in a list": {"steps": [STEP]},
    "no step in steps": {"steps": {}},
    "a key of the file": {"steps": {"a": STEP}, "stps": {}},
    "a key of a step": {"steps": {"a": {**STEP, "tols": 1}}},
    "a step that is a text": {"steps": {"a": "look"}},
    "no tool": {"steps": {"a": {"args": {}}}},
    "an empty tool": {"steps": {"a": {"tool": ""}}},
    "a tool that is a number": {"steps": {"a": {"tool": 1}}},
    "args in a list": {"steps": {"a": {"tool": "look", "args": ["x"]}}},
    "after a number": {"steps": {"a": {**STEP, "after": 1}}},
    "retry in words": {"steps": {"a": {**STEP, "retry": "often"}}},
    "no attempt": {"steps": {"a": {**STEP, "retry": 0}}},
    "too many attempts": {"steps": {"a": {**STEP, "retry": 1001}}},
    "an unknown part of retry": {"steps": {"a": {**STEP, "retry": {"tries": 3}}}},
    "a factor that shrinks": {"steps": {"a": {**STEP, "retry": {"factor": 0.5}}}},
    "more jitter than all": {"steps": {"a": {**STEP, "retry": {"jitter": 2}}}},
    "backoff in words": {"steps": {"a": {**STEP, "retry": {"backoff": "soon"}}}},
    "a timeout in words": {"steps": {"a": {**STEP, "timeout": "soon"}}},
    "a negative timeout": {"steps": {"a": {**STEP, "timeout": -1}}},
    "optional in words": {"steps": {"a": {**STEP, "optional": "yes"}}},
    "an unknown end": {"steps": {"a": {**STEP, "on_failure": "explode"}}},
    "never asking": {"steps": {"a": {**STEP, "approve": "never"}}},
    "an occurrence in words": {"steps": {"a": {**STEP, "occurrence": "2"}}},
    "a fallback without a tool": {"steps": {"a": {**STEP, "fallback": {"args": {}}}}},
    "a fallback with more": {"steps": {"a": {**STEP, "fallback": {"tool": "b", "retry": 1}}}},
    "an unknown limit": {"steps": {"a": STEP}, "limits": {"paralel": 1}},
    "a limit of nothing": {"steps": {"a": STEP}, "limits": {"parallel": 0}},
    "a limit in words": {"steps": {"a": STEP}, "limits": {"steps": "many"}},
    "limits in a list": {"steps": {"a": STEP}, "limits": []},
    "inputs in a list": {"steps": {"a": STEP}, "inputs": ["n"]},
    "an input that is no schema": {"steps": {"a": STEP}, "inputs": {"n": "integer"}},
    "tools in a table": {"steps": {"a": STEP}, "tools": {"a": "b"}},
    "a goal in a list": {"steps": {"a": STEP}, "goal": ["x"]},
}


def schema_takes(data: Any) -> bool:
    """Whether the schema lets a plan through."""
    return bool(jsonschema_rs.validator_for(plan_schema()).is_valid(data))


def reader_takes(data: Any) -> bool:
    """Whether the reader of plan files does."""
    try:
        planfile.parse(data)
    except HoldfastError:
        return False
    return True


@pytest.mark.parametrize("name", GOOD)
def test_the_schema_takes_what_the_reader_takes(name: str) -> None:
    """All keys, in all their forms."""
    assert reader_takes(GOOD[name])
    assert schema_takes(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_the_schema_refuses_what_the_reader_refuses(name: str) -> None:
    """One thing wrong at a time."""
    assert not reader_takes(BAD[name])
    assert not schema_takes(BAD[name])


@pytest.mark.parametrize("name", ["a-b", "1st", "a b", ""])
def test_names_that_no_reference_could_spell_are_refused_by_the_schema_and_the_check(cli: Cli, folder: Path, name: str) -> None:
    """Letters, digits, underscores."""
    plan = {"tools": "tools.py", "steps": {name: STEP}}
    (folder / "plan.json").write_text(json.dumps(plan))
    assert not schema_takes(plan)
    assert "an id has letters, digits and underscores" in cli("check", "plan.json").err


@pytest.mark.parametrize("name", PLANS)
def test_the_plans_of_these_tests_fit_the_schema(name: str) -> None:
    """They run, so they must."""
    assert schema_takes(yaml.safe_load(PLANS[name]))


def test_the_schema_has_the_very_keys_that_the_reader_accepts() -> None:
    """Not one more or less, of the file, a step and the limits."""
    schema = plan_schema()
    properties = schema["properties"]
    assert tuple(properties) == planfile.FILE_KEYS
    assert tuple(properties["steps"]["additionalProperties"]["properties"]) == planfile.STEP_KEYS
    assert tuple(properties["limits"]["properties"]) == tuple(planfile.LIMIT_KEYS)


def test_the_schema_is_printed_and_is_itself_a_schema(cli: Cli) -> None:
    """For `holdfast schema plan > plan.schema.json`."""
    printed = json.loads(cli("schema", "plan").out)
    assert printed == plan_schema()
    assert jsonschema_rs.meta.is_valid(printed)
