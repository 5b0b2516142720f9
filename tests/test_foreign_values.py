"""Whatever tools, probes, reasoners and callers say: the run goes on or stands still in good order, and its journal reads back.

What each of these becomes is in the tests of the rooms (`tools`, `runner`, `reasoners`); here they go through a whole run on
a real store, which is then read by somebody who knows nothing of the process that wrote it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast import (
    Agent,
    Deferred,
    Finish,
    GiveUp,
    Happened,
    Holdfast,
    Limits,
    Partial,
    Plan,
    Propose,
    RateLimited,
    Step,
    ToolFailure,
    Unknown,
    UsageError,
    cannot_tell,
    tool,
)
from holdfast.core.evolve import fold
from holdfast.core.state import State
from holdfast.errors import Denied, InvalidInput
from holdfast.tools.function import Probed

SURROGATE = "caf\udce9 \ud800"


class Mute(Exception):
    """Cannot even be told."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Own(ToolFailure):
    """A class of failure that nobody knows."""

    kind = "own"


class Rude(BaseException):
    """Not meant to be caught."""


def circle() -> Any:
    """A table in itself."""
    value: dict[str, Any] = {}
    value["self"] = value
    return value


def nested(depth: int) -> Any:
    """Lists in lists."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


SAID: dict[str, Any] = {
    "nan": math.nan,
    "infinity in a list": [1, [math.inf]],
    "surrogates": SURROGATE,
    "surrogates in a name": {SURROGATE: 1},
    "a circle": circle(),
    "depth 100": nested(100),
    "depth 101": nested(101),
    "depth 100,000": nested(100_000),
    "ten megabytes": {"rows": [{"n": n, "text": "x" * 80} for n in range(100_000)]},
    "a number beyond 64 bits": 2**70,
    "a number of 5000 digits": 10**5000,
    "bytes": b"abc",
    "bytes that are no text": b"\xff",
    "a set": {1, 2},
    "an object": object(),
    "a function": len,
    "marks of the journal": {"$blob": "0" * 64, "$ref": "inputs.x", "$secret": "X"},
    "a coroutine function": asyncio.sleep,
    "deferred until nan": Deferred(until=math.nan),
    "deferred until tomorrow": Deferred(until="tomorrow"),  # type: ignore[arg-type]
    "deferred until the end of time": Deferred(until=math.inf),
    "deferred with surrogates": Deferred(handle=SURROGATE, until=4e9),
    "deferred with a number": Deferred(handle=7, until=4e9),  # type: ignore[arg-type]
    "part of nan": Partial(math.nan, ("x",)),
    "partly surrogates": Partial(1, (SURROGATE,)),
    "partly numbers": Partial(1, (1, 2)),  # type: ignore[arg-type]
    "partly nothing": Partial(1, 5),  # type: ignore[arg-type]
    "partly a text": Partial(1, "the rest"),  # type: ignore[arg-type]
}
RAISED: dict[str, BaseException] = {
    "retry after a text": RateLimited(retry_after_seconds="20"),  # type: ignore[arg-type]
    "retry after nan": RateLimited(retry_after_seconds=math.nan),
    "retry after for ever": RateLimited(retry_after_seconds=math.inf),
    "retry before now": RateLimited(retry_after_seconds=-5),
    "surrogates": Denied(SURROGATE),
    "ten megabytes of words": Denied("x" * 10_000_000),
    "a detail of objects": InvalidInput("no", detail={"object": object(), "nan": math.nan, SURROGATE: 1}),
    "a detail in a circle": InvalidInput("no", detail=circle()),
    "a class of its own": Own("no"),
    "unknown with surrogates": Unknown(SURROGATE),
    "an error without words": Mute(),
    "a stop of an iteration": StopIteration(5),
    "an exit": SystemExit(3),
    "a cancellation": asyncio.CancelledError(),
    "what nobody catches": Rude(SURROGATE),
    "a group": ExceptionGroup("two", [ValueError(SURROGATE), Mute()]),
    "a time-out of its own": TimeoutError(),
    "a lack of memory": MemoryError(),
    "depth": RecursionError("too deep"),
}


async def read_back(db: Path, run_id: str = "r") -> State:
    """The run as somebody sees it who only has the file; its chain holds."""
    async with Holdfast(db) as app:
        verified = await app.verify(run_id)
        assert verified.problem is None
        state = fold(await app.history(run_id))
        assert verified.entries == state.version
        return state


async def advanced(db: Path, agent: Agent, **options: Any) -> State:
    """The run after one process went as far as it goes; then read by another."""
    errors: list[str] = []
    async with Holdfast(db, on_error=lambda run_id, error: errors.append(str(error))) as app:
        async with asyncio.timeout(20):
            await app.run(agent, id="r", patience_seconds=0, **options)
        believed = await app.state("r")
    assert errors == [], "nothing of this is an error of ours"
    state = await read_back(db)
    assert state == believed
    return state


def moved_on(state: State) -> bool:
    """The step came to some end, or waits for somebody or something that is named."""
    return state.steps["a"].phase in ("done", "skipped", "asking", "owed", "waiting")


def agent_of(function: Callable[[], Any], *, asynchronous: bool) -> Agent:
    """An agent whose one step calls this, on the loop or in a thread."""
    if asynchronous:

        @tool(safety="idempotent", retry=1, timeout="5s", name="call")
        async def call() -> Any:
            return function()

        return Agent("a", tools=[call], plan={"a": {"tool": "call", "on_failure": "skip"}}, limits=Limits(lost_max=1))

    @tool(safety="idempotent", retry=1, timeout="5s", name="call")
    def call_in_thread() -> Any:
        return function()

    return Agent("a", tools=[call_in_thread], plan={"a": {"tool": "call", "on_failure": "skip"}}, limits=Limits(lost_max=1))


@pytest.mark.parametrize("asynchronous", [True, False], ids=["on the loop", "in a thread"])
@pytest.mark.parametrize("said", SAID)
async def test_whatever_a_tool_returns_the_run_goes_on(tmp_path: Path, said: str, asynchronous: bool) -> None:
    """Taken as it will be read back, or refused."""
    state = await advanced(tmp_path / "runs.db", agent_of(lambda: SAID[said], asynchronous=asynchronous))
    assert moved_on(state)


@pytest.mark.parametrize("asynchronous", [True, False], ids=["on the loop", "in a thread"])
@pytest.mark.parametrize("raised", RAISED)
async def test_whatever_a_tool_raises_the_run_goes_on(tmp_path: Path, raised: str, asynchronous: bool) -> None:
    """Recorded in words that can be written and read; nothing of it ends the worker."""

    def fail() -> Any:
        raise RAISED[raised]

    state = await advanced(tmp_path / "runs.db", agent_of(fail, asynchronous=asynchronous))
    assert moved_on(state)


PROBED: dict[str, Any] = {
    "maybe": Probed("maybe"),  # type: ignore[arg-type]
    "nothing": None,
    "yes": True,
    "happened to be nan": Happened(math.nan),
    "happened to be an object": Happened(object()),
    "happened with surrogates": Happened(SURROGATE),
    "happened with ten megabytes": Happened("x" * 10_000_000),
    "surrogates": cannot_tell(SURROGATE),
    "a number of words": cannot_tell(5),  # type: ignore[arg-type]
    **{f"raises {name}": error for name, error in RAISED.items()},
}


@pytest.mark.parametrize("probed", PROBED)
async def test_whatever_a_probe_says_the_run_goes_on(tmp_path: Path, probed: str) -> None:
    """It is looked at again, or a person is asked; a probe that breaks says nothing about the call."""

    def probe() -> Any:
        said = PROBED[probed]
        if isinstance(said, BaseException):
            raise said
        return said

    @tool(safety="reconcilable", probe=probe, probe_window=0.001, retry=1)
    def call() -> Any:
        raise Unknown("no answer")

    state = await advanced(tmp_path / "runs.db", Agent("a", tools=[call], plan={"a": {"tool": "call", "on_failure": "skip"}}))
    assert state.steps["a"].phase in ("done", "asking", "probe_wait")


def with_name(name: Any) -> Step:
    """A step of a strange name."""
    return Step(id=name, tool="call")


PROPOSED: dict[str, Any] = {
    "a result of nan": Finish(math.nan),
    "a result of objects": Finish([object()]),
    "a result with surrogates": Finish({SURROGATE: SURROGATE}),
    "a result in a circle": Finish(circle()),
    "ten megabytes": Finish("x" * 10_000_000),
    "a reason with surrogates": GiveUp(SURROGATE),
    "a reason of ten megabytes": GiveUp("x" * 10_000_000),
    "a reason that is none": GiveUp(5),  # type: ignore[arg-type]
    "a plan with surrogates": Step(id="a", tool="call", args={"x": SURROGATE}),
    "a plan with nan": Step(id="a", tool="call", args={"x": math.nan}),
    "a plan of the wrong types": Plan(steps=(Step(id="a", tool="call", retry="often"),)),  # type: ignore[arg-type]
    "a step of a strange name": with_name(SURROGATE),
    "a step that has a number for a name": with_name(5),
    "a plan for a reason": Propose(plan=Plan(steps=(Step(id="a", tool="call"),)), reason=object()),  # type: ignore[arg-type]
    "ten thousand wrong steps": Plan(steps=tuple(Step(id=f"s{n}", tool="gone") for n in range(10_000))),
    "nothing": None,
    **{f"raises {name}": error for name, error in RAISED.items()},
}


@pytest.mark.parametrize("proposed", PROPOSED)
async def test_whatever_a_reasoner_says_the_run_ends(tmp_path: Path, proposed: str) -> None:
    """A proposal is taken or not; those that cannot be taken are bounded, and so are their words."""

    @tool(safety="idempotent")
    def call() -> int:
        return 1

    async def think(briefing: Any) -> Any:
        if briefing.steps:
            return Finish("done")
        said = PROPOSED[proposed]
        if isinstance(said, BaseException):
            raise said
        return said

    db = tmp_path / "runs.db"
    state = await advanced(db, Agent("a", tools=[call], reasoner=think))
    assert state.ended in ("completed", "failed")
    if "ten megabytes" not in proposed or "reason" in proposed:
        assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 2_000_000


STARTED: dict[str, dict[str, Any]] = {
    "a goal with surrogates": {"goal": SURROGATE},
    "a goal of a number": {"goal": 5},
    "labels of numbers": {"labels": {"n": 1}},
    "labels with surrogates": {"labels": {"n": SURROGATE}},
    "a tenant of a number": {"tenant": 5},
    "a tenant with surrogates": {"tenant": SURROGATE},
    "a priority of words": {"priority": "high"},
    "a priority beyond all": {"priority": 10**30},
    "inputs of nan": {"inputs": {"x": math.nan}},
    "inputs with surrogates": {"inputs": {SURROGATE: 1}},
    "inputs in a circle": {"inputs": circle()},
    "inputs that are a list": {"inputs": [1]},
    "inputs without bottom": {"inputs": {"x": nested(5000)}},
}


@pytest.mark.parametrize("started", STARTED)
async def test_what_cannot_be_written_down_begins_no_run(tmp_path: Path, started: str) -> None:
    """The caller is told, and nothing is there."""
    agent = agent_of(lambda: 1, asynchronous=True)
    async with Holdfast(tmp_path / "runs.db") as app:
        for verb in (app.run, app.start):
            with pytest.raises(UsageError) as caught:
                await verb(agent, **{"id": "r", **STARTED[started]})
            assert len(str(caught.value)) < 500
        assert await app.runs() == []
