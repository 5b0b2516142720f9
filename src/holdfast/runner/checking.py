"""Ask functions of the user's whether a rule of a policy matches.

Whatever such a function does instead of saying yes or no, the answer says that nobody knows, and why: what cannot be worked out
asks a person.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from holdfast.agent import PROPOSED, Agent
from holdfast.core.commands import CheckCall
from holdfast.core.events import ChecksAnswered
from holdfast.core.policy import Check
from holdfast.runner.invoke import Hands, contained
from holdfast.runner.threads import TimedOut
from holdfast.runner.words import text, words

# Whoever is asked gets that long at least: a check is no call, and what times out asks a person.
SECONDS_MIN = 1.0


async def check_call(command: CheckCall, agent: Agent, hands: Hands) -> ChecksAnswered:
    """Ask all functions that the command names, at once. Each gets a document of its own, so that what one changes in it harms
    nobody."""
    raw = msgspec.json.encode(command.document)
    seconds = max(SECONDS_MIN, command.timeout_seconds)
    answers = await asyncio.gather(*(_answer(agent, name, raw, seconds, hands) for name in command.checks))
    return ChecksAnswered(call=command.call, answers=dict(zip(command.checks, answers, strict=True)), step=command.step)


async def _answer(agent: Agent, name: str, raw: bytes, seconds: float, hands: Hands) -> Check:
    check = agent.checks.get(name)
    if check is None:
        return Check(why=words(f"the agent has no check {name}"))
    try:
        said = await _said(check, _arguments(check, msgspec.json.decode(raw)), seconds, hands)
    except TimedOut:
        return Check(why=f"no answer within {seconds:g} s")
    except Exception as surprise:  # noqa: BLE001 — the border: any surprise becomes a recorded answer.
        return Check(why=words(f"{type(surprise).__name__}: {text(surprise, ())}"))
    if isinstance(said, bool):
        return Check(holds=said)
    if inspect.iscoroutine(said):
        said.close()
    return Check(why=words(f"it returned neither True nor False, but {_kind(said)}"))


def _kind(said: Any) -> str:
    """What was returned, without its value: that may be anything, and is written down for ever."""
    return "None" if said is None else f"something of the type {type(said).__name__}"


def _arguments(check: Callable[..., Any], document: dict[str, Any]) -> dict[str, Any]:
    """The document by the parameters of a check; what it does not hold is None."""
    names = inspect.signature(check).parameters
    return {name: document if name == PROPOSED else document.get(name) for name in names}


async def _said(check: Callable[..., Any], arguments: dict[str, Any], seconds: float, hands: Hands) -> Any:
    """What a check returns within its time, on the loop or in a thread; TimedOut where that is over."""
    if not inspect.iscoroutinefunction(check):
        return await hands.threads.call(lambda: check(**arguments), seconds, threading.Event())
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await contained(check(**arguments))
    except TimeoutError:
        if limit.expired():
            raise TimedOut from None
        raise  # Its own time-out, of something that it waited for.
