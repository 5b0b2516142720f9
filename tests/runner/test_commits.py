"""What a step costs in commits: one, whatever its tool promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest

from holdfast import Agent, Call, Holdfast, tool

PLAN = {f"s{n}": {"tool": "t", "args": {"n": n}, "after": [f"s{n - 1}"] if n else []} for n in range(10)}

PROMISES: dict[str, dict[str, Any]] = {
    "nothing more": {},
    "a rate": {"rate": "1000/1s"},
    "a breaker": {"breaker": "5/1m"},
    "a cap": {"parallel": 4},
    "a callback": {"callback": True},
    "a business key of the store": {"business_key": "n", "scope": "store"},
    "what it changes": {"changes": ("credit",)},
    "what is enough": {"sufficient": "@ >= `0`"},
    "all of it": {
        "rate": "1000/1s", "breaker": "5/1m", "parallel": 4, "callback": True, "business_key": "n", "scope": "store",
        "changes": ("credit",), "sufficient": "@ >= `0`",
    },
}  # fmt: skip


async def commits(db: Path, promises: dict[str, Any]) -> int:
    """How many batches a run of ten steps in a row is written in."""

    @tool(safety="keyed", key_ttl="forever", name="t", **promises)
    async def t(n: int, call: Call) -> int:
        call.changed("credit")
        return n

    async with Holdfast(db) as app:
        run = await app.run(Agent("a", tools=[t], plan=PLAN), id="r")
        assert run.done
    connection = apsw.Connection(str(db))
    try:
        return int(next(iter(connection.execute("select count(*) from batches")))[0])
    finally:
        connection.close()


@pytest.mark.parametrize("promise", PROMISES)
async def test_a_promise_costs_no_commit(tmp_path: Path, promise: str) -> None:
    """Start, the asking of the reasoner, the plan with the first call, and then one a step: the last holds the end too."""
    assert await commits(tmp_path / "runs.db", PROMISES[promise]) == 13
