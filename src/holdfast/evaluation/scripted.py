"""A world from a case file: services that answer what is written there, go wrong as it is written there, and keep a ledger.

Each request that arrives is counted. Whether a second one is a second effect is the nature of the *service*, not a promise of the
tool: by default it is (`repeats: again`). A service with `by_key` drops what carries the key of an earlier effect, and only a
tool that is declared `keyed` sends one; `by_args` leaves the world as it is where the same arguments come again.

Requests that are under way belong to the world: they land whether or not who sent them is still there.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import pydantic_core

from holdfast.core.conditions import compile_condition
from holdfast.core.contract import digest
from holdfast.core.references import Missing, fill, quoted, unmarked
from holdfast.errors import InvalidInput
from holdfast.evaluation.casefile import REQUEST_WORDS
from holdfast.evaluation.records import Fault, Service
from holdfast.evaluation.world import Effect, put_in
from holdfast.runner.clock import Clock
from holdfast.testing.behaviours import FAILURES
from holdfast.tools.answers import NOT_HAPPENED, NOT_YET, Happened, Probed
from holdfast.tools.call import Call
from holdfast.tools.function import Tool


class ServiceError(Exception):
    """An exception that no tool author thought of."""


class Request(msgspec.Struct, kw_only=True):
    """One request that arrived. number: of this tool, from 1. lands_at: when its effect happens, None for never; seen_at: from
    when a probe can see it. effect: the one that it made, or that an earlier one had made already."""

    tool: str
    number: int
    key: str
    args: dict[str, Any]
    sends_key: bool
    answer: Any = None
    lands_at: float | None = None
    seen_at: float = 0.0
    effect: Effect | None = None


class ScriptedWorld:
    """See the module's text, and `World`. services: by tool. tools: those of the agent that they stand in for. seed: of what
    happens by chance. requests: all that arrived, in order."""

    def __init__(
        self, services: Mapping[str, Service], tools: Mapping[str, Tool[..., Any]], clock: Clock, *,
        faults: Sequence[Fault] = (), seed: int = 0,
    ):  # fmt: skip
        self.requests: list[Request] = []
        self._services = dict(services)
        self._tools = {name: tools[name] for name in services if name in tools}  # Another version may have the others.
        self._clock = clock
        self._faults = tuple(faults)
        self._draw = random.Random(f"{seed} faults")
        self._ledger: list[Effect] = []
        self._numbers: Counter[str] = Counter()
        self._under_way: list[Request] = []

    def tools(self) -> Iterable[Tool[..., Any]]:
        """A stand-in for each tool that has a service."""
        return [self._stand_in(tool) for tool in self._tools.values()]

    def ledger(self) -> Sequence[Effect]:
        """All that happened. What was under way has landed by the time anybody reads it."""
        self._land(float("inf"))
        return tuple(self._ledger)

    def close(self) -> None:
        """There is nothing to let go of."""

    # --- what tools do --------------------------------------------------------------------------------------------

    def _stand_in(self, tool: Tool[..., Any]) -> Tool[..., Any]:
        async def act(holdfast_call: Call, **arguments: Any) -> Any:
            return await self._requested(tool, arguments, holdfast_call)

        async def look(holdfast_call: Call, **arguments: Any) -> Happened | Probed:
            return self._seen(tool.name, holdfast_call)

        async def look_back(holdfast_call: Call, **arguments: Any) -> Any:
            return True if isinstance(self._seen(tool.name, holdfast_call), Happened) else "the ledger does not have it"

        return put_in(tool, act, probe=look, poll=look, check=look_back)

    async def _requested(self, tool: Tool[..., Any], arguments: dict[str, Any], call: Call) -> Any:
        self._numbers[tool.name] += 1
        service, now = self._services[tool.name], self._clock.now()
        args = pydantic_core.to_jsonable_python(arguments, serialize_unknown=True)
        request = Request(
            tool=tool.name, number=self._numbers[tool.name], key=call.key, args=args, lands_at=now, seen_at=now,
            sends_key=tool.contract.safety == "keyed",
        )  # fmt: skip
        self.requests.append(request)
        request.answer = _answered(service, request)
        fault = self._fault(request)
        await asyncio.sleep(service.takes_seconds)
        if fault is not None:
            return await self._misbehaved(request, fault)
        self._send(request)
        return request.answer

    def _fault(self, request: Request) -> Fault | None:
        """The first that befalls this request; each that leaves it to chance draws, so that one does not move the others."""
        found = [fault for fault in self._faults if fault.tool == request.tool and (self._draw.random() < fault.chance)]
        return next((fault for fault in found if not fault.calls or request.number in fault.calls), None)

    async def _misbehaved(self, request: Request, fault: Fault) -> Any:
        if not fault.effect:
            request.lands_at = None
        elif fault.what == "late":
            request.lands_at = self._clock.now() + fault.after_seconds
        elif fault.what == "unseen":
            request.seen_at = self._clock.now() + fault.after_seconds
        self._send(request)
        match fault.what:
            case "fails":
                raise FAILURES[fault.kind](f"{request.tool} says: {fault.kind}")
            case "raises":
                raise ServiceError("the connection broke")
            case "times_out" | "late":
                await asyncio.get_running_loop().create_future()
            case "slow":
                await asyncio.sleep(fault.after_seconds)
            case "nonsense":
                return _Nonsense()
            case "lies" if fault.answer is not msgspec.UNSET:
                return fault.answer
        return request.answer

    # --- what happens ---------------------------------------------------------------------------------------------

    def _send(self, request: Request) -> None:
        if request.lands_at is not None:
            self._under_way.append(request)
        self._land(self._clock.now())

    def _land(self, now: float) -> None:
        due = sorted((one for one in self._under_way if one.lands_at is not None and one.lands_at <= now), key=_landing)
        self._under_way = [one for one in self._under_way if one not in due]
        for request in due:
            same = self._same(request)
            request.effect = same if same is not None else Effect(tool=request.tool, args=request.args, key=request.key)
            if same is None and self._tools[request.tool].contract.safety != "read":
                self._ledger.append(request.effect)

    def _same(self, request: Request) -> Effect | None:
        """The effect that this one only repeats, by what the service is."""
        match self._services[request.tool].repeats:
            case "by_key" if request.sends_key:
                alike: Callable[[Effect], bool] = lambda effect: effect.key == request.key  # noqa: E731
            case "by_args":
                alike = lambda effect: digest(effect.args) == digest(request.args)  # noqa: E731
            case _:
                return None
        return next((effect for effect in self._ledger if effect.tool == request.tool and alike(effect)), None)

    def _seen(self, tool: str, call: Call) -> Happened | Probed:
        """What somebody finds who looks for the call with this key."""
        now = self._clock.now()
        self._land(now)
        mine = [request for request in self.requests if request.tool == tool and request.key == call.key]
        for request in mine:
            if request.effect is not None:
                return Happened(request.answer) if request.seen_at <= now else NOT_YET
        return NOT_YET if any(request in self._under_way for request in mine) else NOT_HAPPENED


class _Nonsense:
    """What no schema takes, nor JSON."""


def _landing(request: Request) -> float:
    assert request.lands_at is not None
    return request.lands_at


def _answered(service: Service, request: Request) -> Any:
    """What the service says to this request; InvalidInput where its file has no answer for it."""
    document = {"args": request.args, "number": request.number}
    for reply in service.replies:
        if not reply.when or compile_condition(reply.when, REQUEST_WORDS).holds(document).holds:
            try:
                return unmarked(fill(reply.answer, result={"number": request.number}, args=quoted(request.args)))
            except Missing as missing:
                raise InvalidInput(f"the case file's answer of {request.tool} names {missing}, which was not sent") from missing
    if service.replies:
        raise InvalidInput(f"the case file has no answer of {request.tool} for {request.args}")
    return None
