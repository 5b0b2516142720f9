"""The days are lived through: real runs on a real store, against the real services, on a clock that is told the time."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from holdfast import Agent, Holdfast
from holdfast.journal.base import ENDED
from holdfast.labs.approvals.clock import ToldClock
from holdfast.labs.services import Services
from holdfast.labs.silent.agents import CHECK, readings, trips
from holdfast.labs.silent.line import Line
from holdfast.labs.silent.story import BEGAN, DAY, DAYS, HOUR, PRICE_USD, TOWN, TRIPS, Day, Fault, day_of, evening
from holdfast.monitors import Report, Settings, look
from holdfast.monitors.settings import Own
from holdfast.testing.clock import InlineThreads

TICK = 0.001
"""The clock has milliseconds, and what is due a little later than one of them would wait for ever."""
SETTINGS = Settings(agents={TRIPS: Own(check=CHECK)})


@dataclass(frozen=True, kw_only=True)
class Lived:
    """What came of a last day. completed: runs of that day that say so, of all that were asked for."""

    fault: Fault
    report: Report
    completed: int
    asked: int


class Desk:
    """The desk, in one store after the other."""

    def __init__(self, seed: int, office: Services, rooms: Services) -> None:
        self._seed = seed
        self._rooms = rooms
        self._office = office

    async def weeks(self, store: Path) -> None:
        """The healthy days."""
        clock = ToldClock(BEGAN)
        line = Line(clock, self._seed, self._rooms, self._office)
        async with self._open(store, clock) as app:
            for number in range(DAYS):
                await self._day(app, clock, line, day_of(self._seed, number), until=float("inf"))

    async def last_day(self, weeks: Path, store: Path, fault: Fault) -> Lived:
        """The last day after these weeks, with something wrong, and what the monitors find in the evening."""
        shutil.copyfile(weeks, store)
        clock = ToldClock(BEGAN + DAYS * DAY)
        line = Line(clock, self._seed, self._rooms, self._office)
        line.weather, line.reads_nothing = fault.weather, fault.reads_nothing
        day = day_of(self._seed, DAYS, fault)
        line.moving = frozenset(trip.id for trip in day.trips if trip.moves)
        async with self._open(store, clock) as app:
            until = evening(DAYS) - fault.absent * HOUR if fault.absent else float("inf")
            await self._day(app, clock, line, day, until=until, price_usd=fault.price_usd)
            clock.to(evening(DAYS))
            report = await look(app.journal, clock.now(), SETTINGS)
            ids = {*(trip.id for trip in day.trips), *(name for name, _ in day.readings)}
            rows = [row for row in await app.runs(limit=10_000) if row.run_id in ids]
        return Lived(
            fault=fault,
            report=report,
            completed=sum(row.status == "completed" for row in rows),
            asked=len(day.trips) + len(day.readings),
        )

    def _open(self, store: Path, clock: ToldClock) -> Holdfast:
        # One thing after the other, so that what the line takes is what a call takes.
        return Holdfast(store, clock=clock, threads=InlineThreads(), worker="desk", lease_seconds=600.0)

    async def _day(
        self, app: Holdfast, clock: ToldClock, line: Line, day: Day, *, until: float, price_usd: int = PRICE_USD
    ) -> None:
        """until: from then on no worker is there. The guest of a trip has its name."""
        asked: list[tuple[float, str, Agent, dict[str, object]]] = []
        traveller, reader = trips(line), readings(line)
        for trip in day.trips:
            if price_usd != PRICE_USD:
                self._rooms.change_price(trip.id, TOWN, str(price_usd))
            asked.append((trip.at, trip.id, traveller, {"guest": trip.id, "size": trip.size, "pictures": trip.pictures}))
        asked += [(at, name, reader, {"words": "warranty"}) for name, at in day.readings]
        for at, name, agent, inputs in sorted(asked, key=lambda one: one[:2]):
            clock.to(at)
            if clock.now() >= until:
                await app.start(agent, id=name, inputs=inputs)
                continue
            await app.run(agent, id=name, inputs=inputs, patience_seconds=0.0)
            while (row := await app.journal.row(name)) is not None and row.status not in ENDED and row.due_at is not None:
                clock.to(row.due_at + TICK)
                await app.run(agent, id=name, patience_seconds=0.0)
