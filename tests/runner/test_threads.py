"""Threads for synchronous tools: what is heard, what is ended, what is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from holdfast.errors import Unavailable
from holdfast.runner import threads as module
from holdfast.runner.threads import Threads, TimedOut
from holdfast.tools.function import Cancelled
from tests.gate import until

WORD: contextvars.ContextVar[str] = contextvars.ContextVar("word")


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Threads]:
    """Threads with a short grace; the idle ones end with the test."""
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.3)
    threads = Threads()
    yield threads
    threads.close()


def never() -> threading.Event:
    """A `stopped` that nobody looks at."""
    return threading.Event()


def spin(event: threading.Event | None = None, seconds: float = 5.0) -> None:
    """Run Python until an event, so that an exception raised from outside arrives."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not (event is not None and event.is_set()):
        pass


# --- what is heard -------------------------------------------------------------------------------------------------


async def test_a_function_runs_in_a_thread_of_its_own_with_the_callers_context(threads: Threads) -> None:
    """Its result comes back, and it sees the context variables of who called it."""
    WORD.set("given")
    seen: list[Any] = []

    def function() -> str:
        seen.extend([threading.current_thread().name, threading.current_thread().daemon, WORD.get()])
        WORD.set("changed inside")
        return "result"

    assert await threads.call(function, 5, never()) == "result"
    assert seen == ["holdfast-tool", True, "given"]
    assert WORD.get() == "given"


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("k"), TimeoutError("its own"), StopIteration("s")])
async def test_what_it_raises_comes_back(threads: Threads, error: Exception) -> None:
    """As it is; what a future cannot carry comes as a RuntimeError that names it."""

    def function() -> None:
        raise error

    with pytest.raises(RuntimeError if isinstance(error, StopIteration) else type(error)):
        await threads.call(function, 5, never())


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()])
async def test_what_would_end_a_process_ends_no_worker(threads: Threads, error: BaseException) -> None:
    """`sys.exit()` in a tool is an error of that tool."""

    def function() -> None:
        raise error

    with pytest.raises(RuntimeError, match=type(error).__name__):
        await threads.call(function, 5, never())
    assert await threads.call(lambda: 1, 5, never()) == 1


async def test_idle_threads_are_used_again(threads: Threads) -> None:
    """There are as many as were ever needed at once."""
    idents = {await threads.call(threading.get_ident, 5, never()) for _ in range(20)}
    assert len(idents) <= 2, "the thread may still be on its way back when the next call comes"
    barrier = threading.Barrier(5)
    at_once = await asyncio.gather(
        *(threads.call(lambda: (barrier.wait(5), threading.get_ident())[1], 5, never()) for _ in range(5))
    )
    assert len(set(at_once)) == 5


# --- time-out ------------------------------------------------------------------------------------------------------


async def test_a_call_whose_time_is_over_is_told_and_what_it_then_says_counts(threads: Threads) -> None:
    """`stopped` is set first; a tool that looks at it returns in peace, and its result is the truth."""
    stopped = threading.Event()

    def function() -> str:
        assert stopped.wait(5)
        return "did half of it"

    assert await threads.call(function, 0.02, stopped) == "did half of it"
    await until(lambda: threads.left_behind == 0)


async def test_a_call_that_does_not_look_is_interrupted(threads: Threads) -> None:
    """Cancelled is raised inside, through `except Exception`; `finally` is run, and the caller gets a time-out."""
    seen: list[str] = []
    stopped = threading.Event()

    def function() -> None:
        try:
            try:
                spin()
            except Exception:  # noqa: BLE001 — what tools do, and must not keep them from ending.
                seen.append("swallowed")
        except Cancelled:
            seen.append(f"cancelled, stopped {stopped.is_set()}")
            raise
        finally:
            seen.append("cleaned up")

    with pytest.raises(TimedOut):
        await threads.call(function, 0.02, stopped)
    await until(lambda: len(seen) == 2)
    assert seen == ["cancelled, stopped True", "cleaned up"]
    await until(lambda: threads.left_behind == 0)
    assert await threads.call(lambda: "next", 5, never()) == "next"


async def test_a_result_after_the_interrupt_counts_within_the_grace(threads: Threads) -> None:
    """A tool that catches Cancelled and says what it did is heard."""

    def function() -> str:
        try:
            spin()
        except Cancelled:
            return "had done it already"
        return "never"

    assert await threads.call(function, 0.02, never()) == "had done it already"


async def test_a_call_is_interrupted_once(threads: Threads) -> None:
    """What cleans up after its time is not interrupted again, also not when its caller goes away meanwhile."""
    interrupts: list[int] = []
    ended = threading.Event()

    def function() -> None:
        for number in range(3):
            try:
                spin(seconds=0.2)
            except Cancelled:
                interrupts.append(number)
        ended.set()

    task = asyncio.ensure_future(threads.call(function, 0.02, never()))
    await until(lambda: interrupts)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(ended.is_set)
    assert interrupts == [0]


