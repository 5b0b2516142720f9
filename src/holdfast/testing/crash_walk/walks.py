"""What is walked, and what comes of it; the same in this process and with real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import msgspec

from holdfast.agent import Agent
from holdfast.app import Holdfast
from holdfast.core.events import Asked
from holdfast.core.plan import Step
from holdfast.errors import AnswerRefused
from holdfast.journal.base import Batch

Side = Literal["before", "after"]
SIDES: tuple[Side, ...] = ("before", "after")
STARTS_MAX = 50
# The worker's writes that are boundaries; heartbeats come by time, and nothing rests on one of them.
BOUNDARIES = ("create", "claim", "claim_due", "append", "release")

Answer = Callable[[Asked], tuple[str, Any]]


class Story(msgspec.Struct, kw_only=True):
    """A run to be walked. thread: the conversation that it belongs to. ledger, answer: only for walks in this process; real ones
    have them in their `Site`."""

    agent: Agent
    run_id: str = "walk"
    goal: str | None = None
    inputs: dict[str, Any] | None = None
    thread: str = ""
    ledger: Callable[[], Any] | None = None
    answer: Answer | None = None


class Site(msgspec.Struct, kw_only=True):
    """The world of one walk. config: JSON, handed to the factory in the child. ledger: what really happened, asked after
    the runs have ended. answer: the person."""

    config: Any = None
    ledger: Callable[[], Any] = lambda: None
    answer: Answer | None = None


class WalkResult(msgspec.Struct, kw_only=True):
    """What came of one walk. boundary: which write, from 1; what: its kind, and its events where it has any. killed: False in
    the last walk, which met no boundary any more. starts: of the worker. asked: questions that the person answered."""

    boundary: int
    side: Side
    what: str
    killed: bool
    starts: int
    statuses: dict[str, str]
    unknown: dict[str, tuple[str, ...]]
    asked: list[str]
    ledger: Any


class WalkFailed(AssertionError):
    """A worker of a walk ended as none should, or a run does not come to its end."""


def all_walks(
    sides: Iterable[Side], boundaries: Iterable[int] | None, over: Callable[[], bool], stride: int = 1
) -> Iterator[tuple[int, Side]]:
    """Boundaries in order, each from both sides, until a walk was not killed any more. stride: every so manieth."""
    sides = tuple(sides)
    for boundary in boundaries if boundaries is not None else range(1, 10_000, stride):
        for side in sides:
            yield boundary, side
            if boundaries is None and over():
                return


async def answer_run(app: Holdfast, run_id: str, answer: Answer | None) -> list[str]:
    """Answer all that a run asks, in the words of the walk's person."""
    answered = []
    for asked in (await app.show(run_id)).questions:
        if answer is None:
            raise WalkFailed(f"run {run_id} asks, and the walk has nobody to answer: {asked.question}")
        decision, value = answer(asked)
        try:
            await app.answer(run_id, decision, by="the walk", interrupt=asked.interrupt, value=value)
            answered.append(f"{asked.about} {asked.tool}: {decision}")
        except AnswerRefused:
            pass  # It was answered in an earlier start already, and not yet heard.
    return answered


def in_words(batch: Batch) -> str:
    """What a batch says: `call_succeeded mailbox, call_intended vpn`."""
    steps = [getattr(event, "step", "") for event in batch.events]
    steps = [step.id if isinstance(step, Step) else step for step in steps]
    names = [f"{event.__struct_config__.tag} {step}".strip() for event, step in zip(batch.events, steps, strict=True)]
    return ", ".join([*names, *(["release"] if batch.release is not None else [])])


def table(results: Iterable[WalkResult]) -> str:
    """Results as lines for people."""
    lines = [f"{'boundary':>8}  {'side':<6}  {'starts':>6}  {'runs':<24}  at"]
    for result in results:
        counted = ", ".join(f"{status} {count}" for status, count in sorted(_count(result.statuses.values()).items()))
        lines.append(f"{result.boundary:>8}  {result.side:<6}  {result.starts:>6}  {counted:<24}  {result.what[:100]}")
    return "\n".join(lines)


def _count(names: Iterable[str]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for name in names:
        counted[name] = counted.get(name, 0) + 1
    return counted
