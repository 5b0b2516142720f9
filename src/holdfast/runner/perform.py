"""One function per command: the only place that touches the world.

Whatever happens here comes back as one outcome event. What counts as *failed* and what as *unknown* is the line that
matters: a failure says that the effect did not happen, so only a tool may say it, by raising a ToolFailure; anything else
that goes wrong in a tool that changes the world leaves that open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from holdfast.agent import Agent
from holdfast.core.commands import AskReasoner, CallTool, Command, RunProbe
from holdfast.core.events import (
    AnyEvent,
    CallDeferred,
    CallFailed,
    CallPartial,
    CallSucceeded,
    CallUnknown,
    Failure,
    ProbeAnswered,
    ProposalFailed,
)
from holdfast.core.state import State
from holdfast.errors import InvalidOutput, MissingSecret, ToolFailure, Unknown
from holdfast.journal.codec import redact
from holdfast.reasoners.base import briefing, taken
from holdfast.runner.clock import Clock
from holdfast.runner.threads import Threads, TimedOut
from holdfast.tools.function import Call, Deferred, Happened, Partial, Probed, Tool
from holdfast.tools.toolbox import SecretProvider, arguments_in, scrubbed, value_out

MESSAGE_MAX = 2_000
REASONER_TIMEOUT_SECONDS = 600.0


class Hands(msgspec.Struct, frozen=True):
    """What performing needs from outside."""

    clock: Clock
    threads: Threads
    secrets: SecretProvider


async def perform(command: Command, agent: Agent, state: State, hands: Hands) -> AnyEvent:
    """Do what the command says and return its outcome."""
    if type(command) is CallTool:
        return await call_tool(command, agent, state.run_id, hands)
    if type(command) is RunProbe:
        return await run_probe(command, agent, state.run_id, hands)
    assert type(command) is AskReasoner
    return await ask_reasoner(command, agent, state)


async def call_tool(command: CallTool, agent: Agent, run_id: str, hands: Hands) -> AnyEvent:
    """Call a tool once, within its time."""
    step, attempt = command.step, command.attempt
    secrets: tuple[str, ...] = ()
    tool = agent.toolbox.get(command.tool)
    if tool is None:
        return _failed(command, "not_found", f"the agent has no tool {command.tool}")
    changes_nothing = command.contract.safety == "read"
    started = hands.clock.monotonic()
    try:
        arguments, secrets = arguments_in(tool, command.args, hands.secrets)
        value = await _invoke(tool.function, tool.is_async, tool.call_parameter, arguments, command, run_id, hands)
        return _returned(command, tool, agent, value, round(hands.clock.monotonic() - started, 6))
    except ToolFailure as failure:
        return CallFailed(
            step=step,
            attempt=attempt,
            failure=Failure(
                kind=failure.kind,  # type: ignore[arg-type]
                message=_text(failure, secrets),
                retry_after_seconds=failure.retry_after_seconds,
                detail=_plain(failure.detail),
            ),
        )
    except MissingSecret as missing:
        return _failed(command, "denied", str(missing))
    except TimedOut:
        why = f"it did not end within {command.timeout_seconds:g} s"
        return _failed(command, "transient", why) if changes_nothing else CallUnknown(step=step, attempt=attempt, why=why)
    except Unknown as unknown:
        why = _text(unknown, secrets)
        return _failed(command, "transient", why) if changes_nothing else CallUnknown(step=step, attempt=attempt, why=why)
    except Exception as surprise:  # noqa: BLE001 — the border: any surprise becomes a recorded outcome.
        why = f"{type(surprise).__name__}: {_text(surprise, secrets)}"
        return _failed(command, "crashed", why) if changes_nothing else CallUnknown(step=step, attempt=attempt, why=why)


async def run_probe(command: RunProbe, agent: Agent, run_id: str, hands: Hands) -> ProbeAnswered:
    """Ask a tool whether a call of it happened. A probe that fails is asked again, like one that says "not yet"."""
    tool = agent.toolbox.get(command.tool)
    secrets: tuple[str, ...] = ()
    if tool is None or tool.probe is None:
        return ProbeAnswered(
            step=command.step, probe=command.probe, verdict="cannot_tell", message=f"{command.tool} has no probe"
        )
    try:
        arguments, secrets = arguments_in(tool, command.args, hands.secrets)
        found = await _invoke(tool.probe, tool.probe_is_async, tool.probe_call_parameter, arguments, command, run_id, hands)
        if isinstance(found, Happened):
            value = redact(value_out(tool, found.value), agent.secret_names)
            return ProbeAnswered(step=command.step, probe=command.probe, verdict="happened", value=value)
        if isinstance(found, Probed):
            return ProbeAnswered(
                step=command.step, probe=command.probe, verdict=found.verdict, message=found.message[:MESSAGE_MAX]
            )
        wrong = f"the probe returned {type(found).__name__}, not Happened, NOT_HAPPENED, NOT_YET or cannot_tell()"
        return ProbeAnswered(step=command.step, probe=command.probe, verdict="cannot_tell", message=wrong)
    except InvalidOutput as broken:
        wrong = f"the probe found the call done, with a result that breaks its schema: {_text(broken, secrets)}"
        return ProbeAnswered(step=command.step, probe=command.probe, verdict="cannot_tell", message=wrong)
    except TimedOut:
        return ProbeAnswered(step=command.step, probe=command.probe, verdict="not_yet", message="the probe timed out")
    except Exception as surprise:  # noqa: BLE001 — the border: any surprise becomes a recorded outcome.
        why = f"the probe failed: {type(surprise).__name__}: {_text(surprise, secrets)}"
        return ProbeAnswered(step=command.step, probe=command.probe, verdict="not_yet", message=why)


async def ask_reasoner(command: AskReasoner, agent: Agent, state: State) -> AnyEvent:
    """Ask the reasoner, and check what it proposes."""
    try:
        async with asyncio.timeout(REASONER_TIMEOUT_SECONDS):
            proposal = await agent.reasoner.propose(briefing(state))
        return taken(proposal, state, command.turn)
    except Exception as surprise:  # noqa: BLE001 — the border: any surprise becomes a recorded outcome.
        return ProposalFailed(turn=command.turn, problems=(f"{type(surprise).__name__}: {_text(surprise, ())}",))


async def _invoke(
    function: Callable[..., Any], is_async: bool, call_parameter: str | None, arguments: dict[str, Any],
    command: CallTool | RunProbe, run_id: str, hands: Hands,
) -> Any:  # fmt: skip
    """Call a function of the user's within its time. TimedOut when it is over; what it raised goes through."""
    if is_async and call_parameter is None:
        stopped = None
    else:
        call = Call(
            run_id=run_id,
            step=command.step,
            key=command.key,
            attempt=command.attempt,
            occurrence=command.occurrence,
            deadline=hands.clock.now() + command.timeout_seconds,
        )
        stopped = call.stopped
        if call_parameter is not None:
            arguments[call_parameter] = call
    if not is_async:
        assert stopped is not None
        return await hands.threads.call(lambda: function(**arguments), command.timeout_seconds, stopped)
    limit = asyncio.timeout(command.timeout_seconds)
    try:
        async with limit:
            return await function(**arguments)
    except TimeoutError:
        if limit.expired():
            raise TimedOut from None
        raise  # The tool's own time-out, of something that it waited for.


