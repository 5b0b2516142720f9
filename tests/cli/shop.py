"""A shop whose agent has a policy, for the tests of what people see and say: an order of 40 passes, one of 120 asks finance, one
of 812.5 asks two of them."""

from __future__ import annotations

from pathlib import Path

from tests.cli.kit import Cli

AGENT = '''
from holdfast import Agent, Ladder, Policy, Rule, Rung, tool

TOTALS = {"o-1": 812.5, "o-2": 40.0, "o-3": 120.0, "o-4": 130.0}

@tool(safety="read", untrusted=True)
def look(order: str) -> dict:
    """Look an order up."""
    return {"total": TOTALS[order], "mail": "\\x1b[31mx@y.test"}

@tool(safety="keyed", key_ttl="24h", amount="amount")
def refund(order: str, amount: float) -> dict[str, str]:
    """Pay money back."""
    return {"receipt": f"R-{order}"}

@tool(safety="idempotent")
def notify(order: str) -> str:
    """Tell the customer."""
    return "told"

ladder = Ladder(rungs=(Rung(who=("finance",), seconds=14400, remind_seconds=3600), Rung(who=("heads",), seconds=28800)))
policy = Policy(name="refunds", version="3", who=("finance",), ladder=ladder, rules=(
    Rule(name="small", then="never", when="amount <= 50", tools=("refund",)),
    Rule(name="large", when="amount > 500", tools=("refund",), people=2),
    Rule(name="middling", when="amount <= 500", tools=("refund",)),
))
agent = Agent(
    "shop", goal="refund an order", tools=[look, refund, notify], policy=policy, inputs={"order": {"type": "string"}},
    plan={
        "find": {"tool": "look", "args": {"order": {"$ref": "inputs.order"}}},
        "refund": {"tool": "refund", "args": {"order": {"$ref": "inputs.order"}, "amount": {"$ref": "steps.find.total"}}},
        "tell": {"tool": "notify", "args": {"order": {"$ref": "inputs.order"}}, "after": ["refund"]},
    },
)
bare = Agent("bare", goal="look", tools=[look], plan={"a": {"tool": "look", "args": {"order": "o-1"}}})
'''


def opened(folder: Path) -> Path:
    """The file with the shop's agents."""
    path = folder / "shop_of_people.py"
    path.write_text(AGENT)
    return path


def advance(cli: Cli, number: int, *, run: str = "") -> int:
    """Start the run `r-N` of the order `o-N`, or go on with it; its exit code."""
    return cli("run", "shop_of_people.py:agent", "--id", run or f"r-{number}", "--input", f"order=o-{number}", "-q").code
