"""`check` of who is asked first: a tool's condition and approvers, and the rules of an agent's policy; `schema policy`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast.cli.schema import policy_schema
from tests.cli.kit import Cli

AGENT = """
from holdfast import Agent, Hours, Ladder, Policy, Rule, Rung, tool

@tool(safety="keyed", key_ttl="24h", approve="amount > 500", approvers=["finance", "heads"])
def refund(order: str, amount: float) -> str: return order

@tool(safety="idempotent", approvers="finance")
def note(text: str) -> None: ...

@tool(safety="idempotent")
def free(text: str) -> None: ...

@tool(approve="always", approvers="ann")
def close(shop: str) -> None: ...

def looks_odd(proposed): return True

ladder = Ladder(
    rungs=(Rung(who=("finance",), seconds=14400, remind_seconds=3600), Rung(who=("heads",), seconds=28800)),
    hours=Hours(timezone="Europe/Berlin", holidays=("2026-12-25",)), at_deadline="hand_off", hand_off_to=("heads",),
)
policy = Policy(name="refunds", version="3", who=("finance",), ladder=ladder, rules=(
    Rule(name="blocked", then="block", when="args.country == 'XX'"),
    Rule(name="small", then="never", when="amount <= 50", tools=("refund",)),
    Rule(name="middling", then="sample", rate=0.2, when="amount <= 500"),
    Rule(name="odd", check="looks_odd", standing=False),
    Rule(name="large", people=2, who=("heads",), ladder=Ladder(rungs=(Rung(seconds=3600),))),
    Rule(name="big plans", on="plan", when="steps > 10"),
))
agent = Agent("shop", tools=[refund, note, free, close], reasoner=print, policy=policy, checks=[looks_odd])
"""


@pytest.fixture
def shop(folder: Path) -> Path:
    """A file with an agent that has a policy."""
    path = folder / "shop_policy.py"
    path.write_text(AGENT)
    return path


def test_a_tool_says_who_is_asked_and_when(cli: Cli, shop: Path) -> None:
    """By its condition, by name; nothing where nobody is."""
    asks = {record["tool"]: record["asks"] for record in cli("check", shop.name, "--json").records if "tool" in record}
    assert asks == {
        "refund": "finance, heads, before a call where amount > 500, or where that cannot be worked out",
        "note": "finance, where a rule of the policy says so",
        "free": "",
        "close": "ann, before each call",
    }
    out = cli("check", shop.name).out
    assert out.count("    asks       ") == 4  # One of them is the policy's.
    assert f"    asks       {asks['refund']}\n" in out


def test_the_rules_of_a_policy_are_one_block_in_their_order(cli: Cli, shop: Path) -> None:
    """When each matches, what follows, and how people are asked."""
    out = cli("check", shop.name).out
    block = out[out.index("policy refunds@3  of shop\n") :]
    assert block == (
        "policy refunds@3  of shop\n"
        "    blocked  all calls where args.country == 'XX': it is not made\n"
        "    small  calls of refund where amount <= 50: nobody is asked\n"
        "    middling  all calls where amount <= 500: a person is asked for 20 % of them\n"
        "    odd  all calls where looks_odd says yes: a person is asked; no standing approval will do\n"
        "    large  all calls: heads, 2 of them are asked; for 1h, then it is rejected\n"
        "    big plans  all plans where steps > 10: a person is asked\n"
        "    asks       finance; finance for 4h, reminded every 1h, then heads for 8h (working time, Mon Tue Wed Thu Fri 09:00 to "
        "17:00 Europe/Berlin, but 1 holiday), then it is handed off to heads for 7d, then rejected\n"
        "    refused    what is refused 2 times and asked for again stops the run\n"
    )


def test_machines_read_the_same(cli: Cli, shop: Path) -> None:
    """One record for the policy."""
    (view,) = [record for record in cli("check", shop.name, "--json").records if "policy" in record]
    assert (view["agent"], view["policy"], [rule["name"] for rule in view["rules"]]) == (
        "shop", "refunds@3", ["blocked", "small", "middling", "odd", "large", "big plans"],
    )  # fmt: skip


def test_a_policy_that_does_not_fit_is_refused(cli: Cli, folder: Path) -> None:
    """As a plan is that does not."""
    (folder / "bad_policy.py").write_text(AGENT.replace('check="looks_odd"', 'check="looks_od"'))
    ended = cli("check", "bad_policy.py")
    assert ended.code == 2
    assert "looks_od" in ended.err


def test_the_schema_of_policies_is_printed(cli: Cli) -> None:
    """For `holdfast schema policy > policy.schema.json`."""
    assert json.loads(cli("schema", "policy").out) == policy_schema()
