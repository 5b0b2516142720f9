"""Runs in a store, written as a worker would write them."""

from __future__ import annotations

from typing import Any

from holdfast.core import events as e
from holdfast.core.contract import Contract
from holdfast.core.plan import Goal, Plan, Step
from holdfast.journal.base import Batch, Journal, NewRun, Release

CONTRACT = Contract(tool="search", safety="read")


async def ended(
    journal: Journal, name: str, at: float, *, agent: str = "invoices", result: Any = 1, steps: int = 3, status: Any = "completed"
) -> None:
    """A run that called a tool in each step, and ended; a commit for each step."""
    ids = [f"s{number}" for number in range(steps)]
    begun = e.RunStarted(run_id=name, agent=agent, goal=Goal(text="do"), contracts=(CONTRACT,))
    claim = await journal.create(NewRun(run_id=name, agent=agent, goal_digest="g"), (begun,), at, worker="w", lease_seconds=60)
    assert claim is not None
    head = (await journal.read(name)).head
    first: list[e.AnyEvent] = [
        e.PlanAdopted(turn=1, revision=1, plan=Plan(steps=tuple(Step(id=one, tool="search") for one in ids)))
    ]
    for place, one in enumerate(ids):
        called = e.CallIntended(step=one, attempt=1, tool="search", key=f"{name}-{one}", args={"words": "a few of them"})
        done = e.CallSucceeded(step=one, attempt=1, value={"found": ["first", "second"], "count": 2}, seconds=0.1)
        last = place == len(ids) - 1
        end = (e.RunCompleted(result=result) if status == "completed" else e.RunFailed(reason="no"),) if last else ()
        batch = Batch(
            run_id=name, fence=claim.fence, head=head, at=at, events=(*first, called, done, *end),
            release=Release(status=status, due_at=None) if last else None,
        )  # fmt: skip
        written = await journal.append(batch)
        assert not hasattr(written, "names"), written
        head, first = written, []  # type: ignore[assignment]
