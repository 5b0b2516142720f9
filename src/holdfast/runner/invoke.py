"""Call a function of the user's, on the loop or in a thread, within its time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from holdfast.core.commands import CallTool, RunProbe
from holdfast.core.tokens import token_for
from holdfast.memory import Recaller
from holdfast.runner.clock import Clock
from holdfast.runner.heartbeat import Heartbeat
from holdfast.runner.threads import Threads, TimedOut
from holdfast.tools.call import Call
from holdfast.tools.toolbox import SecretProvider


class Hands(msgspec.Struct, frozen=True):
    """What performing needs from outside. token_secret: of the store; without it no tool is given a callback token. words: hears
    what a model says while it says it (run, turn, kind of the part, the new words). recaller: chooses what is
    recalled, in place of its words."""

    clock: Clock
    threads: Threads
    secrets: SecretProvider
    token_secret: bytes = b""
    words: Callable[[str, int, str, str], None] | None = None
    recaller: Recaller | None = None


def call_of(command: CallTool | RunProbe, run_id: str, seconds: float, hands: Hands, *, callback: bool = False) -> Call:
    """What the function is told of the call it is in."""
    return Call(
        run_id=run_id,
        step=command.step,
        key=command.key,
        attempt=command.attempt,
        occurrence=command.occurrence,
        deadline=hands.clock.now() + seconds,
        token=token_for(hands.token_secret, run_id, command.key) if callback and hands.token_secret else "",
        handle=command.handle if isinstance(command, RunProbe) else "",
    )


async def invoke(
    function: Callable[..., Any], is_async: bool, call_parameter: str | None, arguments: dict[str, Any], call: Call | None,
    seconds: float, hands: Hands, heartbeat: Heartbeat | None = None,
) -> Any:  # fmt: skip
    """Call a function within its time. call: needed for a synchronous one, and where there is a parameter for it. TimedOut when
    its time is over, or when it was silent for longer than its heartbeat; what it raised goes through."""
    if call_parameter is not None:
        arguments = {**arguments, call_parameter: call}
    if not is_async:
        assert call is not None
        if heartbeat is None:
            return await hands.threads.call(lambda: function(**arguments), seconds, call.stopped)
        return await hands.threads.call(lambda: function(**arguments), seconds, call.stopped, heartbeat)
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            if heartbeat is None:
                return await contained(function(**arguments))
            with contextlib.closing(heartbeat):
                heartbeat.begin(lambda: _end(limit))
                return await contained(function(**arguments))
    except TimeoutError:
        if limit.expired():
            raise TimedOut from None
        raise  # The tool's own time-out, of something that it waited for.


def _end(limit: asyncio.Timeout) -> None:
    with contextlib.suppress(RuntimeError):  # Its time is over as well.
        limit.reschedule(asyncio.get_running_loop().time())


async def contained(awaitable: Awaitable[Any]) -> Any:
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
