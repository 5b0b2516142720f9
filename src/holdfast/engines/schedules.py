"""What a worker does for schedules: look which are due, have it ruled on, and write the ruling with the run that it begins.

Any number of workers look at the same schedules. Each ruling is one commit that holds only if nobody was faster, so a time
begins one run; a worker that dies before the commit leaves the time to the next one, and after it the run is there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from holdfast import inbox
from holdfast.agent import Agent
from holdfast.core.events import AnyEvent
from holdfast.core.schedule import Ruling, Standing, refused, rule
from holdfast.errors import HoldfastError, JournalError, JournalUnavailable, UsageError
from holdfast.journal.base import Journal, Message, NewRun, Turn
from holdfast.runner.clock import Clock
from holdfast.starting import started

# While a worker has much to do, schedules are looked at so often and not at each step of some run.
LOOK_SECONDS = 1.0
DUE_MAX = 100

log = logging.getLogger("holdfast")


class Schedules:
    """The schedules of the agents that a worker has loaded. on_error: told of one that cannot be ruled on here."""

    def __init__(self, journal: Journal, clock: Clock, agents: dict[str, Agent], on_error: Callable[[str, HoldfastError], None]):
        self._journal = journal
        self._clock = clock
        self._agents = agents
        self._on_error = on_error
        self._looked_at = float("-inf")
        self._next_at: float | None = None
        # Revisions that cannot be ruled on here, by name, so that each is told of once.
        self._bad: dict[str, int] = {}
        self._unreadable = ""

    async def look(self, *, now: bool = False) -> float | None:
        """Begin what is due, and say when to look again; None where only a change of the store could bring something.

        It looks once in LOOK_SECONDS, when a time has come, or `now`. JournalUnavailable as the store has it.
        """
        passed = self._clock.monotonic() - self._looked_at
        come = self._next_at is not None and self._next_at <= self._clock.now()
        if not (now or come or passed >= LOOK_SECONDS):
            # Something may have changed since: it is looked at soon.
            again = self._clock.now() + LOOK_SECONDS - passed
            return again if self._next_at is None else min(again, self._next_at)
        self._looked_at = self._clock.monotonic()
        at = self._clock.now()
        try:
            due, coming = await self._journal.due_schedules(self._agents, at, DUE_MAX + len(self._bad))
        except JournalUnavailable:
            raise
        except JournalError as error:  # What is written of one cannot be read; runs go on.
            if str(error) != self._unreadable:
                self._unreadable = str(error)
                self._on_error("", error)
            return None
        # Side by side, so that they share commits: at nine in the morning many are due.
        told = await asyncio.gather(*(self._turn(each, at) for each in due if not self._is_bad(each)), return_exceptions=True)
        for one in told:
            if isinstance(one, BaseException):
                raise one
        turned = any(told)
        # After a ruling there may be more of it: the rest of a long time away, or one that waits.
        self._next_at = at if turned else coming
        return self._next_at

    def _is_bad(self, standing: Standing) -> bool:
        return self._bad.get(standing.schedule.name) == standing.revision

    async def _turn(self, standing: Standing, at: float) -> bool:
        """Whether anything was ruled, here or by somebody faster."""
        try:
            ruling = rule(standing, at)
            if ruling is None:
                return False
            try:
                await self._journal.turn_schedule(self._written(standing, ruling, at))
            except UsageError as error:
                # What is scheduled cannot be begun: its agent takes other inputs by now, or the id is taken.
                await self._journal.turn_schedule(_turn(refused(standing, ruling, error.what), at))
            return True
        except JournalError:
            raise
        except Exception as error:
            # One that cannot be ruled on must not stop the others; it is tried again when it is changed.
            self._bad[standing.schedule.name] = standing.revision
            if not isinstance(error, HoldfastError):
                log.exception("schedule %s was stopped by an error inside holdfast", standing.schedule.name)
            self._on_error("", HoldfastError(f"schedule {standing.schedule.name}: {error}"))
            return False

    def _written(self, standing: Standing, ruling: Ruling, at: float) -> Turn:
        begins: tuple[NewRun, tuple[AnyEvent, ...]] | None = None
        if ruling.begins is not None:
            schedule = standing.schedule
            row, first = started(
                self._agents[schedule.agent],
                ruling.standing.current,
                schedule.goal,
                schedule.inputs,
                schedule.tenant,
                schedule.priority,
                {"schedule": schedule.name, **schedule.labels},
            )
            begins = (row, (first,))
        turn = _turn(ruling, at)
        return msgspec.structs.replace(turn, begins=begins) if begins is not None else turn


def _turn(ruling: Ruling, at: float) -> Turn:
    """The commit of a ruling that begins nothing."""
    asked: tuple[str, Message] | None = None
    if ruling.cancels:
        by = f"schedule {ruling.standing.schedule.name}"
        asked = (ruling.cancels, inbox.cancel(by=by, now=at, reason="its next time has come"))
    return Turn(standing=ruling.standing, at=at, firings=ruling.firings, asked=asked)
