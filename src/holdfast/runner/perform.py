"""One function per command: the only place that touches the world.

Whatever happens here comes back as one outcome event. What counts as *failed* and what as *unknown* is the line that
matters: a failure says that the effect did not happen, so only a tool may say it, by raising a ToolFailure; anything else
that goes wrong in a tool that changes the world leaves that open.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, get_args

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
    FailureKind,
    FinishProposed,
    GiveUpProposed,
    PlanAdopted,
    ProbeAnswered,
    ProposalFailed,
    Verdict,
)
from holdfast.core.state import State
from holdfast.core.values import plain, redacted_in
from holdfast.errors import InvalidOutput, MissingSecret, ToolFailure, Unknown
from holdfast.journal.codec import redact
from holdfast.reasoners.base import briefing, taken
from holdfast.runner.clock import Clock
from holdfast.runner.threads import Threads, TimedOut
from holdfast.tools.function import Call, Deferred, Happened, Partial, Probed, Tool
from holdfast.tools.toolbox import SecretProvider, arguments_in, scrubbed, scrubbed_value, value_out

MESSAGE_MAX = 2_000
DETAIL_DEPTH_MAX = 8
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
    if redacted_in(command.args):
        lost = "an argument holds what was never written down, by its name; give it as {$secret: NAME} in the plan"
        return _failed(command, "invalid_input", lost)
    changes_nothing = command.contract.safety == "read"
    started = hands.clock.monotonic()
    try:
        arguments, secrets = arguments_in(tool, command.args, hands.secrets)
        value = await _invoke(tool.function, tool.is_async, tool.call_parameter, arguments, command, run_id, hands)
        return _returned(command, tool, agent, value, secrets, round(hands.clock.monotonic() - started, 6))
    except ToolFailure as failure:
        return CallFailed(step=step, attempt=attempt, failure=_failure(failure, agent, secrets))
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
            value = _kept(tool, agent, found.value, secrets)
            return ProbeAnswered(step=command.step, probe=command.probe, verdict="happened", value=value)
        if isinstance(found, Probed) and found.verdict in get_args(Verdict):
            message = _words(str(found.message), secrets)
            return ProbeAnswered(step=command.step, probe=command.probe, verdict=found.verdict, message=message)
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
            proposal = await _contained(agent.reasoner.propose(briefing(state)))
        return _in_bounds(taken(proposal, state, command.turn), agent)
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
            return await _contained(function(**arguments))
    except TimeoutError:
        if limit.expired():
            raise TimedOut from None
        raise  # The tool's own time-out, of something that it waited for.


async def _contained(awaitable: Awaitable[Any]) -> Any:
    """Await code of the user's. What would tear down the task or the process around it becomes an error like any other:
    a cancellation that is not ours, and `sys.exit()`."""
    try:
        return await awaitable
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise RuntimeError("something that it waited for was cancelled") from None
    except (Exception, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as surprise:
        raise RuntimeError(f"{type(surprise).__name__}: {surprise}") from surprise


def _returned(
    command: CallTool, tool: Tool[..., Any], agent: Agent, value: Any, secrets: tuple[str, ...], seconds: float
) -> AnyEvent:
    step, attempt = command.step, command.attempt
    if isinstance(value, Deferred):
        handle = _words(str(value.handle), secrets)
        return CallDeferred(step=step, attempt=attempt, handle=handle, until=_number(value.until))
    if isinstance(value, Partial):
        named: Any = value.left
        left = tuple(_words(str(item), secrets) for item in ((named,) if isinstance(named, str) else named))
        return CallPartial(step=step, attempt=attempt, value=_kept(tool, agent, value.value, secrets), left=left)
    return CallSucceeded(step=step, attempt=attempt, value=_kept(tool, agent, value, secrets), seconds=seconds)


def _kept(tool: Tool[..., Any], agent: Agent, value: Any, secrets: tuple[str, ...]) -> Any:
    """A result as it is written down: checked, and without secrets."""
    return redact(scrubbed_value(value_out(tool, value), secrets), agent.secret_names)


def _failure(failure: ToolFailure, agent: Agent, secrets: tuple[str, ...]) -> Failure:
    """What a tool raised, as data that can be read back whatever the tool put into it."""
    message, kind = _text(failure, secrets), failure.kind
    if kind not in get_args(FailureKind):
        message, kind = f"{kind}: {message}", "transient"  # A class of the tool's own; it says that nothing happened.
    return Failure(
        kind=kind,  # type: ignore[arg-type]
        message=message,
        retry_after_seconds=_number(failure.retry_after_seconds),
        detail=redact(scrubbed_value(_plain(failure.detail), secrets), agent.secret_names),
    )


def _in_bounds(event: AnyEvent, agent: Agent) -> AnyEvent:
    """What a reasoner said, without secrets and with its words cut to length."""
    if isinstance(event, FinishProposed):
        return msgspec.structs.replace(event, result=redact(event.result, agent.secret_names))
    if isinstance(event, (GiveUpProposed, PlanAdopted)):
        return msgspec.structs.replace(event, reason=_words(str(event.reason), ()))
    if isinstance(event, ProposalFailed):
        return msgspec.structs.replace(event, problems=tuple(_words(problem, ()) for problem in event.problems))
    return event


def _failed(command: CallTool, kind: Any, message: str) -> CallFailed:
    return CallFailed(step=command.step, attempt=command.attempt, failure=Failure(kind=kind, message=message[:MESSAGE_MAX]))


def _text(error: BaseException, secrets: tuple[str, ...]) -> str:
    """An error's words: without secrets, valid as UTF-8, of bounded length."""
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001 — the error's own words are code of the user's too.
        text = f"it cannot say what is wrong ({type(broken).__name__})"
    return _words(text, secrets)


def _words(text: str, secrets: tuple[str, ...]) -> str:
    text = scrubbed(text, secrets).encode("utf-8", "replace").decode()
    return text if len(text) <= MESSAGE_MAX else text[:MESSAGE_MAX] + f"… ({len(text)} characters in all)"


def _plain(detail: Any, depth: int = 0) -> Any:
    """A failure's detail as JSON; the parts that have no such form become text. Names stay names: secrets are told by them."""
    try:
        return plain(detail)
    except ValueError:
        if isinstance(detail, dict) and depth < DETAIL_DEPTH_MAX:
            return {_words(str(name), ()): _plain(part, depth + 1) for name, part in detail.items()}
        if isinstance(detail, (list, tuple)) and depth < DETAIL_DEPTH_MAX:
            return [_plain(part, depth + 1) for part in detail]
        if isinstance(detail, (dict, list, tuple)):
            return "…"
    try:
        return _words(repr(detail), ())
    except Exception:  # noqa: BLE001 — how it shows itself is code of the user's too.
        return type(detail).__name__


def _number(value: Any) -> float | None:
    """A time that a tool named, if it is one; headers of HTTP come as text."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
