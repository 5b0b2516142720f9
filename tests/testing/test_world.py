"""The scripted world: what becomes of requests, what the ledger says, what probes see."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from holdfast import errors
from holdfast.agent import Agent
from holdfast.app import Holdfast, Run
from holdfast.testing import world as w
from holdfast.testing.clock import JumpingLoop, Process, SimClock
from holdfast.testing.memory import MemoryJournal
from holdfast.testing.world import FAILURES, ServiceError, World, make_tool
from holdfast.tools.function import NOT_HAPPENED, NOT_YET, Call, Deferred, Happened, Partial


def play(main: Coroutine[Any, Any, Any]) -> Any:
    """Run on a jumping loop."""
    loop = JumpingLoop(time_max=1e7)
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()


def call(step: str = "s", key: str = "k", attempt: int = 1) -> Call:
    return Call(run_id="r", step=step, key=key, attempt=attempt)


async def _run(world: World, plan: dict[str, Any], **options: Any) -> Run:
    clock = SimClock(asyncio.get_running_loop())
    async with Holdfast(MemoryJournal(), clock=clock) as app:
        return await app.run(Agent("traveller", tools=world.tools(), plan=plan), "away", id="trip", **options)


def test_its_tools_are_tools() -> None:
    """One of each safety, run by the real runner; the ledger has what happened, and reads are not in it."""
    world = World()
    plan = {
        "a": {"tool": "look", "args": {"item": "x"}},
        "b": {"tool": "store", "args": {"item": {"$ref": "steps.a.id"}, "amount": 2}},
        "c": {"tool": "pay", "args": {"item": "y"}},
        "d": {"tool": "book", "args": {"item": "z"}},
    }
    run = play(_run(world, plan))
    assert run.status == "completed"
    assert [(effect.tool, effect.step, effect.item, effect.amount) for effect in world.ledger] == [
        ("pay", "c", "y", 1), ("book", "d", "z", 1), ("store", "b", "look-of-x", 2),
    ]  # fmt: skip
    assert run.result["c"] == {"id": "pay-1", "item": "y", "amount": 1}


def test_a_lost_reply_is_settled_by_the_probe() -> None:
    """The effect is there once, though its caller heard nothing."""
    world = World({"book": [w.reply_lost()]})
    run = play(_run(world, {"seat": {"tool": "book", "args": {"item": "12A"}}}))
    assert run.status == "completed"
    assert len(world.effects(item="12A")) == 1
    assert (len(world.requests), world.probes) == (1, 1)


def test_the_irreversible_tool_waits_for_a_person() -> None:
    """As any such tool does."""
    world = World()
    run = play(_run(world, {"m": {"tool": "mail", "args": {"item": "hello"}}}))
    assert run.status == "blocked"
    assert world.requests == []


@pytest.mark.parametrize("kind", list(FAILURES))
def test_every_failure_can_be_scripted(kind: Any) -> None:
    """It is raised as the class it is, and nothing happens."""
    world = World({"pay": [w.fail(kind, 0.5)]})
    with pytest.raises(FAILURES[kind]) as failed:
        play(world.request("pay", "keyed", "x", 1, call()))
    assert failed.value.kind == kind
    assert world.ledger == []


def test_the_other_endings_of_a_call() -> None:
    """Patience asked for, surprises on either side of the effect, doubt, a lie, a part, and a promise."""
    world = World({"t": [w.rate_limited(7.0), w.surprise(effect=False), w.surprise(effect=True), w.unsure(effect=True), w.lie(),
                         w.partial(), w.deferred(5.0, until=9.0)]})  # fmt: skip

    async def main() -> list[Any]:
        world._clock = SimClock(asyncio.get_running_loop(), start=1000.0)
        ends: list[Any] = []
        for number in range(7):
            try:
                ends.append(await world.request("t", "irreversible", f"i{number}", 1, call(f"s{number}", f"k{number}")))
            except Exception as error:  # noqa: BLE001 — the endings are what is looked at.
                ends.append(error)
        await world.settled()
        return ends

    limited, before, after, unsure, lie, partial, deferred = play(main())
    assert isinstance(limited, errors.RateLimited)
    assert limited.retry_after_seconds == 7.0
    assert isinstance(before, ServiceError)
    assert isinstance(after, ServiceError)
    assert isinstance(unsure, errors.Unknown)
    assert lie == {"nonsense": 5}
    assert isinstance(partial, Partial)
    assert deferred == Deferred(handle="ticket-7", until=1009.0)
    assert [effect.step for effect in world.ledger] == ["s2", "s3", "s4", "s5", "s6"]


def test_a_request_lands_after_its_caller_died() -> None:
    """The world belongs to nobody."""
    world = World({"book": [w.lands_late(5.0)]})

    async def main() -> None:
        process = Process(asyncio.get_running_loop(), "caller")  # type: ignore[arg-type]
        task = process.start(world.request("book", "reconcilable", "x", 1, call()))
        await asyncio.sleep(1)
        process.kill()
        assert len(world.in_flight(run_id="r")) == 1
        assert await world.probe("book", call()) == NOT_HAPPENED
        await world.settled(step="s")
        assert isinstance(await world.probe("book", call()), Happened)
        assert not task.done()

    play(main())


def test_a_key_is_remembered_for_its_life() -> None:
    """Then the same key makes the effect once more."""
    world, told = World(key_life_seconds=10.0), []
    world._on = lambda name, subject: told.append(name)

    async def main() -> list[str]:
        receipts = []
        for attempt, wait in enumerate((0.0, 9.0, 2.0)):
            await asyncio.sleep(wait)
            receipts.append((await world.request("pay", "keyed", "x", 1, call(attempt=attempt)))["id"])
        return receipts

    assert play(main()) == ["pay-1", "pay-1", "pay-2"]
    assert "key forgotten" in told


def test_an_idempotent_repeat_leaves_the_world_as_once() -> None:
    """The same arguments again are the same state; others are not."""
    world = World()

    async def main() -> None:
        for amount in (1, 1, 2):
            await world.request("store", "idempotent", "x", amount, call())

    play(main())
    assert [(effect.amount, effect.times) for effect in world.ledger] == [(1, 2), (2, 1)]


def test_an_effect_may_be_visible_late_and_a_probe_may_say_anything() -> None:
    """Honest is what the ledger shows by then; the rest is scripted."""
    world = World({"book": [w.reply_lost(visible=5.0)]}, {"book": ["honest", "not_yet", "cannot_tell", "error"]})

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await world.request("book", "reconcilable", "x", 1, call())
        assert await world.probe("book", call()) == NOT_HAPPENED
        assert await world.probe("book", call()) == NOT_YET
        found = await world.probe("book", call())
        assert not isinstance(found, Happened)
        assert found.verdict == "cannot_tell"
        with pytest.raises(ServiceError):
            await world.probe("book", call())
        await asyncio.sleep(5)
        assert isinstance(await world.probe("book", call()), Happened)
        assert await world.probe("book", call(key="other")) == NOT_HAPPENED

    play(main())


def test_a_stubborn_tool_ends_when_it_likes() -> None:
    """Whoever cancels it."""
    world = World({"look": [w.stubborn(8.0)]})

    async def main() -> float:
        task = asyncio.create_task(world.request("look", "read", "x", 1, call()))
        await asyncio.sleep(1)
        task.cancel()
        assert (await task)["item"] == "x"
        return asyncio.get_running_loop().time()

    assert play(main()) == 8.0


def test_the_world_can_hurry_and_people_can_act() -> None:
    """For clocks that jump ahead, and for what is done by hand."""
    world = World({"book": [w.lands_late(50.0, broken_after=0.0, visible=9.0)]})

    async def main() -> None:
        with pytest.raises(ServiceError):
            await world.request("book", "reconcilable", "x", 1, call())
        world.hurry()
        assert isinstance(await world.probe("book", call()), Happened)

    play(main())

    async def by_hand() -> None:
        world.do_by_hand(tool="mail", run_id="r", step="m", item="y", amount=1)

    play(by_hand())
    assert [(effect.tool, effect.by_hand) for effect in world.ledger] == [("book", False), ("mail", True)]


def test_a_script_can_be_a_function() -> None:
    """Then it sees each request."""
    world = World(lambda request: w.fail("denied") if request.item == "bad" else w.ok(0.5))
    plan = {
        "a": {"tool": "pay", "args": {"item": "good"}},
        "b": {"tool": "pay", "args": {"item": "bad"}, "optional": True},
    }
    assert play(_run(world, plan)).skipped == ("b",)
    assert [effect.item for effect in world.ledger] == ["good"]


def test_other_tools_can_be_made() -> None:
    """With any promise that a tool can make."""
    world = World()
    made = make_tool(lambda: world, "wire", "keyed", key_ttl="24h", probe=True, approve="always", parallel=2)
    assert (made.name, made.contract.safety, made.contract.key_ttl_seconds, made.contract.probe) == ("wire", "keyed", 86400, True)
    assert made.contract.parallel_max == 2
