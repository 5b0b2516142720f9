"""What the checks of a journal use: a store to check, and short ways to write what they say to it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol

from holdfast.core import events as e
from holdfast.core.plan import Goal
from holdfast.core.state import Status
from holdfast.errors import HoldfastError
from holdfast.journal.base import Batch, Claim, Head, Journal, NewRun, Release, Slot

T0 = 1_700_000_000.0
LEASE = 10.0
AGENT = "clerk"


class Store(Protocol):
    """One store, as the suite needs it. `journal` is asked for often: each is another process's way to the same store."""

    async def journal(self) -> Journal:
        """A new journal to it, opened."""

    async def corrupt(self, run_id: str) -> bool:
        """Change a byte of what a run's last batch says, behind everybody's back; False where that cannot be done."""

    async def contents(self) -> int | None:
        """How many large values are stored apart, by their content; None where that cannot be seen."""


def started(run_id: str, agent: str = AGENT, **inputs: Any) -> e.RunStarted:
    """The first event of a run."""
    return e.RunStarted(run_id=run_id, agent=agent, goal=Goal(text="tidy up", inputs=inputs), contracts=())


def done(step: str, value: Any = None) -> e.CallSucceeded:
    """Some event with a value."""
    return e.CallSucceeded(step=step, attempt=1, value=value)


async def create(
    journal: Journal, run_id: str, *, worker: str = "", at: float = T0, agent: str = AGENT, **of: Any
) -> Claim | None:
    """A run with its start."""
    new = NewRun(run_id=run_id, agent=agent, goal_digest="digest", **of)
    return await journal.create(new, (started(run_id, agent),), at, worker=worker, lease_seconds=LEASE)


async def held(journal: Journal, run_id: str, worker: str = "ann", **of: Any) -> tuple[Claim, Head]:
    """A run that a worker holds, and where it ends."""
    claim = await create(journal, run_id, worker=worker, **of)
    assert claim is not None
    return claim, (await journal.read(run_id)).head


def batch(claim: Claim, head: Head, *events: e.AnyEvent, at: float = T0 + 1, **more: Any) -> Batch:
    """What a worker writes."""
    return Batch(run_id=claim.run_id, fence=claim.fence, head=head, at=at, events=events, **more)


async def refused(error: type[HoldfastError], doing: Awaitable[Any]) -> HoldfastError:
    """That this is refused, and how."""
    try:
        found = await doing
    except error as refusal:
        return refusal
    raise AssertionError(f"{error.__name__} was due, and {found!r} came")


def parked(status: Status = "waiting", due_at: float | None = None, **more: Any) -> Release:
    """A claim given back."""
    return Release(status=status, due_at=due_at, **more)


async def appended(journal: Journal, wanted: Batch) -> Head:
    """A batch that must be written."""
    written = await journal.append(wanted)
    assert isinstance(written, Head), written
    return written


def slot(step: str, capacity: int = 3, name: str = "pump", until: float | None = None) -> Slot:
    """One of the places."""
    return Slot(name=name, step=step, capacity=capacity, until=until)
