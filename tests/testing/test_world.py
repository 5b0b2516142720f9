"""The scripted world: what becomes of requests, what the ledger says, what probes see."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from holdfast import errors
from holdfast.agent import Agent
from holdfast.app import Holdfast, Run
from holdfast.testing import world as w
from holdfast.testing.clock import JumpingLoop, Process, SimClock
from holdfast.testing.memory import MemoryJournal
from holdfast.testing.world import FAILURES, ServiceError, World, make_tool, make_undo
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


# --- what comes later, and what is taken back ---------------------------------------------------------------------


async def _deliver(world: World, plan: dict[str, Any], tools: list[Any], **options: Any) -> tuple[Run, Holdfast]:
    """Run a plan in a store to which the world may deliver by token."""
    clock = SimClock(asyncio.get_running_loop())
    app = Holdfast(MemoryJournal(), clock=clock)
    world.callback = app.callback
    async with app:
        run = await app.run(Agent("trip", tools=tools, plan=plan, **options), "away", id="trip")
        await world.delivered()
    return run, app


def test_what_was_deferred_is_delivered_by_its_token() -> None:
    """Once, however often the other side calls back; and what was delivered has happened."""
    twice = (w.CallBack(after=3.0), w.CallBack(after=4.0))
    told: list[str] = []
    world = World({"order": [w.deferred(9.0, calls_back=twice)]}, on=lambda name, subject: told.append(name))
    order = make_tool(lambda: world, "order", "keyed", callback=True)

    async def main() -> tuple[Run, list[Any]]:
        run, app = await _deliver(world, {"a": {"tool": "order", "args": {"item": "x"}}}, [order])
        assert (await app.state("trip")).steps["a"].settled_by == "callback"
        return run, [task.result() for task in world.deliveries]

    run, (first, second) = play(main())
    assert run.result == {"a": {"id": "order-1", "item": "x", "amount": 1}}
    assert len(world.effects(item="x")) == 1
    assert (first.step, told.count("delivered")) == ("a", 2)
    assert isinstance(second, errors.CallbackRefused)


def test_a_delivery_may_come_before_the_reply_or_say_that_it_failed_or_be_nobodys() -> None:
    """Early ones count, failed ones keep it from landing, and a wrong token is known to nobody."""
    world = World({"order": [
        w.deferred(9.0, seconds=2.0, calls_back=[w.CallBack(after=0.5)]),
        w.deferred(9.0, calls_back=[w.CallBack(after=0.5, wrong=True), w.CallBack(after=1.0, failed="sold out")]),
    ]})  # fmt: skip
    order = make_tool(lambda: world, "order", "keyed", callback=True)
    plan = {
        "a": {"tool": "order", "args": {"item": "x"}},
        "b": {"tool": "order", "args": {"item": "y"}, "after": "a", "optional": True},
    }
    run, _ = play(_deliver(world, plan, [order]))
    assert (run.status, run.skipped) == ("completed", ("b",))
    assert [effect.item for effect in world.ledger] == ["x"]
    assert [type(task.result()).__name__ for task in world.deliveries] == ["Delivered", "CallbackUnknown", "Delivered"]


def test_a_poll_finds_what_is_there_by_now() -> None:
    """Not yet, then it; or that it will not come, once the other side knows that."""
    world = World({"order": [w.deferred(5.0), w.deferred(None, fails=3.0)]})

    async def main() -> None:
        for key in ("k1", "k2"):
            await world.request("order", "keyed", "x", 1, call(key=key))
        assert await world.poll("order", call(key="k1")) == NOT_YET
        assert await world.probe("order", call(key="k1")) == NOT_YET, "the other side has taken it"
        assert await world.poll("order", call(key="k2")) == NOT_YET
        await asyncio.sleep(6)
        assert isinstance(await world.poll("order", call(key="k1")), Happened)
        assert await world.poll("order", call(key="k2")) == NOT_HAPPENED

    play(main())


def test_a_part_says_what_is_left_and_who_does_it() -> None:
    """The other side by itself, after a while; or the caller, by the call whose arguments it gets."""
    world = World({"book": [w.partial(left=["seat"], completes=4.0), w.partial(left=["meal"], rest=True)]})

    async def main() -> None:
        first = await world.request("book", "keyed", "x", 2, call(key="k1"))
        assert (first.left, first.rest) == (("seat",), None)
        assert isinstance(await world.poll("book", call(key="k1")), Partial)
        await asyncio.sleep(4)
        assert isinstance(await world.poll("book", call(key="k1")), Happened)
        second = await world.request("book", "keyed", "y", 2, call(key="k2"))
        assert (second.left, second.rest) == (("meal",), {"item": "y-rest", "amount": 2})

    play(main())


def test_a_result_may_not_be_enough_and_a_call_may_change_more() -> None:
    """It happened, and of an amount of nothing; what else it changed is told to its call."""
    behaviour = msgspec.structs.replace(w.short(), changes=(("credit", 2.0),))
    world = World({"lease": [behaviour]})
    lease = make_tool(lambda: world, "lease", "keyed", sufficient="amount > `0`", changes="credit")

    async def main() -> Run:
        run, app = await _deliver(world, {"a": {"tool": "lease", "args": {"item": "x"}, "optional": True}}, [lease])
        assert (await app.state("trip")).changes == {"credit": 2.0}
        return run

    assert play(main()).skipped == ("a",)
    assert [(effect.item, effect.amount) for effect in world.ledger] == [("x", 0)]
    assert world.requests[0].changes == [("credit", 2.0)]


def test_a_success_may_be_seen_later() -> None:
    """Those who look see nothing of it for a while."""
    world = World({"book": [w.unseen(3.0)]})

    async def main() -> None:
        assert (await world.request("book", "keyed", "x", 1, call()))["id"] == "book-1"
        assert await world.probe("book", call()) == NOT_HAPPENED
        await asyncio.sleep(3)
        assert isinstance(await world.probe("book", call()), Happened)

    play(main())


def test_a_service_is_down_for_everybody_and_takes_only_so_many_requests() -> None:
    """It says that it is, for so long; and when to come back."""
    world = World(rates={"fetch": (2, 10.0)})

    async def main() -> None:
        world.goes_down(5.0, "pay")
        with pytest.raises(errors.Unavailable):
            await world.request("pay", "keyed", "x", 1, call())
        await world.request("fetch", "read", "x", 1, call())
        await asyncio.sleep(5)
        await world.request("pay", "keyed", "x", 1, call())
        await world.request("fetch", "read", "x", 1, call())
        with pytest.raises(errors.RateLimited) as limited:
            await world.request("fetch", "read", "x", 1, call())
        assert limited.value.retry_after_seconds == 5.0
        world.goes_down(1.0)
        with pytest.raises(errors.Unavailable):
            await world.request("store", "idempotent", "x", 1, call())

    play(main())
    assert [effect.tool for effect in world.ledger] == ["pay"]


def test_what_was_done_can_be_taken_back() -> None:
    """By a tool that gets the id of the receipt; the world knows what was taken back by what."""
    world = World({"mail": [w.fail("denied")]})
    tools = [
        make_tool(lambda: world, "lease", "keyed", undo="unlease"),
        make_tool(lambda: world, "mail", "irreversible", approve="never"),
        make_undo(lambda: world, "unlease"),
    ]
    plan = {
        "a": {"tool": "lease", "args": {"item": "x"}},
        "b": {"tool": "lease", "args": {"item": "y"}, "after": "a"},
        "c": {"tool": "mail", "args": {"item": "z"}, "after": "b"},
    }
    run, _ = play(_deliver(world, plan, tools, on_stop="undo"))
    assert run.status == "failed"
    x, y = world.effects(tool="lease")
    assert [effect.item for effect in world.ledger] == ["x", "y", y.receipt["id"], x.receipt["id"]]
    assert [len(world.undone(effect)) for effect in (x, y)] == [1, 1]
