"""The runs of a golden journal in which models think: real agents, workers and a store in memory, under a clock that jumps.

What the models say is written here, when people say what is too, and when a worker is killed: so the same is recorded in every
process, each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from decimal import Decimal
from typing import Any

from holdfast.agent import Agent
from holdfast.app import Holdfast
from holdfast.core.contract import Breaker
from holdfast.core.limits import Limits
from holdfast.core.models import Price
from holdfast.core.state import State
from holdfast.core.thinking import Acceptance, Asking
from holdfast.errors import NotFound
from holdfast.models import Models
from holdfast.reasoners.model import Request
from holdfast.runner.clock import Clock
from holdfast.testing.clock import EPOCH, InlineThreads, JumpingLoop, Process, SimClock
from holdfast.testing.memory import MemoryJournal, MemoryStore
from holdfast.testing.models import Said, ScriptedModel, after, asked, call, fail, refuse, think, told, tries, used
from holdfast.tools.function import Call, tool

LEASE_SECONDS = 10.0
PRICE = Price(input_usd=Decimal("3.00"), output_usd=Decimal("15.00"))
# A thought that is stored beside its batch.
LONG = "First what is meant. " * 1000
# Longer than any worker here lives.
NEVER_SECONDS = 100_000.0


class Studio:
    """A store, a clock, and workers that come and go."""

    def __init__(self) -> None:
        self.loop = JumpingLoop()
        self.clock: Clock = SimClock(self.loop, EPOCH)
        self.store = MemoryStore(secret=bytes(32))  # The same tokens each time.
        self.desk = Holdfast(MemoryJournal(self.store), clock=self.clock)  # Where people say something.
        self._workers = 0

    def start(self, *agents: Agent) -> Process:
        """Start a worker that has these agents."""
        self._workers += 1
        process = Process(self.loop, f"worker-{self._workers}")
        process.start(self._work(process.name, *agents))
        return process

    async def _work(self, name: str, *agents: Agent) -> None:
        app = Holdfast(
            MemoryJournal(self.store), clock=self.clock, threads=InlineThreads(), worker=name, lease_seconds=LEASE_SECONDS
        )
        async with app:
            await app.work(*agents)

    async def until(self, run_id: str, holds: Callable[[Any], object]) -> Any:
        """Look at a run, each second, until something holds of its state."""
        for _ in range(1000):
            state = await self.desk.state(run_id)
            if holds(state):
                return state
            await asyncio.sleep(1.0)
        raise AssertionError(f"{run_id} does not come to it: {state}")

    async def answered(self, run_id: str, decision: str, value: Any = None) -> None:
        """Ann answers the next thing that she is asked."""
        state = await self.until(run_id, lambda state: state.interrupts)
        await asyncio.sleep(5.0)
        await self.desk.answer(run_id, decision, by="ann", interrupt=next(iter(state.interrupts)), value=value)
        await self.until(run_id, lambda now: now.interrupts != state.interrupts)


def played(story: Callable[[Studio], Coroutine[Any, Any, None]]) -> MemoryStore:
    """The store as a story leaves it."""
    studio = Studio()
    try:
        studio.loop.run_until_complete(story(studio))
        assert not studio.loop.errors, studio.loop.errors
    finally:
        studio.loop.close()
    return studio.store


def models(*given: ScriptedModel, **options: Any) -> Models:
    """These in order, none of them for nothing."""
    options.setdefault("output_tokens_max", 1000)
    return Models(given, prices=dict.fromkeys([model.name for model in given], PRICE), **options)


# --- tools --------------------------------------------------------------------------------------------------------


class Prices:
    """A service whose prices go up each time that somebody looks."""

    def __init__(self) -> None:
        self.looks = 0

    def next(self) -> dict[str, Any]:
        self.looks += 1
        return {"usd": 200 + 40 * (self.looks - 1), "rooms": 3}


def tools(prices: Prices) -> dict[str, Any]:
    """What the agents here may call."""

    @tool(safety="read", observes={"price {town}": "usd"}, valid_for="60s", retry=1, cost="0.02")
    async def look_up_price(town: str, call: Call) -> dict[str, Any]:
        """What a room in a town costs now. Each look costs something itself."""
        call.spent(Decimal("0.015"))
        return prices.next()

    @tool(safety="idempotent")
    def give_back(id: str) -> bool:
        """Give a room back."""
        return True

    @tool(safety="keyed", key_ttl="24h", undo={"tool": give_back, "args": {"id": {"$ref": "result.id"}}})
    def hold_room(town: str, beds: int) -> dict[str, Any]:
        """Hold a room — für einige Zeit."""
        return {"id": f"room in {town}", "beds": beds}

    @tool(safety="irreversible", retry=1)
    def pay(room: str, usd: int) -> dict[str, Any]:
        """Pay for a room."""
        return {"paid": usd, "for": room}

    @tool(safety="read", retry=1)
    def look_up_bus(town: str) -> str:
        """When a bus leaves."""
        raise NotFound(f"no bus goes to {town}")

    @tool(safety="read")
    def checked(result: Any, goal: str) -> dict[str, Any]:
        """Whether a result will do."""
        good = isinstance(result, dict) and "room" in result
        return {"accepted": good, "reason": "" if good else "it names no room"}

    found = (look_up_price, give_back, hold_room, pay, look_up_bus, checked)
    return {one.name: one for one in found}


def ref(expression: str) -> dict[str, str]:
    """A reference in a plan."""
    return {"$ref": expression}


# --- the runs -----------------------------------------------------------------------------------------------------


def _asks_back(request: Request) -> Said:
    """Says what is meant, looks, concludes, holds a room, and is told that its first result will not do."""
    question = {"name": "beds", "question": "How many beds?", "why": "rooms differ", "options": [1, 2]}
    turns: list[Said] = [
        [
            think(LONG),
            call(
                "interpret_goal",
                intent="a room for some guests",
                known=[{"name": "town", "value": "Bergen", "quote": "in Bergen", "confidence": 1.0}],
                assumed=[{"name": "season", "value": "winter", "basis": "nobody says", "confidence": 0.6}],
                missing=[
                    {**question, "answer_schema": {"type": "integer"}},
                    {"name": "smoking", "question": "May one smoke?", "guess": False, "confidence": 0.95, "basis": "most do not"},
                ],
            ),
        ],
        tries(
            fail("rate_limited", retry_after=7.25), used(call("look_up_price", town="Bergen"), input_tokens=900, output_tokens=40)
        ),
        [
            call(
                "note_facts",
                facts=[{"name": "preference:quiet", "value": {"$blob": "not ours"}, "confidence": 0.7, "basis": "grüße"}],
            ),
            call("hold_room", town="Bergen", beds=2),
            call("look_up_bus", town="Bergen"),
        ],
        call("ask_person", questions=[{"name": "view", "question": "Fjord or street?", "options": ["fjord", "street"]}]),
        call("ferry", to="Bergen"),
        call("finish_run", result={"town": "Bergen"}),
        call("finish_run", result={"room": "room in Bergen"}),
    ]
    return turns[asked(request)]


def guest(kit: dict[str, Any]) -> Agent:
    """An agent with a memory, that asks for what is missing and whose result is looked at."""
    return Agent(
        "guest",
        goal="Hold a room in Bergen",
        instructions="Be brief.",
        model=models(ScriptedModel(_asks_back, name="clerk")),
        inputs={"town": {"type": "string", "optional": True}, "beds": {"type": "integer"}},
        tools=[kit["look_up_price"], kit["hold_room"], kit["give_back"], kit["look_up_bus"]],
        accept=kit["checked"],
        ask=Asking(),
        memory=5,
        limits=Limits(cost_usd_max=Decimal("2.50"), tokens_max=2_000_000),
    )


async def _guests(studio: Studio) -> None:
    """Two visits in one thread: the second one remembers the first."""
    agent = guest(tools(Prices()))
    studio.start(agent)
    for number in (1, 2):
        run_id = f"guest/{number}"
        await studio.desk.start(agent, id=run_id, thread="zoë", tenant="acme")
        await studio.answered(run_id, "respond", 2)
        await studio.answered(run_id, "respond", "fjord")
        await studio.until(run_id, lambda state: state.ended)


def _stay(number: int) -> dict[str, Any]:
    """A room and its payment, by what is believed when they begin."""
    return {
        f"room_{number}": {"tool": "hold_room", "args": {"town": "Bergen", "beds": ref("facts.beds")}},
        f"payment_{number}": {
            "tool": "pay",
            "args": {"room": ref(f"steps.room_{number}.id"), "usd": ref('facts."price Bergen"')},
            "after": [f"room_{number}"],
        },
    }


def _plans(request: Request) -> Said:
    """Plans a stay as a whole, and looks at its plan again whenever something is not as it was."""
    first = {
        "price": {"tool": "look_up_price", "args": {"town": "Bergen"}},
        "bus": {"tool": "look_up_bus", "args": {"town": "Bergen"}, "on_failure": "skip"},
        **_stay(1),
    }
    first["payment_1"]["after"] = ["price", "bus"]
    turns: list[Said] = [
        call("make_plan", steps=first, reason="all of it", confidence=0.9),
        call("keep_plan", reason="there is no bus, and none is needed"),
        call("keep_plan", reason="it takes what is so when it begins"),
        call("make_plan", steps=_stay(2), reason="for three now", confidence=0.8),
        call("make_plan", steps={"payment_3": _stay(2)["payment_2"]}, reason="a quiet one is paid for", confidence=0.7),
        call("finish_run", result=""),
        "It is paid, for three, and quiet.",
    ]
    return turns[asked(request)]


def planner(kit: dict[str, Any]) -> Agent:
    """An agent that plans all at once."""
    return Agent(
        "planner",
        goal="Stay in Bergen",
        model=models(ScriptedModel(_plans, name="planner")),
        horizon="plan",
        inputs={"beds": {"type": "integer"}},
        tools=[kit["look_up_price"], kit["hold_room"], kit["give_back"], kit["look_up_bus"], kit["pay"]],
        failures_max=1,
        accept=Acceptance(that="result != ''"),
    )


async def _stays(studio: Studio) -> None:
    """A person thinks until a price is too old, corrects a fact, and changes the goal."""
    agent, run_id = planner(tools(Prices())), "stay/1"
    studio.start(agent)
    await studio.desk.start(agent, id=run_id, inputs={"beds": 2})
    await studio.until(run_id, lambda state: state.interrupts)
    await asyncio.sleep(100.0)
    await studio.answered(run_id, "approve")
    await studio.until(run_id, lambda state: state.interrupts)
    await studio.desk.correct(run_id, "beds", 3, by="ann")
    await studio.until(run_id, lambda state: _asks_for(state, "payment_2"))
    await studio.desk.change_goal(run_id, "Stay in Bergen, quietly", by="ann", note="after all")
    await studio.until(run_id, lambda state: _asks_for(state, "payment_3"))
    await studio.answered(run_id, "approve")
    await studio.until(run_id, lambda state: state.ended)


def _asks_for(state: State, step: str) -> bool:
    return any(asked.step == step for asked in state.interrupts.values())


def _holds(request: Request) -> Said:
    """Holds a room twice on purpose, gives one back, and is killed while it thinks."""
    turns: list[Said] = [
        call("hold_room", town="Voss", beds=1),
        call("repeat_step", step="hold_room_1", reason="two of them"),
        [think("One will do."), call("undo_step", step="hold_room_1", reason="one will do")],
        after(NEVER_SECONDS, "Nobody hears this."),
    ]
    return turns[asked(request)]


async def _crashes(studio: Studio) -> None:
    """One model lets nobody in, the next one takes its time, and the worker that asked it is gone; the one that comes next has
    another model."""
    kit = tools(Prices())
    strict = ScriptedModel(lambda request: fail("denied", "no such key"), name="strict")
    slow, other = ScriptedModel(_holds, name="slow"), ScriptedModel(_ends, name="other")
    agent = Agent(
        "holder",
        goal="Hold a room in Voss",
        model=models(strict, slow, breaker=Breaker(failures_max=3)),
        tools=[kit["hold_room"], kit["give_back"]],
        limits=Limits(cost_usd_max=Decimal("1.00")),
    )
    first = studio.start(agent)
    await studio.desk.start(agent, id="holder/1")
    await studio.until("holder/1", lambda state: state.asking_model is not None and state.turn == 4)
    await asyncio.sleep(3.5)
    first.kill()
    await asyncio.sleep(2 * LEASE_SECONDS)
    studio.start(agent.with_model(other))
    await studio.until("holder/1", lambda state: state.ended)


def _ends(request: Request) -> Said:
    """Does not want to at first."""
    return call("give_up_run", reason="nobody needs it") if "refused to answer" in told(request) else refuse()


STORIES = (_guests, _stays, _crashes)


def stores() -> Iterator[MemoryStore]:
    """What each story leaves behind."""
    return map(played, STORIES)