def _returned(command: CallTool, tool: Tool[..., Any], agent: Agent, value: Any, seconds: float) -> AnyEvent:
    step, attempt = command.step, command.attempt
    if isinstance(value, Deferred):
        return CallDeferred(step=step, attempt=attempt, handle=str(value.handle), until=value.until)
    if isinstance(value, Partial):
        part = redact(value_out(tool, value.value), agent.secret_names)
        return CallPartial(step=step, attempt=attempt, value=part, left=tuple(map(str, value.left)))
    return CallSucceeded(step=step, attempt=attempt, value=redact(value_out(tool, value), agent.secret_names), seconds=seconds)


def _failed(command: CallTool, kind: Any, message: str) -> CallFailed:
    return CallFailed(step=command.step, attempt=command.attempt, failure=Failure(kind=kind, message=message[:MESSAGE_MAX]))


def _text(error: BaseException, secrets: tuple[str, ...]) -> str:
    """An error's words: without secrets, valid as UTF-8, of bounded length."""
    text = scrubbed(str(error), secrets).encode("utf-8", "replace").decode()
    return text if len(text) <= MESSAGE_MAX else text[:MESSAGE_MAX] + f"… ({len(text)} characters in all)"


def _plain(detail: Any) -> Any:
    """A failure's detail if it is JSON, else its text."""
    try:
        return msgspec.json.decode(msgspec.json.encode(detail))
    except (TypeError, ValueError, RecursionError):
        return repr(detail)[:MESSAGE_MAX]
