"""Functions of the user's, asked whether a rule matches: whatever they do, what is recorded is yes, no, or why not."""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from holdfast import Agent
from holdfast.core.commands import CheckCall
from holdfast.core.events import ChecksAnswered
from holdfast.core.policy import Check
from holdfast.runner import checking
from holdfast.runner import threads as threads_module
from holdfast.runner.checking import check_call
from holdfast.runner.clock import SystemClock
from holdfast.runner.invoke import Hands
from holdfast.runner.threads import Threads
from holdfast.runner.words import MESSAGE_MAX

DOCUMENT = {"args": {"to": "ann", "tags": ["a"]}, "amount": 812.5, "tool": "refund", "tenant": "shop", "facts": {}}


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hands]:
    """Real threads with a short grace, and little time for each check."""
    monkeypatch.setattr(threads_module, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(checking, "SECONDS_MIN", 0.05)
    threads = Threads()
    yield Hands(clock=SystemClock(), threads=threads, secrets=lambda name: None)
    threads.close()


async def asked(hands: Hands, *checks: Callable[..., Any], seconds: float = 5.0, extra: tuple[str, ...] = ()) -> dict[str, Check]:
    """What these functions of an agent say of the document."""
    agent = Agent("a", reasoner=lambda briefing: None, checks=checks)
    names = (*agent.checks, *extra)
    command = CheckCall(call="c1", checks=names, document=DOCUMENT, step="s", timeout_seconds=seconds)
    answered = await check_call(command, agent, hands)
    assert answered == ChecksAnswered(call="c1", answers=answered.answers, step="s")
    assert tuple(answered.answers) == names
    return answered.answers


async def test_functions_say_yes_or_no_in_a_thread_and_on_the_loop(hands: Hands) -> None:
    """A plain one must not hold up the loop; an async one runs on it."""
    places: dict[str, threading.Thread] = {}

    def plain(proposed: dict[str, Any]) -> bool:
        places["plain"] = threading.current_thread()
        return bool(proposed == DOCUMENT)

    async def awaited(amount: float, tool: str) -> bool:
        places["awaited"] = threading.current_thread()
        await asyncio.sleep(0)
        return amount > 1000 or tool != "refund"

    def needs_nothing() -> bool:
        return True

    answers = await asked(hands, plain, awaited, needs_nothing)
    assert answers == {"plain": Check(holds=True), "awaited": Check(holds=False), "needs_nothing": Check(holds=True)}
    assert places["plain"] is not threading.main_thread()
    assert places["awaited"] is threading.current_thread()


async def test_all_are_asked_at_once(hands: Hands) -> None:
    """Three that wait for one another come to an end."""
    met = threading.Barrier(2)
    here = asyncio.Event()

    def first(args: dict[str, Any]) -> bool:
        return met.wait(5) >= 0

    def second(args: dict[str, Any]) -> bool:
        return met.wait(5) >= 0

    async def third(args: dict[str, Any]) -> bool:
        await here.wait()
        return True

    async def fourth(args: dict[str, Any]) -> bool:
        here.set()
        return True

    assert set((await asked(hands, third, first, second, fourth)).values()) == {Check(holds=True)}


async def test_a_function_that_changes_what_it_is_shown_harms_nobody(hands: Hands) -> None:
    """Each gets a copy, at every depth."""

    def spoils(proposed: dict[str, Any]) -> bool:
        proposed["args"]["tags"].append("b")
        proposed.clear()
        return True

    async def spoils_too(args: dict[str, Any]) -> bool:
        args["tags"].clear()
        return True

    def looks(proposed: dict[str, Any]) -> bool:
        return bool(proposed["args"] == {"to": "ann", "tags": ["a"]})

    answers = await asked(hands, spoils, spoils_too, looks)
    assert answers["looks"] == Check(holds=True)
    assert DOCUMENT["args"] == {"to": "ann", "tags": ["a"]}


def raises(proposed: dict[str, Any]) -> bool:
    """Raises."""
    raise KeyError("country")


async def raises_later(proposed: dict[str, Any]) -> bool:
    """Raises, when it is awaited."""
    await asyncio.sleep(0)
    raise ValueError("x" * 10_000)


def leaves(proposed: dict[str, Any]) -> bool:
    """Would end the process."""
    sys.exit(3)


async def leaves_later(proposed: dict[str, Any]) -> bool:
    """Would end the loop."""
    raise SystemExit(3)


async def is_cancelled(proposed: dict[str, Any]) -> bool:
    """Something that it waits for is cancelled."""
    raise asyncio.CancelledError


async def times_out_by_itself(proposed: dict[str, Any]) -> bool:
    """A time-out of its own is no time-out of ours."""
    raise TimeoutError("the shop is slow")


def says_one(proposed: dict[str, Any]) -> Any:
    """1 is not True."""
    return 1


def says_nothing(proposed: dict[str, Any]) -> None:
    """Forgot to return."""


def says_yes(proposed: dict[str, Any]) -> Any:
    """A text that is true, and may be a secret."""
    return "yes, s3cret"


def gives_a_coroutine(proposed: dict[str, Any]) -> Any:
    """Forgot to await."""
    return raises_later(proposed)


def wants_what_is_not_there(safety: str) -> bool:
    """The document has no safety: it gets None."""
    return safety.startswith("irr")


@pytest.mark.parametrize(
    ("check", "why"),
    [
        (raises, "KeyError: 'country'"),
        (raises_later, "ValueError: xxx"),
        (leaves, "SystemExit: 3"),
        (leaves_later, "SystemExit: 3"),
        (is_cancelled, "something that it waited for was cancelled"),
        (times_out_by_itself, "TimeoutError: the shop is slow"),
        (says_one, "neither True nor False, but something of the type int"),
        (says_nothing, "neither True nor False, but None"),
        (says_yes, "neither True nor False, but something of the type str"),
        (gives_a_coroutine, "neither True nor False, but something of the type coroutine"),
        (wants_what_is_not_there, "AttributeError"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_what_is_neither_yes_nor_no_is_said_with_its_reason(hands: Hands, check: Callable[..., Any], why: str) -> None:
    """In words of bounded length, and without what it returned."""
    (answer,) = (await asked(hands, check)).values()
    assert answer.holds is None
    assert why in answer.why
    assert len(answer.why) < 2 * MESSAGE_MAX
    assert "s3cret" not in answer.why


async def test_a_function_that_is_not_there_is_said(hands: Hands) -> None:
    """The run may have been started by an agent that had it."""
    answers = await asked(hands, extra=("gone",))
    assert answers == {"gone": Check(why="the agent has no check gone")}


async def test_a_function_has_its_time_and_the_others_are_heard(hands: Hands) -> None:
    """One that hangs does not take the answers of the others with it."""
    freed = threading.Event()

    def hangs(proposed: dict[str, Any]) -> bool:
        return freed.wait(30)

    async def hangs_too(proposed: dict[str, Any]) -> bool:
        await asyncio.Event().wait()
        return True

    def answers(proposed: dict[str, Any]) -> bool:
        return True

    began = time.monotonic()
    found = await asked(hands, hangs, hangs_too, answers, seconds=0.2)
    freed.set()
    assert time.monotonic() - began < 10
    late = Check(why="no answer within 0.2 s")
    assert found == {"hangs": late, "hangs_too": late, "answers": Check(holds=True)}


async def test_nobody_is_asked_for_less_than_a_second() -> None:
    """Also where the command says less."""
    assert checking.SECONDS_MIN == 1.0
    threads = Threads()

    async def slow(proposed: dict[str, Any]) -> bool:
        await asyncio.sleep(0.05)
        return True

    hands = Hands(clock=SystemClock(), threads=threads, secrets=lambda name: None)
    assert await asked(hands, slow, seconds=0.0) == {"slow": Check(holds=True)}
    threads.close()


async def test_who_cancels_the_asking_is_obeyed(hands: Hands) -> None:
    """A worker that ends does not get an answer that was none."""
    begun = asyncio.Event()

    async def waits(proposed: dict[str, Any]) -> bool:
        begun.set()
        await asyncio.Event().wait()
        return True

    task = asyncio.create_task(asked(hands, waits))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_decorated_function_is_asked_by_its_own_name(hands: Hands) -> None:
    """`functools.wraps` keeps the name and the parameters."""

    def logged(check: Callable[..., bool]) -> Callable[..., bool]:
        @functools.wraps(check)
        def inner(*args: Any, **kwargs: Any) -> bool:
            return check(*args, **kwargs)

        return inner

    @logged
    def is_large(amount: float) -> bool:
        return amount > 500

    assert await asked(hands, is_large) == {"is_large": Check(holds=True)}
