"""Is a result enough? What a tool, its check and the step say of a call that has happened.

A result that fits its schema may still not do: a booking that is not confirmed, a transfer that the ledger does not show. It is
judged by the tool's `sufficient`, by its `check`, which reads the world back, and by the step's `expect`, in this order; the
first that is not content decides. Whatever goes wrong while it is judged, the call has happened, and nobody has confirmed that it
did what it should: that is never success, and never "it did not happen".
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import msgspec

from holdfast.agent import Agent
from holdfast.core.commands import CallTool, RunProbe
from holdfast.core.events import Failure
from holdfast.core.plan import Expect, expected
from holdfast.core.references import LITERAL, Missing, fill, unmet
from holdfast.core.state import State, StepState, result_of
from holdfast.core.values import redacted_in
from holdfast.errors import InvalidOutput
from holdfast.journal.codec import redact
from holdfast.runner.invoke import Hands, call_of, invoke
from holdfast.runner.threads import TimedOut
from holdfast.runner.words import failure_of, text, words
from holdfast.tools.answers import Deferred, Happened, Partial, Probed
from holdfast.tools.function import Tool
from holdfast.tools.signature import Inquiry
from holdfast.tools.toolbox import arguments_in, result_out, scrubbed_value

# A check that says "not yet" is asked so often in all, as far as the call's time goes.
CHECKS_MAX = 5
DETAIL_BYTES_MAX = 2_000


class Unfit(Exception):
    """Why a result is not enough, in words that can be written down."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a call brought. typed: in the type that the tool declares; value: as plain JSON, as it may be written down. bytes: of
    that, as it came. secrets: the plain ones that the call was given."""

    typed: Any
    value: Any
    bytes: int
    secrets: tuple[str, ...] = ()


def result_of_call(tool: Tool[..., Any], returned: Any, agent: Agent, secrets: tuple[str, ...]) -> Result:
    """What a function returned, checked, and without secrets. InvalidOutput where it breaks the tool's schema."""
    typed, plain, size = result_out(tool, returned)
    return Result(typed=typed, value=redact(scrubbed_value(plain, secrets), agent.secret_names), bytes=size, secrets=secrets)


def is_judged(command: CallTool | RunProbe, tool: Tool[..., Any]) -> bool:
    """Whether anybody has a say about the result of this call."""
    return tool.is_judged or command.expect is not None


async def judged(
    command: CallTool | RunProbe, tool: Tool[..., Any], result: Result, agent: Agent, run_id: str, hands: Hands, until: float
) -> Failure | None:
    """Why a result is not enough; None where it is. until: the loop's time by which it must be known. Raises nothing but the
    cancellation of its own task."""
    judge = _Judge(command, tool, result, agent, run_id, hands, until)
    try:
        await judge.sufficient()
        await judge.check()
        await judge.expect()
    except Unfit as unfit:
        return _insufficient(tool, result, str(unfit))
    except Exception as surprise:  # noqa: BLE001 — the border: whatever happened here, the call has happened.
        return _insufficient(tool, result, f"could not be checked: {type(surprise).__name__}: {text(surprise, result.secrets)}")
    return None


async def check_delivery(step: StepState, value: Any, agent: Agent, state: State, hands: Hands) -> tuple[Any, Failure | None]:
    """Judge a result that did not come with its call but by itself: the value as it is to be written down, and why it will not
    do. Never raises: one that breaks the schema is a failure too (whoever takes it in has refused such a one, see
    `delivered`)."""
    tool = agent.toolbox.get(step.tool)
    if tool is None:
        return value, Failure(kind="not_found", message=f"the agent has no tool {step.tool}", landed=True)
    try:
        result = delivered(tool, value, agent)
    except InvalidOutput as broken:
        return None, failure_of(broken, agent.secret_names, (), landed=tool.contract.safety != "read")
    try:
        command = _look_of(step, tool, state)
    except Missing as missing:
        return result.value, _insufficient(tool, result, f"could not be checked: {missing}")
    if not is_judged(command, tool):
        return result.value, None
    until = asyncio.get_running_loop().time() + command.timeout_seconds
    return result.value, await judged(command, tool, result, agent, state.run_id, hands, until)


def delivered(tool: Tool[..., Any], value: Any, agent: Agent) -> Result:
    """A result that came by itself, checked. InvalidOutput where it breaks the schema, or is larger than the tool allows: nothing
    of it could be kept beside, and who delivers it can be told."""
    result = result_of_call(tool, value, agent, ())
    if result.bytes > tool.contract.result_bytes_max:
        raise InvalidOutput(too_large(tool, result))
    return result


def too_large(tool: Tool[..., Any], result: Result) -> str:
    """The sentence about a result's size."""
    return f"the result has {result.bytes:,} bytes as JSON; {tool.name} may return {tool.contract.result_bytes_max:,}"


def _look_of(step: StepState, tool: Tool[..., Any], state: State) -> RunProbe:
    """The step's call as somebody who looks at it is told of it."""
    owed = state.pending.get(step.step.id)
    return RunProbe(
        step=step.step.id,
        probe=step.probe,
        attempt=step.attempt,
        tool=step.tool,
        args=(owed.args if owed is not None else step.args) or step.args or {},
        key=owed.key if owed is not None else step.key,
        occurrence=step.occurrence,
        timeout_seconds=step.step.timeout_seconds or tool.contract.timeout_seconds,
        owed=True,
        handle=owed.handle if owed is not None else step.handle,
        expect=expected(step.step, state.goal.inputs, lambda name: result_of(state, name)),
    )


