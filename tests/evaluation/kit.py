"""An agent, a world of a few lines, and an evaluation of both."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from holdfast import Agent, Call, tool
from holdfast.evaluation import CaseRun, Results, Terms, casefile, evaluate
from holdfast.evaluation.records import Suite


@tool(safety="read")
def price(item: str) -> float:
    """What something costs."""
    raise AssertionError("the stand-in is called")


@tool(safety="keyed", key_ttl="forever", timeout="10s")
def buy(item: str, amount: float, call: Call) -> dict[str, str]:
    """Buy something."""
    raise AssertionError("the stand-in is called")


@tool(safety="irreversible", timeout="10s")
def tell(whom: str) -> str:
    """Tell somebody."""
    raise AssertionError("the stand-in is called")


PLAN: dict[str, Any] = {
    "price": {"tool": "price", "args": {"item": {"$ref": "inputs.item"}}},
    "buy": {"tool": "buy", "args": {"item": {"$ref": "inputs.item"}, "amount": {"$ref": "steps.price"}}},
}
INPUTS = {"item": {"type": "string"}}

FILE: dict[str, Any] = {
    "name": "shopping",
    "services": {
        "price": {"answers": [{"when": "args.item == 'pen'", "answer": 2}, {"answer": 700}]},
        "buy": {"answer": {"receipt": {"$ref": "args.item"}}, "repeats": "by_key"},
        "tell": {"answer": "told"},
    },
    "cases": {"pen": {"goal": "Buy a pen", "inputs": {"item": "pen"}}},
}


def shopper(plan: dict[str, Any] | None = None, tools: tuple[Any, ...] = (price, buy, tell), **options: Any) -> Agent:
    """An agent that buys by a plan."""
    return Agent("shopper", tools=tools, plan=plan or PLAN, inputs=INPUTS, **options)


def suite_of(case: dict[str, Any] | None = None, **parts: Any) -> Suite:
    """A suite with one case, which buys a pen."""
    whole = {"inputs": {"item": "pen"}, **(case or {})}
    suite, found = casefile.parse({**FILE, "cases": {"one": whole}, **parts})
    assert suite is not None, found
    return suite


def evaluated(suite: Suite, agent: Agent, out: Path, **terms: Any) -> Results:
    """What comes of an evaluation."""
    return asyncio.run(evaluate(suite, agent, Terms(out=out, **terms)))


def played(out: Path, case: dict[str, Any] | None = None, agent: Agent | None = None, **parts: Any) -> CaseRun:
    """What comes of one run of one case."""
    (run,) = evaluated(suite_of(case, **parts), agent or shopper(), out).runs
    return run


def case_run(case: str = "one", repeat: int = 1, **parts: Any) -> CaseRun:
    """A record, as if there had been a run."""
    given: dict[str, Any] = {"outcome": "held", "cost_usd": Decimal(0), **parts}
    return CaseRun(case=case, repeat=repeat, seed=1, run_id=f"{case}-{repeat}", store=f"{case}/{repeat}/holdfast.db", **given)


def written(folder: Path, name: str, data: Any) -> Path:
    """A YAML file."""
    path = folder / name
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return path