async def test_a_call_that_hangs_is_left_behind_and_counted_until_it_ends(threads: Threads) -> None:
    """In a system call nothing can be raised: after the grace the caller goes on; when it ends, it counts no more."""
    hang = threading.Lock()
    hang.acquire()
    begun_at = time.monotonic()
    with pytest.raises(TimedOut):
        await threads.call(lambda: hang.acquire(timeout=10), 0.02, never())
    assert 0.3 <= time.monotonic() - begun_at < 5
    assert threads.left_behind == 1
    hang.release()
    await until(lambda: threads.left_behind == 0)


async def test_past_a_number_of_hanging_calls_none_is_made_any_more(threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure that says so: it did not happen; when the hanging ones have ended, calls are made again."""
    monkeypatch.setattr(module, "LEFT_BEHIND_MAX", 2)
    go = threading.Event()
    hanging = [asyncio.ensure_future(threads.call(lambda: blocked(go), 0.01, never())) for _ in range(2)]
    await asyncio.wait(hanging)
    assert [type(one.exception()) for one in hanging] == [TimedOut, TimedOut]
    called: list[int] = []
    with pytest.raises(Unavailable, match="2 calls of synchronous tools hang in this worker; restart it"):
        await threads.call(lambda: called.append(1), 5, never())
    go.set()
    await until(lambda: threads.left_behind == 0)
    await threads.call(lambda: called.append(2), 5, never())
    assert called == [2]


def blocked(go: threading.Event) -> None:
    """Sit in system calls until told to go; what is raised meanwhile arrives only then."""
    while not go.is_set():
        with contextlib.suppress(Cancelled):
            go.wait(10)


# --- a caller that goes away ---------------------------------------------------------------------------------------


async def test_a_call_whose_caller_is_gone_is_ended_too(threads: Threads) -> None:
    """The claim was lost, say: the tool is told, then interrupted, and does not run on unseen."""
    begun, stopped, seen = threading.Event(), threading.Event(), []

    def function() -> None:
        begun.set()
        try:
            spin()
        finally:
            seen.append(sys.exc_info()[0])

    task = asyncio.ensure_future(threads.call(function, 60, stopped))
    await until(begun.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stopped.is_set()
    await until(lambda: seen)
    assert seen == [Cancelled]
    await until(lambda: threads.left_behind == 0)


async def test_a_hanging_call_whose_caller_is_gone_is_counted(threads: Threads) -> None:
    """It takes a thread, whoever waits for it."""
    begun, go = threading.Event(), threading.Event()

    def function() -> None:
        begun.set()
        blocked(go)

    task = asyncio.ensure_future(threads.call(function, 60, never()))
    await until(begun.is_set)
    task.cancel()
    await until(lambda: threads.left_behind == 1)
    go.set()
    await until(lambda: threads.left_behind == 0)


async def test_a_call_that_could_not_be_begun_is_not_begun_later(threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread was to be had: the caller was told, so whatever thread is free later must leave the call alone."""
    called: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            await threads.call(lambda: called.append("late"), 5, never())
    for _ in range(3):
        await threads.call(lambda: called.append("on time"), 5, never())
    await asyncio.gather(*(threads.call(lambda: time.sleep(0.01), 5, never()) for _ in range(3)))
    assert called == ["on time"] * 3


def no_thread(self: threading.Thread) -> None:
    """What `start` does when the machine has no more threads."""
    raise RuntimeError("can't start new thread")


async def test_an_interrupt_that_comes_too_late_hits_nobody(threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function has just ended, and its thread is held before it can say so: the result counts, and the thread lives."""
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.4)
    held, ended = threading.Event(), threading.Event()
    died: list[Any] = []

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if frame.f_globals.get("__name__") != module.__name__:
            return None
        if event == "line" and ended.is_set() and not held.is_set():
            held.set()
            while not frame.f_locals["job"].interrupted:
                time.sleep(0.001)
        return trace

    def function() -> str:
        ended.set()
        return "result"

    before, threading.excepthook = threading.excepthook, lambda how: died.append(how.exc_type)
    threading.settrace(trace)
    try:
        assert await threads.call(function, 0.01, never()) == "result"
        threading.settrace(None)
        assert held.is_set()
        assert [await threads.call(lambda: "next", 5, never()) for _ in range(3)] == ["next"] * 3
    finally:
        threading.settrace(None)
        threading.excepthook = before
    assert died == []
    await until(lambda: threads.left_behind == 0)
