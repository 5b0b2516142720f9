"""Agents with models, over the world of `agents.py`. Loaded by real workers.

`Desk` is a provider that is part of the world: it writes down each request in `asked`, and counts it, before it answers. What a
process that was killed never heard of was counted all the same. Before each turn it waits at the gate `think-N`, N counted from 1
by the answers that it is shown; while there is a file `down` it says that it is overloaded.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from holdfast import Agent, Asking, Breaker, Call, Limits, Models, Price, Tool, tool
from holdfast.core.models import Usage
from holdfast.reasoners.model import Answer, Listener, ModelFailure, Request
from holdfast.testing.models import Said, ScriptedModel, asked, call, called
from tests.acceptance.agents import POLL_SECONDS, _append, _world, irreversible, keyed, reconcilable

PRICE = Price(input_usd=Decimal(3), output_usd=Decimal(15))
# What the provider counts for each request, whoever hears the answer: 0.00375 dollars.
USAGE = Usage(input_tokens=1000, output_tokens=50, requests=1)


async def _through(gate: str) -> None:
    """Wait while the gate is shut, and say so."""
    while (_world() / "gates" / f"{gate}.shut").exists():
        (_world() / "gates" / f"{gate}.waits").touch()
        await asyncio.sleep(POLL_SECONDS)


class Desk:
    """See the module's text."""

    def __init__(self, name: str, says: Callable[[Request], Said]):
        self.name = f"desk:{name}"
        self._model = ScriptedModel(says)

    async def answer(self, request: Request, listener: Listener | None = None) -> Answer:
        turn = asked(request) + 1
        if (_world() / "down").exists():
            _append("refused", str(turn))
            raise ModelFailure("unavailable", "it is down")
        _append("asked", str(turn))
        await _through(f"think-{turn}")
        await asyncio.sleep(0.01)
        answer = await self._model.answer(request)
        return msgspec.structs.replace(answer, usage=USAGE)


def models(*desks: Any, **fields: Any) -> Models:
    """These models at one price, with little patience."""
    fields.setdefault("retry", {"attempts": 8, "backoff": "20ms..50ms"})
    fields.setdefault("output_tokens_max", 200)
    names = [desk if isinstance(desk, str) else desk.name for desk in desks]
    return Models(desks, prices=dict.fromkeys(names, PRICE), **fields)


# --- turns that are interrupted -----------------------------------------------------------------------------------

TURNS = 5


def works(request: Request) -> Said:
    """Two effects in each of five turns, then the end."""
    turn = asked(request)
    if turn == TURNS:
        return "done"
    return [call("keyed", subject=f"k{turn}", seconds=0.02), call("reconcilable", subject=f"r{turn}", seconds=0.02)]


_TOOLS: list[Tool[..., Any]] = [keyed, reconcilable]
worker = Agent(
    "worker",
    model=models(Desk("worker", works)),
    tools=_TOOLS,
    limits=Limits(cost_usd_max=Decimal("3.00"), lost_max=100),
)
"""Ten effects, and money enough for many requests that are lost."""

poor = Agent(
    "poor",
    model=models(Desk("poor", works)),
    tools=_TOOLS,
    limits=Limits(cost_usd_max=Decimal("0.30"), lost_max=100),
)
"""The same, with money for a few of them."""

over_socket = Agent(
    "over-socket",
    model=models("anthropic:claude-sonnet-5"),
    tools=_TOOLS,
    limits=Limits(cost_usd_max=Decimal("1.00")),
)
"""A real client, at whatever address the environment names."""


def _paid(name: str, **promise: Any) -> Tool[..., Any]:
    """A tool that costs five cents, each time that the service behind it is reached; under one key once where it knows keys."""

    @tool(name=name, cost="0.05", timeout="60s", **promise)
    async def pay(subject: str, call: Call) -> str:
        """Buy a report."""
        paid = _world() / "paid"
        keys = {line.split()[1] for line in paid.read_text().splitlines()} if paid.exists() else set()
        if promise["safety"] != "keyed" or call.key not in keys:
            _append("paid", subject, call.key)
        await _through("buy")
        return f"report {subject}"

    return pay


