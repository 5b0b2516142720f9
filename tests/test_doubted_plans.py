"""A plan that is in doubt is looked at again before anything new of it begins: an approved call too, whose arguments still stand."""

import time
from pathlib import Path
from typing import Any

from holdfast import Agent, Holdfast, tool
from holdfast.core import events as e
from holdfast.reasoners.model import Request
from holdfast.runner.clock import SystemClock
from holdfast.testing.models import Said, ScriptedModel, asked, call


class Later(SystemClock):
    """A clock that can be put forward."""

    ahead = 0.0

    def now(self) -> float:
        return round(time.time() + self.ahead, 3)


async def test_an_approved_call_waits_where_what_it_needs_fresh_has_drifted(tmp_path: Path) -> None:
    """The seats are gone by the time of the yes: the model is asked, drops the step, and nothing is bought."""
    seats, bought = [5, 0], list[int]()

    @tool(safety="read", observes={"seats": "left"}, valid_for="1h")
    def look() -> dict[str, Any]:
        return {"left": seats.pop(0)}

    @tool(safety="irreversible")
    def buy(usd: int) -> int:
        bought.append(usd)
        return usd

    def script(request: Request) -> Said:
        if asked(request) == 0:
            buying = {"tool": "buy", "args": {"usd": 100}, "after": ["look"], "needs_fresh": ["seats"]}
            return call("make_plan", steps={"look": {"tool": "look", "args": {}}, "buy": buying})
        if asked(request) == 1:
            return call("make_plan", steps={}, dropped=["buy"], reason="no seats are left")
        return call("finish_run", result="nothing bought")

    clock = Later()
    agent = Agent("buyer", model=ScriptedModel(script), tools=[look, buy], horizon="plan")
    async with Holdfast(tmp_path / "runs.db", clock=clock) as app:
        assert (await app.run(agent, "Buy a seat", id="seat")).status == "blocked"
        clock.ahead = 7200.0
        await app.answer("seat", "approve", by="ann")
        run = await app.run(agent, id="seat")
        events = [entry.event for entry in await app.history("seat")]

    assert (run.result, bought) == ("nothing bought", [])
    assert any(isinstance(event, e.PlanSuspected) for event in events)
    assert not any(isinstance(event, e.CallIntended) and event.tool == "buy" for event in events)
