"""Digests made by hand, and whole fleets of them drawn by a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import exp
from typing import Any

from holdfast.monitors import RunDigest, Window
from holdfast.monitors.digest import Call, Contradiction, Tries
from holdfast.monitors.sizes import parts_of

DAY = 86_400.0
NOW = 1_772_438_400.0
WINDOW = Window(past=NOW - 31 * DAY, since=NOW - DAY, until=NOW)
# In the window, and before it.
RECENT, EARLIER = NOW - 3600.0, NOW - 5 * DAY
RESULT = {"lines": [{"text": "first", "sum": 3}, {"text": "second", "sum": 4}, {"text": "third", "sum": 5}], "total": 12}


def run(name: str = "r1", at: float = RECENT, result: Any = RESULT, **of: Any) -> RunDigest:
    """A run of three steps that completed at a time."""
    fields: dict[str, Any] = {
        "run_id": name, "agent": "invoices", "status": "completed", "started_at": at - 60, "changed_at": at, "ended_at": at, "entries": 30,
        "end": 30, "parts": parts_of(result), "steps": 3, **of,
    }  # fmt: skip
    return RunDigest(**fields)


def past(count: int = 30, **of: Any) -> list[RunDigest]:
    """Runs like it, before the window."""
    return [run(f"p{number}", EARLIER + number, **of) for number in range(count)]


def call(tool: str = "search", at: float = RECENT, **of: Any) -> Call:
    """A call that took a tenth of a second."""
    fields: dict[str, Any] = {"tool": tool, "step": "s", "entry": 5, "at": at, "outcome": "ok", "seconds": 0.1, **of}
    return Call(**fields)


def calls(count: int, at: float = RECENT, **of: Any) -> list[RunDigest]:
    """Runs with a call each."""
    return [run(f"c{at:.0f}-{number}", at, calls=(call(at=at, **of),)) for number in range(count)]


def tries(count: int, tool: str = "search", at: float = RECENT, step: str = "s") -> Tries:
    """A step that called a tool so often."""
    return Tries(tool=tool, step=step, count=count, entry=7, at=at)


def contradiction(kind: Any = "observed", at: float = RECENT, name: str = "price") -> Contradiction:
    """The price is another one."""
    return Contradiction(kind=kind, entry=9, at=at, what="price was believed to be 1, and is 2", step="look", name=name)


def healthy_fleet(seed: int, runs_before: int = 150, runs_now: int = 40) -> list[RunDigest]:
    """A fleet that stays as it is, and is not tidy: tools fail and are tried again, times and costs have long tails, results vary, a
    step is skipped now and then, and prices move."""
    draw = random.Random(f"fleet {seed}")
    success = {tool: draw.choice((0.8, 0.9, 0.97, 1.0)) for tool in ("search", "book", "mail", "pay")}
    spread = {tool: draw.choice((0.3, 0.7, 1.2)) for tool in success}
    again = draw.choice((0.02, 0.1, 0.3))
    drifts = draw.choice((0.0, 0.02, 0.15))
    times = [draw.uniform(WINDOW.past, WINDOW.since - 1) for _ in range(runs_before)]
    times += [draw.uniform(WINDOW.since, WINDOW.until) for _ in range(runs_now)]
    return [_drawn(draw, number, at, success, spread, again, drifts) for number, at in enumerate(times)]


def _drawn(
    draw: random.Random, number: int, at: float, success: dict[str, float], spread: dict[str, float], again: float, drifts: float
) -> RunDigest:
    made: list[Call] = []
    tried: list[Tries] = []
    for place, tool in enumerate(success):
        count = 1
        while count < 6 and draw.random() < again:
            count += 1
        tried.append(tries(count, tool, at, f"s{place}"))
        good = draw.random() < success[tool]
        cost = 0.01 * exp(draw.gauss(0, spread[tool])) if tool in ("search", "pay") else None
        seconds = exp(draw.gauss(0, spread[tool])) if good else None
        made.append(call(tool, at, outcome="ok" if good else "failed", seconds=seconds, cost_usd=cost))
    lines = draw.randrange(3, 15)
    result = {"lines": [{"text": "x" * draw.randrange(5, 60), "sum": 3}] * lines, "total": lines}
    return run(
        f"f{number:03}", at, result, calls=tuple(made), tries=tuple(tried), cost_usd=sum(one.cost_usd or 0 for one in made), steps=4,
        skipped=("s1",) if draw.random() < 0.05 else (),
        contradictions=(contradiction(at=at),) if draw.random() < drifts else (),
    )  # fmt: skip


def named(found: Sequence[Any]) -> list[str]:
    """The monitors of findings."""
    return [one.monitor for one in found]