def _insufficient(tool: Tool[..., Any], result: Result, message: str) -> Failure:
    small = result.bytes <= DETAIL_BYTES_MAX
    return Failure(
        kind="insufficient",
        message=words(message, result.secrets),
        detail={"value": result.value} if small else None,
        landed=tool.contract.safety != "read",
    )


class _Judge:
    """One result before its three judges. Each of them raises Unfit, or anything else where it could not be known."""

    def __init__(
        self, command: CallTool | RunProbe, tool: Tool[..., Any], result: Result, agent: Agent, run_id: str, hands: Hands,
        until: float,
    ):  # fmt: skip
        self.command, self.tool, self.result, self.agent = command, tool, result, agent
        self.run_id, self.hands, self.until = run_id, hands, until

    async def sufficient(self) -> None:
        """By the tool's own word about its results."""
        wanted = self.tool.sufficient
        if isinstance(wanted, str):
            _must_hold(wanted, self.result.value)
        elif wanted is not None:
            is_async = inspect.iscoroutinefunction(wanted)
            answer = await self._ask(lambda: wanted(self.result.typed), is_async, None, {}, self.tool.name)
            _must_be_content(answer, f"{self.tool.name} says that its result is not sufficient")

    async def check(self) -> None:
        """By the tool's look at the world."""
        if (check := self.tool.check) is not None:
            _must_be_content(await self._checked(check), "its check does not find it done")

    async def _checked(self, check: Inquiry) -> Any:
        """What the check says, once it says anything but "not yet"."""
        arguments, _ = arguments_in(self.tool, self.command.args, self.hands.secrets)
        if check.takes is None or "result" in check.takes:
            arguments.setdefault("result", self.result.typed)
        wait = self.tool.contract.probe_seconds
        for tries in range(1, CHECKS_MAX + 1):
            given = check.given(arguments)
            answer = await self._ask(check.function, check.is_async, check.call_parameter, given, "its check")
            if not (isinstance(answer, Probed) and answer.verdict == "not_yet"):
                return answer
            if tries == CHECKS_MAX or self._left() <= wait:
                break
            await asyncio.sleep(wait)
            wait *= 2
        raise Unfit("its check does not find it done yet")

    async def expect(self) -> None:
        """By what the step expects, of the result or of what another tool sees in the world."""
        if (expect := self.command.expect) is None:
            return
        if not expect.tool:
            _must_hold(expect.that, self.result.value)
        elif expect.that:
            _must_hold(expect.that, await self._look(expect), f"{expect.tool} answers, and ")
        elif unmet("@", await self._look(expect)):
            raise Unfit(f"{expect.tool} finds nothing")

    async def _look(self, expect: Expect) -> Any:
        """What a tool of the agent's sees."""
        looker = self.agent.toolbox.get(expect.tool)
        if looker is None or looker.contract.safety != "read":
            raise Unfit(f"could not be checked: {expect.tool} is no read tool of the agent")
        args = fill(expect.args, result=self.result.value)
        if redacted_in(args):
            raise Unfit(f"could not be checked: an argument of {expect.tool} was never written down")
        if "result" in looker.argument_names and "result" not in args:
            args = {**args, "result": {LITERAL: self.result.value}}  # As it is written down, so without secrets.
        arguments, secrets = arguments_in(looker, args, self.hands.secrets)
        seen = await self._ask(looker.function, looker.is_async, looker.call_parameter, arguments, expect.tool)
        if isinstance(seen, (Partial, Deferred)):
            raise Unfit(f"could not be checked: {expect.tool} says {type(seen).__name__}")
        return result_of_call(looker, seen, self.agent, secrets).value

    async def _ask(
        self, function: Callable[..., Any], is_async: bool, call_parameter: str | None, arguments: dict[str, Any], who: str
    ) -> Any:
        """Call somebody within what is left of the time."""
        seconds = self._left()
        if seconds <= 0:
            raise Unfit(f"could not be checked: no time was left for {who}")
        call = call_of(self.command, self.run_id, seconds, self.hands)
        try:
            return await invoke(function, is_async, call_parameter, arguments, call, seconds, self.hands)
        except TimedOut:
            raise Unfit(f"could not be checked: {who} did not answer in time") from None

    def _left(self) -> float:
        return self.until - asyncio.get_running_loop().time()


def _must_hold(condition: str, value: Any, before: str = "") -> None:
    if why := unmet(condition, value):
        raise Unfit(before + why)


def _must_be_content(answer: Any, otherwise: str) -> None:
    """Raise Unfit unless the answer is True or Happened; with the reason where one is given."""
    if answer is True or isinstance(answer, Happened):
        return
    if isinstance(answer, str):
        raise Unfit(answer or otherwise)
    if isinstance(answer, Probed):
        raise Unfit(f"{otherwise}: {answer.message}" if answer.message else otherwise)
    if answer is None or answer is False:
        raise Unfit(otherwise)
    raise Unfit(f"{otherwise}: it returned {type(answer).__name__}, not True, False or why not")
