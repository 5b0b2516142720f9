"""Schedules in SQL: what each method of `Journal` that is about them does in the file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import apsw
import msgspec

from holdfast.core.schedule import Firing, Schedule, Standing
from holdfast.errors import AnswerRefused, GoalMismatch, JournalCorrupt
from holdfast.journal.base import FIRINGS_MAX, Turn
from holdfast.journal.sqlite import mail
from holdfast.journal.sqlite.file import all_rows, one_row
from holdfast.journal.sqlite.rows import ENDED

_STANDING = "s.body, s.revision, s.paused, s.ruled_until, s.next_at, s.current, s.waiting"
_RUNNING = f"exists (select 1 from runs r where r.run_id = s.current and r.status not in {ENDED})"
_FIRING = "planned_at, became, ruled_at, run_id, why, caught_up, count, until"
_body = msgspec.json.Decoder(Schedule)


def turn(connection: apsw.Connection, wanted: Turn, create: Callable[[apsw.Connection], object]) -> bool:
    """See `Journal.turn_schedule`. create: creates the run that begins, where there is one, unless its id is taken."""
    new = wanted.standing
    row = one_row(connection, "select revision from schedules where name = ?", (new.schedule.name,))
    if (row[0] if row is not None else 0) != new.revision:
        return False
    _check_run(connection, wanted)
    connection.execute(
        "insert into schedules values (?,?,?,?,?,?,?,?,?)"
        if row is None
        else "update schedules set agent = ?2, body = ?3, revision = ?4, paused = ?5, ruled_until = ?6, next_at = ?7,"
        " current = ?8, waiting = ?9 where name = ?1",
        (
            new.schedule.name,
            new.schedule.agent,
            msgspec.json.encode(new.schedule).decode(),
            new.revision + 1,
            new.paused,
            new.ruled_until,
            new.next_at,
            new.current,
            json.dumps(new.waiting),
        ),
    )
    if wanted.begins is not None:
        create(connection)
    if wanted.asked is not None:
        _ask(connection, wanted)
    for firing in wanted.firings:
        _note(connection, new.schedule.name, firing)
    if wanted.firings:
        _forget(connection, new.schedule.name)
    return True


def _check_run(connection: apsw.Connection, wanted: Turn) -> None:
    if wanted.begins is not None:
        run, _ = wanted.begins
        row = one_row(connection, "select agent, goal_digest from runs where run_id = ?", (run.run_id,))
        if row is not None and row != (run.agent, run.goal_digest):
            raise GoalMismatch("the id belongs to another run", run_id=run.run_id)


def _ask(connection: apsw.Connection, wanted: Turn) -> None:
    assert wanted.asked is not None
    run_id, word = wanted.asked
    try:
        if one_row(connection, "select 1 from runs where run_id = ?", (run_id,)) is not None:
            mail.send(connection, run_id, word)
    except AnswerRefused:
        """It has ended, or was asked before."""


def _note(connection: apsw.Connection, name: str, firing: Firing) -> None:
    connection.execute(
        f"insert into firings (schedule, {_FIRING}) values (?,?,?,?,?,?,?,?,?) on conflict (schedule, planned_at) do update set"
        " became = excluded.became, ruled_at = excluded.ruled_at, run_id = excluded.run_id, why = excluded.why,"
        " caught_up = max(caught_up, excluded.caught_up), count = excluded.count, until = excluded.until",
        (
            name,
            firing.planned_at,
            firing.became,
            firing.ruled_at,
            firing.run_id,
            firing.why,
            firing.caught_up,
            firing.count,
            firing.until,
        ),
    )


def _forget(connection: apsw.Connection, name: str) -> None:
    connection.execute(
        "delete from firings where schedule = ?1 and became <> 'waiting' and planned_at <= ("
        " select planned_at from firings where schedule = ?1 and became <> 'waiting' order by planned_at desc limit 1 offset ?2)",
        (name, FIRINGS_MAX),
    )


def remove(connection: apsw.Connection, name: str) -> bool:
    """See `Journal.remove_schedule`."""
    connection.execute("delete from firings where schedule = ?", (name,))
    connection.execute("delete from schedules where name = ?", (name,))
    return connection.changes() > 0


def listed(connection: apsw.Connection, name: str | None) -> list[Standing]:
    """See `Journal.schedules`."""
    rows = all_rows(
        connection, f"select {_STANDING}, {_RUNNING} from schedules s where ?1 is null or s.name = ?1 order by s.name", (name,)
    )
    return [_standing(row) for row in rows]


def due(connection: apsw.Connection, agents: Iterable[str], now: float, limit: int) -> tuple[list[Standing], float | None]:
    """See `Journal.due_schedules`. The indices hold only what is not paused and has a time or waits."""
    wanted = json.dumps(sorted(set(agents)))
    ours = "not s.paused and s.agent in (select value from json_each(?1))"
    rows = all_rows(
        connection,
        f"select {_STANDING}, {_RUNNING} as running from schedules s where {ours} and s.next_at <= ?2"
        f" union select {_STANDING}, {_RUNNING} as running from schedules s where {ours} and s.waiting <> '[]' and not running"
        " order by 5, 1 limit ?3",
        (wanted, now, limit),
    )
    coming = one_row(
        connection, f"select s.next_at from schedules s where {ours} and s.next_at > ?2 order by s.next_at limit 1", (wanted, now)
    )
    return [_standing(row) for row in rows], coming[0] if coming is not None else None


def firings(connection: apsw.Connection, name: str, limit: int) -> list[Firing]:
    """See `Journal.firings`."""
    rows = all_rows(
        connection, f"select {_FIRING} from firings where schedule = ? order by planned_at desc limit ?", (name, limit)
    )
    return [_firing(row) for row in rows]


def _firing(row: tuple[Any, ...]) -> Firing:
    values = dict(zip(_FIRING.split(", "), row, strict=True))
    return Firing(**{**values, "caught_up": bool(values["caught_up"])})


def _standing(row: tuple[Any, ...]) -> Standing:
    body, revision, paused, ruled_until, next_at, current, waiting, running = row
    try:
        schedule = _body.decode(body)
    except msgspec.MsgspecError as error:
        raise JournalCorrupt(f"a schedule cannot be read: {error}; it is written as {body[:80]}") from error
    return Standing(
        schedule=schedule,
        revision=revision,
        paused=bool(paused),
        ruled_until=ruled_until,
        next_at=next_at,
        current=current,
        waiting=tuple(json.loads(waiting)),
        running=bool(running),
    )
