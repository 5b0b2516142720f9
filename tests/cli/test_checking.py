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


def test_the_promises_of_a_contract_are_told_in_words(cli: Cli, folder: Path) -> None:
    """What is owed, what is enough, what undoes it, what else it changes, when nobody calls it."""
    (folder / "rich.py").write_text(
        "from holdfast import Call, tool\n"
        "@tool(safety='idempotent')\ndef cancel(id: str) -> None: ...\n"
        "def where(to: str): ...\n"
        "@tool(safety='keyed', key_ttl='forever', poll=where, poll_every='30s..10m', owed_within='24h', at_deadline='repeat', repeats=2,\n"
        "      callback=True, visible_within='10m', business_key='to', scope='store', sufficient='rooms > `0`',\n"
        "      undo={'tool': 'cancel', 'args': {'id': {'$ref': 'result.id'}}}, changes=('credit',), rate='10/1m',\n"
        "      breaker={'failures': 5, 'within': '1m', 'open': '30s'}, heartbeat='30s', result_max='1MB', oversize='cut')\n"
        "def book(to: str, call: Call) -> dict: ...\n"
    )
    view = next(record for record in cli("check", "rich.py", "--json").records if record["tool"] == "book")
    assert view["promises"] == {
        "business": "to, in all runs of the store",
        "undo": 'cancel with {"id":{"$ref":"result.id"}}',
        "owed": "up to 1d, delivered by callback or looked for every 30s to 10m; then it is made again under a new key, 2 times; then a person is asked",
        "shows": "to those who look up to 10m after it was done",
        "enough": "where rooms > `0`",
        "changes": "credit",
        "rate": "at most 10 calls in 1m, over all workers",
        "circuit": "after 5 failures in a row within 1m nobody calls it for 30s",
        "alive": "it is given up when it reports no progress for 30s",
        "result": "at most 1 MB; a larger one is cut",
    }
    told = cli("check", "rich.py").out
    assert all(f"    {word:<9}  {said}\n" in told for word, said in view["promises"].items()), told


def test_agents_below_an_agent_are_checked_with_it(cli: Cli, folder: Path) -> None:
    """Each is a tool of the one above, and its own tools are told too."""
    (folder / "research.yaml").write_text(
        "agent: research\ngoal: Find out\ntools: tools.py\ninputs: {topic: {type: string}}\n"
        "steps: {a: {tool: look, args: {name: {$ref: inputs.topic}}}}\n"
    )
    (folder / "trip.yaml").write_text(
        "agents: research.yaml\nsteps: {b: {agent: research, inputs: {topic: x}, limits: {attempts: 5}}}\n"
    )
    ended = cli("check", "trip.yaml")
    assert ended.err == (
        "agent trip: 0 tools, agents research; its plan of 1 steps is sound\nagent research: 8 tools; its plan of 1 steps is sound\n"
    )
    block = ended.out.partition("research  keyed\n")[2].partition("\nlook  ")[0]
    for part in (
        "Find out",
        "inputs: {topic}; limits: object, optional",
        "starts     a run of the agent research",
        "owed       up to 90d; then a person",
    ):
        assert part in block, ended.out


# --- the schema ---------------------------------------------------------------------------------------------------

STEP: dict[str, Any] = {"tool": "look", "args": {"name": "x"}}
GOOD: dict[str, Any] = {
    "the smallest": {"steps": {"a": {"tool": "look"}}},
    "everything": {
        "agent": "x", "version": 1.2, "goal": "g", "description": ["any", "thing"], "tools": ["a.py", "b.c"], "secrets": "badge",
        "inputs": {"n": {"type": "integer", "optional": True}},
        "limits": {
            "parallel": 4, "steps": 10, "attempts": 10, "turns": 3, "wall": "1h30m", "person": 3600, "lost": 2, "idle_turns": 3, "hold": "1h",
            "children": 2, "changes": {"credit": 2.5},
        },
        "agents": ["research.py", "plan.yaml"], "on_stop": "ask",
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
            "d": {"tool": "look", "alternative_to": "c", "expect": "rooms > `0`"},
            "e": {"tool": "look", "expect": {"that": "ok", "tool": "look", "args": {"name": {"$ref": "result.name"}}}},
            "f": {
                "agent": "research", "goal": "g", "inputs": {"n": {"$ref": "inputs.n"}}, "detached": True,
                "limits": {"attempts": 20, "wall": "2d", "steps": {"$ref": "inputs.n"}, "changes": {"credit": 1}},
            },
            "g": {"agent": "research", "goal": {"$ref": "inputs.n"}, "limits": {"$ref": "inputs.n"}, "optional": True},
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
    "changes in a number": {"steps": {"a": STEP}, "limits": {"changes": 5}},
    "a change below nothing": {"steps": {"a": STEP}, "limits": {"changes": {"credit": -1}}},
    "no time to hold": {"steps": {"a": STEP}, "limits": {"hold": 0}},
    "an unknown end of a run": {"steps": {"a": STEP}, "on_stop": "explode"},
    "agents in a table": {"steps": {"a": STEP}, "agents": {"a": "b"}},
    "several originals": {"steps": {"a": {**STEP, "alternative_to": ["b"]}}},
    "an original of no name": {"steps": {"a": {**STEP, "alternative_to": ""}}},
    "nothing expected": {"steps": {"a": {**STEP, "expect": {}}}},
    "an empty expectation": {"steps": {"a": {**STEP, "expect": " "}}},
    "an unknown part of an expectation": {"steps": {"a": {**STEP, "expect": {"tools": "look"}}}},
    "args of a look in a list": {"steps": {"a": {**STEP, "expect": {"tool": "look", "args": []}}}},
    "a tool and an agent": {"steps": {"a": {**STEP, "agent": "research"}}},
    "args of an agent": {"steps": {"a": {"agent": "research", "args": {}}}},
    "a goal of a tool": {"steps": {"a": {**STEP, "goal": "g"}}},
    "a goal of an agent in a list": {"steps": {"a": {"agent": "research", "goal": ["g"]}}},
    "inputs of an agent in a list": {"steps": {"a": {"agent": "research", "inputs": ["n"]}}},
    "an unknown limit of an agent": {"steps": {"a": {"agent": "research", "limits": {"attemps": 1}}}},
    "a limit of an agent in words": {"steps": {"a": {"agent": "research", "limits": {"attempts": "many"}}}},
    "detached in words": {"steps": {"a": {"agent": "research", "detached": "yes"}}},
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