def buys(request: Request) -> Said:
    """Ten reports at once."""
    if not asked(request):
        name = next(form.name for form in request.tools if form.name.startswith("buy_"))
        return [call(name, subject=f"s{number}") for number in range(10)]
    return "bought"


buyer, browser = (
    Agent(
        name,
        model=models(Desk(name, buys)),
        tools=[_paid(f"buy_{name}", **promise)],
        limits=Limits(cost_usd_max=Decimal("0.80"), parallel_max=10, lost_max=100),
    )
    for name, promise in (("buyer", {"safety": "keyed", "key_ttl": "24h"}), ("browser", {"safety": "read"}))
)
"""Ten calls for five cents each in one turn: of a service that knows keys, and of one that charges for each look."""


# --- an outage ----------------------------------------------------------------------------------------------------


def one_effect(request: Request) -> Said:
    """One effect, then the end."""
    if called(request, "keyed"):
        return "done"
    return call("keyed", subject=request.messages[0].parts[0].text.partition("SUBJECT=")[2].split()[0])


outage = Agent(
    "outage",
    model=models(Desk("outage", one_effect), breaker=Breaker(failures_max=3, open_seconds=0.5)),
    tools=[keyed],
)
outage_over_socket = Agent(
    "outage-over-socket",
    model=models("anthropic:claude-sonnet-5", breaker=Breaker(failures_max=3, open_seconds=0.5)),
    tools=[keyed],
)
"""One effect each, by a provider that is left alone for half a second after three failures."""


# --- people -------------------------------------------------------------------------------------------------------


def _told(request: Request) -> str:
    """All that the model is told in words."""
    return " ".join(part.text for message in request.messages for part in message.parts if part.kind == "text")


def asks_first(request: Request) -> Said:
    """It asks for the city, and does something that cannot be undone there."""
    match asked(request):
        case 0:
            return call(
                "ask_person",
                questions=[{"name": "city", "question": "Which city?", "answer_schema": {"type": "string", "minLength": 3}}],
            )
        case 1:
            return call(
                "make_plan", steps={"go": {"tool": "irreversible", "args": {"subject": {"$ref": "facts.city"}}}}, reason="told"
            )
        case _ if "says that city is another" in _told(request) and not called(request, "keep_plan"):
            return call("keep_plan", reason="it goes wherever the city is")
        case _:
            return "went"


asker = Agent(
    "asker", model=ScriptedModel(asks_first, name="asker"), tools=[irreversible], horizon="plan", ask=Asking(policy="always")
)
"""A question, and then a call that a person must approve."""


def plans(request: Request) -> Said:
    """Something for now, and something that a person must approve; then whatever the goal says by then."""
    go = {"tool": "irreversible", "args": {"subject": "Oslo"}, "after": ["keep"]}
    match asked(request):
        case 0:
            steps = {"keep": {"tool": "keyed", "args": {"subject": "kept"}}, "go_Oslo": go}
            return call("make_plan", steps=steps, reason="to Oslo")
        case 1:
            assert "to Boston instead" in _told(request)
            assert "the fair moved" in _told(request)
            steps = {"go_Boston": {**go, "args": {"subject": "Boston"}}}
            return call("make_plan", steps=steps, dropped=["go_Oslo"], reason="to Boston")
        case _:
            return "went"


traveller = Agent("traveller", model=ScriptedModel(plans, name="traveller"), tools=[keyed, irreversible], horizon="plan")
"""Something that is done at once, and a call that a person must approve."""


# --- another model ------------------------------------------------------------------------------------------------

HELD = Path(os.environ.get("WORLD", ".")) / "which-model"
other = Agent(
    "other",
    model=models(Desk(HELD.read_text().strip() if HELD.exists() else "first", works)),
    tools=_TOOLS,
    limits=Limits(cost_usd_max=Decimal("3.00")),
)
"""An agent whose model is named in the world, as somebody may change it in the code between two processes."""
