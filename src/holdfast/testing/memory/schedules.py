"""Schedules in memory: what each method of `Journal` that is about them does to what is kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from holdfast.core.events import AnyEvent
from holdfast.core.schedule import Firing, Schedule, Standing
from holdfast.errors import AnswerRefused, GoalMismatch
from holdfast.journal.base import ENDED, FIRINGS_MAX, Claim, Message, NewRun, Turn


class _Runs(Protocol):
    """What is needed of the store that has the runs."""

    runs: dict[str, Any]
    writes: int

    def create(self, run: NewRun, events: tuple[AnyEvent, ...], at: float, worker: str, lease_seconds: float) -> Claim | None: ...

    def send(self, run_id: str, message: Message) -> int: ...


class Schedules:
    """The schedules of a store; each method is one transaction."""

    def __init__(self, store: _Runs):
        self._store = store
        self._standing: dict[str, Standing] = {}
        self._firings: dict[str, dict[float, Firing]] = {}

    def turn(self, turn: Turn) -> bool:
        new, name = turn.standing, turn.standing.schedule.name
        before = self._standing.get(name)
        if (before.revision if before is not None else 0) != new.revision:
            return False
        if turn.begins is not None:
            self._check_run(turn)
        schedule = msgspec.json.decode(msgspec.json.encode(new.schedule), type=Schedule)
        self._standing[name] = msgspec.structs.replace(new, schedule=schedule, revision=new.revision + 1, running=False)
        if turn.begins is not None:
            self._store.create(*turn.begins, turn.at, "", 0.0)
        if turn.asked is not None and turn.asked[0] in self._store.runs:
            try:
                self._store.send(*turn.asked)
            except AnswerRefused:
                """It has ended, or was asked before."""
        for firing in turn.firings:
            self._note(name, firing)
        self._store.writes += 1
        return True

    def _check_run(self, turn: Turn) -> None:
        assert turn.begins is not None
        new = turn.begins[0]
        run = self._store.runs.get(new.run_id)
        if run is not None and (run.new.agent, run.new.goal_digest) != (new.agent, new.goal_digest):
            raise GoalMismatch("the id belongs to another run", run_id=new.run_id)

    def _note(self, name: str, firing: Firing) -> None:
        kept = self._firings.setdefault(name, {})
        before = kept.get(firing.planned_at)
        caught_up = firing.caught_up or (before is not None and before.caught_up)
        kept[firing.planned_at] = msgspec.structs.replace(firing, caught_up=caught_up)
        over = [time for time in sorted(kept, reverse=True) if kept[time].became != "waiting"][FIRINGS_MAX:]
        for time in over:
            del kept[time]

    def remove(self, name: str) -> bool:
        self._firings.pop(name, None)
        self._store.writes += 1
        return self._standing.pop(name, None) is not None

    def listed(self, name: str | None) -> list[Standing]:
        names = sorted(self._standing) if name is None else [name] if name in self._standing else []
        return [self._read(self._standing[one]) for one in names]

    def due(self, agents: Iterable[str], now: float, limit: int) -> tuple[list[Standing], float | None]:
        wanted = set(agents)
        ours = [self._read(one) for one in self._standing.values() if not one.paused and one.schedule.agent in wanted]
        due = [
            one
            for one in ours
            if (one.next_at is not None and one.next_at <= now) or (one.waiting and not one.running)
        ]  # fmt: skip
        # As in SQL, what has no time comes first.
        due.sort(key=lambda one: (one.next_at is not None, one.next_at or 0.0, one.schedule.name))
        return due[:limit], min((one.next_at for one in ours if one.next_at is not None and one.next_at > now), default=None)

    def _read(self, standing: Standing) -> Standing:
        run = self._store.runs.get(standing.current)
        return msgspec.structs.replace(standing, running=run is not None and run.status not in ENDED)

    def firings(self, name: str, limit: int) -> list[Firing]:
        kept = self._firings.get(name, {})
        return [kept[time] for time in sorted(kept, reverse=True)][:limit]
