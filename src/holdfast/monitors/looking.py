"""Reading a store for the monitors: the runs that changed, newest first, as digests; and what waits.

Nothing is written. The journals are read, because the numbers are in them and nowhere else; digests of runs that have ended are
kept in memory, so that whoever looks again and again (metrics, a dashboard) reads each of them once.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.errors import JournalCorrupt, RunNotFound
from holdfast.figures.alarms import alarms
from holdfast.journal.base import Journal, RunRow
from holdfast.journal.people import InboxFilter, JudgedFilter, OpenInterrupt
from holdfast.monitors.digest import RunDigest, digest
from holdfast.monitors.findings import Finding, Window
from holdfast.monitors.judging import Report, Seen, judge
from holdfast.monitors.parked import Waiting
from holdfast.monitors.settings import USUAL, Settings

# So many journals are read at most, where nothing else is said: half of them of the window, half of the past.
LIMIT = 2000
# So many rows are looked at to find them; a row is small.
ROWS_MAX = 100_000
OPEN_MAX = 10_000
# Digests that are kept; one takes some kilobytes.
KEPT_MAX = 10_000


class Watch:
    """Looks at a store, again and again where that is wanted. One of them may be kept for as long as the store is open."""

    def __init__(self, journal: Journal):
        self._journal = journal
        self._kept: dict[tuple[str, int, bool], RunDigest] = {}

    async def look(self, now: float, settings: Settings = USUAL, *, agent: str | None = None, limit: int = LIMIT) -> Report:
        """What all monitors find now. agent: only its runs. limit: how many journals are read at most."""
        return judge(await self.see(now, settings, agent=agent, limit=limit), settings)

    async def see(self, now: float, settings: Settings = USUAL, *, agent: str | None = None, limit: int = LIMIT) -> Seen:
        """What there is to judge."""
        since = now - settings.window_seconds
        window = Window(past=since - settings.past_seconds, since=since, until=now)
        rows = await self._journal.rows(agent=agent, limit=ROWS_MAX)
        changed = [row for row in rows if window.past <= row.changed_at <= now and not row.imported]
        chosen = _chosen(changed, window, limit)
        runs, unreadable = [], []
        for row in chosen:
            try:
                run = await self._digest(row, settings)
            except JournalCorrupt:
                unreadable.append(row.run_id)
                continue
            except RunNotFound:  # It was pruned meanwhile.
                continue
            if run is not None:
                runs.append(run)
        return Seen(
            window=window,
            runs=tuple(runs),
            waiting=await self._waiting(now, agent),
            alarms=tuple(alarms(await self._journal.judged(JudgedFilter(agent=agent)), await self._open(now, agent), now)),
            changed=len(changed),
            cut=len(chosen) < len(changed) or len(rows) == ROWS_MAX,
            unreadable=tuple(unreadable),
        )

    async def _digest(self, row: RunRow, settings: Settings) -> RunDigest | None:
        document = settings.check(row.agent) is not None
        key = (row.run_id, row.version, document)
        if (known := self._kept.get(key)) is not None:
            return known
        run = digest((await self._journal.read(row.run_id)).entries, document=document)
        if run is not None and run.status:
            if len(self._kept) >= KEPT_MAX:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = run
        return run

    async def _waiting(self, now: float, agent: str | None) -> Waiting:
        health = await self._journal.health(now)
        open_ones = await self._open(now, agent)
        owed = await self._journal.owed(due_before=now, limit=OPEN_MAX)
        if agent is None:
            ours = None
        else:
            ours = {row.run_id for row in await self._journal.rows(agent=agent, limit=ROWS_MAX)}
        return Waiting(
            unclaimed=tuple(late for late in health.unclaimed if agent in (None, late.agent)),
            expired=tuple(late for late in health.expired if agent in (None, late.agent)),
            parked=tuple(late for late in health.parked if agent in (None, late.agent)),
            owed=tuple(one for one in owed if ours is None or one.run_id in ours),
            open=tuple(open_ones),
            schedules=tuple(one for one in await self._journal.schedules() if agent in (None, one.schedule.agent)),
        )

    async def _open(self, now: float, agent: str | None) -> list[OpenInterrupt]:
        return await self._journal.inbox(InboxFilter(agent=agent, answered=None, order="oldest", limit=OPEN_MAX), now)


async def look(
    journal: Journal, now: float, settings: Settings = USUAL, *, agent: str | None = None, limit: int = LIMIT
) -> Report:
    """What all monitors find in a store, once. See `Watch`."""
    return await Watch(journal).look(now, settings, agent=agent, limit=limit)


async def findings(journal: Journal, now: float, settings: Settings = USUAL) -> tuple[Finding, ...]:
    """What tripped, what is broken first."""
    return (await look(journal, now, settings)).findings


def _chosen(rows: Sequence[RunRow], window: Window, limit: int) -> list[RunRow]:
    """The runs to be read: of the window the newest, and of the past evenly from its beginning to its end. What one of the two
    does not need is the other's."""
    now = [row for row in rows if row.changed_at >= window.since]
    past = [row for row in rows if row.changed_at < window.since]
    of_now = min(len(now), max(limit - limit // 2, limit - len(past)))
    of_past = min(len(past), limit - of_now)
    return [*now[:of_now], *(past[place * len(past) // of_past] for place in range(of_past))]
