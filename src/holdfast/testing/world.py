"""A scripted world: services that do what a script says, and a ledger of what really happened.

    world = World({"book": [reply_lost(), ok()]})               # the first request happens and its answer is lost
    agent = Agent("trip", tools=world.tools(), plan={"seat": {"tool": "book", "args": {"item": "12A"}}})
    async with Holdfast(MemoryJournal(), clock=clock) as app:
        await app.run(agent, "…", id="trip-1")
    assert len(world.effects(item="12A")) == 1

`world.tools()` are real `@tool` functions, one of each safety: `look` (read), `store` (idempotent), `pay` (keyed), `book`
(reconcilable, with a probe) and `mail` (irreversible); `make_tool` makes others, `make_undo` those that take a call back.
What becomes of a request is a `Behaviour`: whether and when its effect lands in the world, whether and when which reply
comes back, and what is delivered later by the token that came with it. They are apart, because that is what the trouble is
about: a request may land after its caller timed out or died, and its result may be there before its reply.

The world belongs to nobody: a worker that is killed or cancelled takes none of its requests back. Times are those of
the loop, so that a jumping clock makes it all happen at once and in the same order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import pydantic

from holdfast import errors
from holdfast.core.contract import Safety
from holdfast.runner.clock import Clock
from holdfast.testing.behaviours import FAILURES as FAILURES
from holdfast.testing.behaviours import Behaviour as Behaviour
from holdfast.testing.behaviours import CallBack as CallBack
from holdfast.testing.behaviours import Reply as Reply
from holdfast.testing.behaviours import deferred as deferred
from holdfast.testing.behaviours import fail as fail
from holdfast.testing.behaviours import hang as hang
from holdfast.testing.behaviours import lands_late as lands_late
from holdfast.testing.behaviours import lie as lie
from holdfast.testing.behaviours import ok as ok
from holdfast.testing.behaviours import partial as partial
from holdfast.testing.behaviours import rate_limited as rate_limited
from holdfast.testing.behaviours import reply_lost as reply_lost
from holdfast.testing.behaviours import short as short
from holdfast.testing.behaviours import stubborn as stubborn
from holdfast.testing.behaviours import surprise as surprise
from holdfast.testing.behaviours import unseen as unseen
from holdfast.testing.behaviours import unsure as unsure
from holdfast.testing.clock import outside
from holdfast.tools.function import (
    NOT_HAPPENED,
    NOT_YET,
    Call,
    Deferred,
    Happened,
    Partial,
    Probed,
    Tool,
    cannot_tell,
    tool,
)

Look = Literal["honest", "not_yet", "error", "hang", "cannot_tell"]
Callback = Callable[..., Awaitable[Any]]


class Receipt(pydantic.BaseModel):
    """What the tools of the world return. id: of the effect, so that one that was made twice shows."""

    id: str
    item: str
    amount: int


class ServiceError(Exception):
    """An exception that no tool author thought of."""


class Request(msgspec.Struct, kw_only=True):
    """One request that reached the world. landed: its effect, which may be one that an earlier request made."""

    number: int
    tool: str
    safety: Safety
    run_id: str
    step: str
    key: str
    attempt: int
    occurrence: int
    item: str
    amount: int
    at: float
    behaviour: Behaviour
    token: str = ""
    takes_back: bool = False
    in_flight: bool = True
    effect: Effect | None = None
    changes: list[tuple[str, float]] = []


class Effect(msgspec.Struct, kw_only=True):
    """Something that really happened. times: how often; more than once only for idempotent services, where it is the same."""

    number: int
    tool: str
    run_id: str
    step: str
    key: str
    occurrence: int
    item: str
    amount: int
    at: float
    visible_at: float
    times: int = 1
    by_hand: bool = False
    left: tuple[str, ...] = ()
    takes_back: bool = False

    @property
    def receipt(self) -> dict[str, Any]:
        """What the service says about it."""
        return {"id": f"{self.tool}-{self.number}", "item": self.item, "amount": self.amount}


Script = Callable[[Request], Behaviour] | Mapping[str, Sequence[Behaviour]]
ProbeScript = Callable[[str, Call], Look] | Mapping[str, Sequence[Look]]


class World:
    """See the module's text.

    script: what becomes of requests: a function, or by tool the behaviours in turn (then `ok`). probes: the same for what
    probes and polls find. key_life_seconds: how long a keyed service remembers a key, for all or by tool; None for ever.
    clock: the wall clock, for deadlines that services name. on: told of each thing that happens, as a name and its subject.
    rates: how many requests in how many seconds a service takes, by tool; it refuses the others, and says when to come back.
    callback: what delivers results by token, `Holdfast.callback`; it may be set later, and without it nothing is delivered.
    """

    def __init__(
        self, script: Script | None = None, probes: ProbeScript | None = None, *,
        key_life_seconds: float | Mapping[str, float] | None = None, clock: Clock | None = None,
        on: Callable[[str, Any], None] | None = None, rates: Mapping[str, tuple[int, float]] | None = None,
        callback: Callback | None = None,
    ):  # fmt: skip
        self.ledger: list[Effect] = []
        self.requests: list[Request] = []
        self.callback = callback
        self.deliveries: list[asyncio.Task[Any]] = []
        self._deliver_at: list[float] = []
        self._rates = rates or {}
        self._counted: dict[str, deque[float]] = {}
        self._down: dict[str, float] = {}
        self.probes = 0
        self._script = script if callable(script) else _Turns(script or {}, ok()).next_behaviour
        self._probe_script = probes if callable(probes) else _Turns(probes or {}, "honest").next_look
        self._key_life_seconds = key_life_seconds
        self._clock = clock
        self._keys: dict[str, tuple[Effect, float]] = {}
        self._states: dict[tuple[str, str, str, int], Effect] = {}
        self._landings: dict[int, asyncio.TimerHandle] = {}
        self._on = on or (lambda name, subject: None)

    # --- what tools do --------------------------------------------------------------------------------------------

    async def request(
        self, tool_name: str, safety: Safety, item: str, amount: int, call: Call, takes_back: bool = False
    ) -> Any:  # fmt: skip
        """Send a request and wait for the reply, if one comes. takes_back: what has this id, if it happens."""
        request = Request(
            number=len(self.requests) + 1, tool=tool_name, safety=safety, run_id=call.run_id, step=call.step, key=call.key,
            attempt=call.attempt, occurrence=call.occurrence, item=item, amount=amount, at=_time(), behaviour=ok(),
            token=call.token, takes_back=takes_back,
        )  # fmt: skip
        self.requests.append(request)
        request.behaviour = behaviour = self._refused(request) or self._script(request)
        for name, change in behaviour.changes:
            call.changed(name, change)
            request.changes.append((name, change))
        self._on("request", request)
        outside(self._send, request)
        await _wait(behaviour.replies, behaviour.stubborn)
        return self._reply(request)

    def _refused(self, request: Request) -> Behaviour | None:
        """What the service says to everybody at present: that it is down, or that there were too many requests."""
        now = _time()
        if now < max(self._down.get(request.tool, 0.0), self._down.get("", 0.0)):
            return msgspec.structs.replace(fail("unavailable"), name="service down for everybody")
        if request.tool not in self._rates:
            return None
        calls, seconds = self._rates[request.tool]
        counted = self._counted.setdefault(request.tool, deque(maxlen=calls))
        if len(counted) == calls and now < counted[0] + seconds:
            return msgspec.structs.replace(rate_limited(round(counted[0] + seconds - now, 3)), name="over the service's rate")
        counted.append(now)
        return None

    def goes_down(self, seconds: float, *tool_names: str) -> None:
        """From now on these services (all, where none is named) answer nobody, for so long."""
        for name in tool_names or ("",):
            self._down[name] = _time() + seconds

    def _send(self, request: Request) -> None:
        lands = request.behaviour.lands
        for delivery in request.behaviour.calls_back if request.token and self.callback is not None else ():
            at = _time() + delivery.after
            self._deliver_at.append(at)
            asyncio.get_running_loop().call_at(at, self._call_back, request, delivery, at)
            if delivery.failed is None and not delivery.wrong:
                lands = delivery.after if lands is None else min(lands, delivery.after)
        if lands is None:
            request.in_flight = False
        elif lands <= 0:
            self._land(request)
        else:
            self._landings[request.number] = asyncio.get_running_loop().call_later(lands, self._land, request)

    def _call_back(self, request: Request, delivery: CallBack, at: float) -> None:
        """Deliver what became of a request. What is delivered as done is done."""
        assert self.callback is not None, "nothing delivers"
        self._deliver_at.remove(at)
        if request.effect is None and request.safety == "keyed" and request.key in self._keys:
            request.effect = self._keys[request.key][0]  # By its key it is what an earlier request did.
        failed = delivery.failed if request.effect is None else None
        if failed is not None and (landing := self._landings.pop(request.number, None)) is not None:
            landing.cancel()
            request.in_flight = False
        if failed is None and request.effect is None and not delivery.wrong:
            self._land(request)
        if request.effect is not None:
            request.effect.left = ()
        token = f"{request.token[:-1]}?" if delivery.wrong else request.token
        value = None if failed is not None else self._receipt(request)
        self._on(delivery.name, request)
        self.deliveries.append(
            asyncio.get_running_loop().create_task(_awaited(self.callback(token, value, failed=failed, by="the other side")))
        )

    def _land(self, request: Request) -> None:
        if (landing := self._landings.pop(request.number, None)) is not None:
            landing.cancel()
        request.in_flight = False
        if request.safety == "read":
            return
        request.effect = effect = self._same_as(request) or self._happen(request)
        self._on("effect", effect)
        if request.safety == "keyed":
            since = self._keys[request.key][1] if request.key in self._keys else _time()
            self._keys[request.key] = (effect, since)
        elif request.safety == "idempotent":
            self._states[_state_of(request)] = effect

    def _same_as(self, request: Request) -> Effect | None:
        """The effect that this one is a repeat of, as far as the service can tell."""
        if request.safety == "keyed" and request.key in self._keys:
            effect, since = self._keys[request.key]
            if _time() < since + self._key_life(request.tool):
                return effect
            del self._keys[request.key]
            self._on("key forgotten", request)
        if request.safety == "idempotent" and (same := self._states.get(_state_of(request))) is not None:
            same.times += 1
            return same
        return None

    def _key_life(self, tool_name: str) -> float:
        life = self._key_life_seconds
        found = life.get(tool_name) if isinstance(life, Mapping) else life
        return float("inf") if found is None else found

    def _happen(self, request: Request) -> Effect:
        behaviour = request.behaviour
        effect = Effect(
            number=len(self.ledger) + 1, tool=request.tool, run_id=request.run_id, step=request.step, key=request.key,
            occurrence=request.occurrence, item=request.item, amount=0 if behaviour.short else request.amount, at=_time(),
            visible_at=_time() + behaviour.visible, takes_back=request.takes_back,
        )  # fmt: skip
        self.ledger.append(effect)
        if behaviour.reply == "partial" and not behaviour.rest:
            effect.left = behaviour.left
            if behaviour.completes is not None:
                asyncio.get_running_loop().call_later(behaviour.completes, _complete, effect)
        return effect

    def _reply(self, request: Request) -> Any:
        behaviour = request.behaviour
        if behaviour.reply == "failure":
            raise FAILURES[behaviour.failure](f"scripted {behaviour.failure}", retry_after_seconds=behaviour.retry_after_seconds)
        if behaviour.reply == "surprise":
            raise ServiceError("the connection broke")
        if behaviour.reply == "unknown":
            raise errors.Unknown("the gateway says: maybe")
        if behaviour.reply == "lie":
            return {"nonsense": request.number}
        until = None if behaviour.until is None or self._clock is None else self._clock.now() + behaviour.until
        if behaviour.reply == "deferred":
            return Deferred(handle=f"ticket-{request.number}", until=until)
        receipt = self._receipt(request)
        if behaviour.reply != "partial":
            return receipt
        rest = {"item": f"{request.item}-rest", "amount": request.amount} if behaviour.rest else None
        return Partial(receipt, behaviour.left, rest=rest, until=until)

    def _receipt(self, request: Request) -> dict[str, Any]:
        if request.effect is not None:
            return request.effect.receipt
        amount = 0 if request.behaviour.short else request.amount
        return {"id": f"{request.tool}-of-{request.item}", "item": request.item, "amount": amount}

    async def probe(self, tool_name: str, call: Call) -> Happened | Probed:
        """Look whether the call with this key happened."""
        self.probes += 1
        if (said := await self._looked("probe", tool_name, call)) is not None:
            return said
        if (seen := self._seen(call)) is not None:
            return Happened(seen.receipt)
        return NOT_YET if self._is_taken(call) else NOT_HAPPENED

    async def poll(self, tool_name: str, call: Call) -> Happened | Probed | Partial:
        """Look for what is owed to the call with this key."""
        self.probes += 1
        if (said := await self._looked("poll", tool_name, call)) is not None:
            return said
        if (seen := self._seen(call)) is not None:
            return Partial(seen.receipt, seen.left) if seen.left else Happened(seen.receipt)
        return NOT_HAPPENED if self._is_given_up(call) else NOT_YET

    async def _looked(self, role: str, tool_name: str, call: Call) -> Probed | None:
        """What a look comes back with, whatever there is to see; None where it is honest."""
        look = self._probe_script(tool_name, call)
        self._on(f"{role} {look}", call)
        if look == "hang":
            await _wait(None, stubborn=False)
        if look == "error":
            raise ServiceError("the look-up is down")
        if look == "cannot_tell":
            return cannot_tell("the log of that hour is gone")
        return NOT_YET if look == "not_yet" else None

    def _seen(self, call: Call) -> Effect | None:
        return next((e for e in self.ledger if e.key == call.key and e.visible_at <= _time()), None)

    def _is_taken(self, call: Call) -> bool:
        """Whether the other side has taken the call, and will do it."""
        return any(r.key == call.key and r.in_flight and r.behaviour.reply == "deferred" for r in self.requests)

    def _is_given_up(self, call: Call) -> bool:
        """Whether the other side knows by now that it will not do it: by no request under this key."""
        return not self._is_taken(call) and any(
            r.key == call.key and r.behaviour.fails is not None and not r.in_flight and _time() >= r.at + r.behaviour.fails
            for r in self.requests
        )

    # --- what people see ------------------------------------------------------------------------------------------

    def effects(self, **like: Any) -> list[Effect]:
        """What happened, by any of the fields of `Effect`."""
        return [effect for effect in self.ledger if all(getattr(effect, name) == value for name, value in like.items())]

    def in_flight(self, **like: Any) -> list[Request]:
        """Requests that may still land."""
        return [
            request
            for request in self.requests
            if request.in_flight and all(getattr(request, name) == value for name, value in like.items())
        ]

    async def settled(self, **like: Any) -> None:
        """Wait until none of these may land any more."""
        ends = [landing.when() for request in self.in_flight(**like) if (landing := self._landings.get(request.number))]
        if ends:
            await asyncio.sleep(max(ends) - _time())
            await self.settled(**like)

    async def delivered(self) -> None:
        """Wait until nothing is to be delivered by token any more."""
        if self._deliver_at:
            await asyncio.sleep(max(self._deliver_at) - _time())
        under_way = [task for task in self.deliveries if not task.done()]
        if under_way:
            await asyncio.wait(under_way)
        if self._deliver_at or under_way:
            await self.delivered()

    def undone(self, effect: Effect) -> list[Effect]:
        """What took an effect back: calls of tools of `make_undo` with its id."""
        return self.effects(item=effect.receipt["id"], takes_back=True)

    def do_by_hand(self, *, tool: str, run_id: str, step: str, item: str, amount: int, occurrence: int = 1) -> Effect:
        """A person does it themselves."""
        effect = Effect(
            number=len(self.ledger) + 1, tool=tool, run_id=run_id, step=step, key="", occurrence=occurrence, item=item,
            amount=amount, at=_time(), visible_at=_time(), by_hand=True,
        )  # fmt: skip
        self.ledger.append(effect)
        return effect

    def hurry(self) -> None:
        """Let all that is in flight land now, and be seen: for a clock that jumps ahead of the world."""
        for request in [request for request in self.requests if request.number in self._landings]:
            self._landings[request.number].cancel()
            self._land(request)
        for effect in self.ledger:
            effect.visible_at = min(effect.visible_at, _time())

    def tools(self) -> list[Tool[..., Any]]:
        """One tool of each safety over this world."""
        return [make_tool(lambda: self, name, safety) for name, safety in _STANDARD.items()]


_STANDARD: dict[str, Safety] = {
    "look": "read", "store": "idempotent", "pay": "keyed", "book": "reconcilable", "mail": "irreversible",
}  # fmt: skip


def make_tool(world: Callable[[], World], name: str, safety: Safety, **options: Any) -> Tool[..., Any]:
    """A tool over whatever world there is when it is called. options: of `@tool`; `probe=True` and `poll=True` for those of the
    world."""
    if safety == "keyed":
        options.setdefault("key_ttl", "forever")

    async def act(item: str, call: Call, amount: int = 1) -> Receipt:
        found: Receipt = await world().request(name, safety, item, amount, call)
        return found

    async def look(item: str, call: Call, amount: int = 1) -> Happened | Probed:
        return await world().probe(name, call)

    async def look_for_rest(item: str, call: Call, amount: int = 1) -> Happened | Probed | Partial:
        return await world().poll(name, call)

    probe = look if options.pop("probe", safety == "reconcilable") else None
    poll = look_for_rest if options.pop("poll", False) else None
    return tool(name=name, safety=safety, probe=probe, poll=poll, **options)(act)


def make_undo(world: Callable[[], World], name: str, safety: Safety = "keyed", **options: Any) -> Tool[..., Any]:
    """A tool that takes back what another one did, by the id in its receipt: `make_tool(…, undo=name)`."""
    if safety == "keyed":
        options.setdefault("key_ttl", "forever")

    async def take_back(id: str, call: Call) -> Receipt:
        found: Receipt = await world().request(name, safety, id, 1, call, True)
        return found

    async def look(id: str, call: Call) -> Happened | Probed:
        return await world().probe(name, call)

    probe = look if safety == "reconcilable" else None
    return tool(name=name, safety=safety, probe=probe, **options)(take_back)


class _Turns:
    """Scripted things by tool, in turn; when they are used up, the same thing for ever."""

    def __init__(self, scripted: Mapping[str, Sequence[Any]], then: Any):
        self._left = {name: list(things) for name, things in scripted.items()}
        self._then = then

    def _next(self, name: str) -> Any:
        left = self._left.get(name)
        return left.pop(0) if left else self._then

    def next_behaviour(self, request: Request) -> Behaviour:
        found: Behaviour = self._next(request.tool)
        return found

    def next_look(self, name: str, call: Call) -> Look:
        found: Look = self._next(name)
        return found


async def _awaited(delivery: Awaitable[Any]) -> Any:
    """What came of a delivery. One that is refused is the other side's concern."""
    try:
        return await delivery
    except errors.HoldfastError as refused:
        return refused


def _complete(effect: Effect) -> None:
    effect.left = ()


async def _wait(seconds: float | None, stubborn: bool) -> None:
    """So long, or for ever; one that is stubborn waits to its end, whoever cancels it."""
    until = float("inf") if seconds is None else _time() + seconds
    while True:
        try:
            if seconds is None:
                await asyncio.get_running_loop().create_future()
            elif until > _time():
                await asyncio.sleep(until - _time())
            return
        except asyncio.CancelledError:
            if not stubborn:
                raise


def _time() -> float:
    return asyncio.get_running_loop().time()


def _state_of(request: Request) -> tuple[str, str, str, int]:
    """Where an idempotent service puts it: the same arguments are the same state."""
    return request.tool, f"{request.run_id} {request.step}", request.item, request.amount
