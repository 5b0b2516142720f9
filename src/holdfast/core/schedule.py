"""When a schedule fires, and what becomes of each of its times.

`next_times` reads a cron line in a time zone. `rule` is asked whenever a worker looks at a schedule: it says what becomes of
every time that has passed since the last look (it begins a run, waits, is skipped, was missed …), and when to look again.
A time is ruled on once: the store keeps the ruling and the run that it begins in one commit.

The lines are those of cron with five fields, as Debian's cron reads them. Where clocks are changed:

- a line with a fixed hour and minute fires once each day: at a time that does not exist it fires when the clocks have been
  set forward, at one that exists twice it fires the first time;
- a line whose minute or hour begins with a star follows the time that passes: what does not exist is left out, what exists
  twice fires twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from itertools import islice, takewhile
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

from holdfast.errors import UsageError

Overlap = Literal["skip", "queue", "replace"]
CatchUp = Literal["none", "last", "all"]
Became = Literal["begun", "waiting", "skipped", "missed", "dropped", "replaced", "paused", "refused"]

NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FORM = "five fields: minute, hour, day of the month, month, day of the week, as in 30 9 * * 1-5; or one of " + ", ".join(
    NICKNAMES
)
# So many of the latest times are looked at one by one; of a schedule that was away for longer, the ones before are counted.
TIMES_MAX = 2000
CATCH_UP_MAX = 1000
QUEUE_MAX = 1000
COUNT_MAX = 10_000
LATE_SECONDS_MAX = 3600.0
# The first ones of TIMES_MAX: behind them are all that may be caught up with, and an hour of minutes that are not late yet.
PART = TIMES_MAX - CATCH_UP_MAX - 61
NAME_MAX = 160


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be started, and when: at the times of a cron line, or at one time.

    name: the ids of its runs begin with it. goal: None takes the agent's. cron, at: one of the two; at is in seconds since
    the epoch. timezone: an IANA name; cron lines are read in it. overlap: what becomes of a time at which the run before
    goes on. catch_up: what becomes of times that are later than late_seconds when a worker sees them: none, the last one,
    or all of them, at most catch_up_max. queue_max: so many times may wait with overlap queue.
    """

    name: str
    agent: str
    goal: str | None = None
    inputs: dict[str, Any] = {}
    tenant: str = ""
    priority: int = 0
    labels: dict[str, str] = {}
    cron: str | None = None
    at: float | None = None
    timezone: str = "UTC"
    overlap: Overlap = "skip"
    catch_up: CatchUp = "last"
    catch_up_max: int = 100
    queue_max: int = 100
    late_seconds: float = 60.0
    created_at: float = 0.0


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as it stands. revision: grows with each change; 0 is not in a store yet. ruled_until: what becomes of its
    times up to here is ruled. next_at: its first time after that; None where there is none. waiting: times that begin a run
    when the one before has ended. current: the run that it began last; running: whether that run goes on."""

    schedule: Schedule
    revision: int = 0
    paused: bool = False
    ruled_until: float = 0.0
    next_at: float | None = None
    waiting: tuple[float, ...] = ()
    current: str = ""
    running: bool = False


class Firing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a time. begun: it began `run_id`. waiting: it begins a run later. skipped: the run before went on.
    missed: no worker was there, and it is not caught up with. dropped: too many waited, or the schedule was changed.
    replaced: a later time took its place. paused: the schedule was. refused: a run could not be begun.

    count, until: several times from planned_at to until, of which the same became. caught_up: it was late.
    """

    planned_at: float
    became: Became
    ruled_at: float
    run_id: str = ""
    why: str = ""
    caught_up: bool = False
    count: int = 1
    until: float = 0.0


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the times that have passed. standing: as it is afterwards. begins: the time whose run begins now, with
    the id standing.current. cancels: the run that goes on at present is to be cancelled; empty where none is."""

    standing: Standing
    firings: tuple[Firing, ...] = ()
    begins: float | None = None
    cancels: str = ""


# --- times --------------------------------------------------------------------------------------------------------


def zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name; UsageError for a name that is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # A name that nobody knows, one that is a path, one of a folder.
        hint = "give an IANA name, such as Europe/Berlin or America/New_York"
        raise UsageError(f"{name!r} is no time zone", hint=hint) from error


def next_times(cron: str, timezone: str, after: float) -> Iterator[float]:
    """The times of a cron line after a moment, in order; ends where nothing comes for 50 years.

    Raises UsageError at once for a line or a zone that cannot be read.
    """
    where = zone(timezone)
    line = NICKNAMES.get(cron.strip().lower(), cron)
    if len(line.split()) != 5:
        raise UsageError(f"the cron line {cron!r} cannot be read", hint=_FORM)
    try:
        times = CronSim(line, datetime.fromtimestamp(after, UTC).astimezone(where))
    except CronSimError as error:
        # A day that no named month has is found here; other lines that never fire are found when they are walked.
        if str(error) == "Bad day-of-month" and _is_sound(line):
            return iter(())
        raise UsageError(f"the cron line {cron!r} cannot be read: {str(error).lower()}", hint=_FORM) from error
    except (OverflowError, ValueError, OSError) as error:
        raise UsageError(f"{after} is no time from which to count") from error
    return _walked(times, after, where)


def _is_sound(line: str) -> bool:
    """Whether a line could be read if each month had 31 days."""
    minute, hour, day, _, week_day = line.split()
    try:
        CronSim(f"{minute} {hour} {day} * {week_day}", datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError:
        return False
    return True


def _walked(times: CronSim, after: float, where: tzinfo) -> Iterator[float]:
    """Times in order, each once. The library moves each time that does not exist by itself, so that two may meet; it may
    begin before `after` in an hour that exists twice; and it may name a midnight that does not exist."""
    last = after
    while True:
        try:
            found = next(times)
        except (StopIteration, OverflowError):
            return
        moment = found.timestamp()
        real = datetime.fromtimestamp(moment, where)
        moved = times.fixup_tz is not None
        if moment > last and (moved or (real.hour in times.hours and real.minute in times.minutes)):
            last = moment
            yield moment


def times_after(schedule: Schedule, after: float) -> Iterator[float]:
    """The times of a schedule after a moment."""
    if schedule.cron is not None:
        return next_times(schedule.cron, schedule.timezone, after)
    return iter([schedule.at] if schedule.at is not None and schedule.at > after else [])


def moment_of(value: object, what: str = "at") -> float:
    """Seconds since the epoch, from a number of them, a datetime with a zone, or a text in ISO 8601 with one; UsageError for
    anything else. A time without a zone is refused: it would be another one on each machine."""
    if isinstance(value, str):
        try:
            return moment_of(datetime.fromisoformat(value.strip()), what)
        except ValueError as error:
            raise UsageError(f"{what}: {value[:40]!r} is no time", hint="write it as 2026-12-01T09:00+01:00") from error
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            said = value.isoformat()
            what = f"{what}: {said} has no zone, so it is another time on each machine"
            raise UsageError(what, hint=f"write {said}Z for UTC, or its offset, as in {said}+01:00")
        return value.timestamp()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise UsageError(f"{what}: {value} is no time", hint="give seconds since 1970") from error
        return float(value)
    raise UsageError(f"{what}: {type(value).__name__} is no time", hint="give a datetime, a text, or seconds since 1970")


def run_id_of(name: str, planned_at: float) -> str:
    """The id of the run that a time begins: the same in every worker."""
    return f"{name}-{datetime.fromtimestamp(planned_at, UTC):%Y%m%dT%H%M%SZ}"


# --- schedules ----------------------------------------------------------------------------------------------------


def begun(schedule: Schedule, now: float) -> Standing:
    """A new schedule, as it is put into a store; UsageError for one that cannot be."""
    check(schedule)
    schedule = msgspec.structs.replace(schedule, created_at=now)
    first = next(times_after(schedule, now), None)
    if first is None and schedule.cron is not None:
        raise UsageError(
            f"the cron line {schedule.cron!r} never fires", hint="no month has such a day; look at its last three fields"
        )
    if first is None:
        raise UsageError(
            f"schedule {schedule.name}: its time has passed", hint="name one that is to come, or start the run at once"
        )
    return Standing(schedule=schedule, ruled_until=now, next_at=first)


def is_same(one: Schedule, other: Schedule) -> bool:
    """Whether two records say the same, whenever they were made."""
    return msgspec.structs.replace(one, created_at=0.0) == msgspec.structs.replace(other, created_at=0.0)


def check(schedule: Schedule) -> None:
    """UsageError for a schedule that cannot be, at whatever time."""
    name = schedule.name
    if not name or len(name) > NAME_MAX or any(not (ch.isalnum() or ch in "-_.") for ch in name):
        raise UsageError(f"{name[:40]!r} is no name for a schedule", hint="use letters, digits, - _ and .")
    zone(schedule.timezone)
    if (schedule.cron is None) == (schedule.at is None):
        raise UsageError(f"schedule {name} needs either a cron line or a time", hint="give cron= or at=")
    for field, least, most in (
        ("catch_up_max", 1, CATCH_UP_MAX),
        ("queue_max", 1, QUEUE_MAX),
        ("late_seconds", 1, LATE_SECONDS_MAX),
    ):
        if not least <= getattr(schedule, field) <= most:
            raise UsageError(f"schedule {name}: {field} lies between {least} and {most:g}")
    for field, words in (("overlap", get_args(Overlap)), ("catch_up", get_args(CatchUp))):
        if getattr(schedule, field) not in words:
            what = f"schedule {name}: {field} cannot be {getattr(schedule, field)!r}"
            raise UsageError(what, hint=f"it is one of {', '.join(words)}")


def changed(standing: Standing, schedule: Schedule, now: float) -> Ruling:
    """Another schedule takes the place of this one from now on. What waits is dropped; the run that goes on goes on."""
    new = begun(schedule, now)
    dropped = [_firing(time, "dropped", now, why="the schedule was changed") for time in standing.waiting]
    try:
        passed = _passed(standing, now, "missed", "the schedule was changed before a worker saw it")
    except UsageError:  # One that cannot be read here is changed so that it can.
        passed = ()
    after = msgspec.structs.replace(
        new, revision=standing.revision, current=standing.current, running=standing.running, paused=standing.paused
    )
    return Ruling(standing=after, firings=(*dropped, *passed))


def paused(standing: Standing) -> Ruling:
    """Nothing of it begins until it is resumed; the run that goes on goes on."""
    return Ruling(standing=msgspec.structs.replace(standing, paused=True))


def resumed(standing: Standing, now: float) -> Ruling:
    """It goes on with its next time; those that passed while it was paused are not caught up with."""
    passed = _passed(standing, now, "paused", "the schedule was paused")
    until = max(now, standing.ruled_until)
    first = next(times_after(standing.schedule, until), None)
    after = msgspec.structs.replace(standing, paused=False, ruled_until=until, next_at=first)
    return Ruling(standing=after, firings=passed)


def _passed(standing: Standing, now: float, became: Became, why: str) -> tuple[Firing, ...]:
    """All times up to now of which nothing became yet, in one record that counts COUNT_MAX at most; none for none."""
    coming = takewhile(lambda time: time <= now, times_after(standing.schedule, standing.ruled_until))
    times = list(islice(coming, COUNT_MAX))
    return (_firing(times[0], became, now, why=why, count=len(times), until=times[-1]),) if times else ()


def _firing(planned_at: float, became: Became, now: float, **more: Any) -> Firing:
    return Firing(planned_at=planned_at, became=became, ruled_at=now, **more)


# --- the ruling ---------------------------------------------------------------------------------------------------


def rule(standing: Standing, now: float) -> Ruling | None:
    """What becomes of the times up to now, and of those that wait; None where there is nothing to rule.

    After a very long time away it rules on a part of the times; the rest is due at once.
    """
    if standing.paused:
        return None
    due, missed, whole = _due(standing, now)
    line = _Line(standing, now)
    for time in due:
        line.arrives(time)
    line.moves_up()
    if not (due or missed or line.begins is not None):
        return None
    firings = [*line.firings]
    if missed:
        why = f"no worker was there; catch_up is {standing.schedule.catch_up}"
        firings.insert(0, _firing(missed[0], "missed", now, why=why, count=len(missed), until=missed[-1]))
    ruled_until = max([standing.ruled_until, *missed, *due])
    current = run_id_of(standing.schedule.name, line.begins) if line.begins is not None else standing.current
    after = msgspec.structs.replace(
        standing,
        ruled_until=ruled_until,
        next_at=next(times_after(standing.schedule, ruled_until), None) if missed or due else standing.next_at,
        waiting=tuple(line.waiting),
        current=current,
        running=standing.running or line.begins is not None,
    )
    assert whole or after.next_at is not None, "what is not ruled on yet is still to come"
    cancels = standing.current if line.cancels else ""
    return Ruling(standing=after, firings=tuple(firings), begins=line.begins, cancels=cancels)


def refused(standing: Standing, ruling: Ruling, why: str) -> Ruling:
    """The same ruling, where the run that should begin cannot. standing: as it was before."""
    firings = tuple(
        _firing(one.planned_at, "refused", one.ruled_at, why=why) if one.planned_at == ruling.begins else one
        for one in ruling.firings
    )
    after = msgspec.structs.replace(ruling.standing, current=standing.current, running=standing.running)
    return msgspec.structs.replace(ruling, standing=after, firings=firings, begins=None)


def _due(standing: Standing, now: float) -> tuple[list[float], list[float], bool]:
    """The times up to now that are taken on, those before them that are missed, and whether these are all."""
    schedule = standing.schedule
    if standing.next_at is None or standing.next_at > now:
        return [], [], True
    passed = list(islice(takewhile(lambda time: time <= now, times_after(schedule, standing.ruled_until)), TIMES_MAX))
    if len(passed) == TIMES_MAX:
        # So many later ones are due that none of these would be taken on.
        return [], passed[:PART], False
    late = [time for time in passed if _is_late(time, schedule, now)]
    kept = {"none": [], "last": late[-1:] if len(late) == len(passed) else [], "all": late[-schedule.catch_up_max :]}[
        schedule.catch_up
    ]
    return kept + passed[len(late) :], late[: len(late) - len(kept)], True


def _is_late(time: float, schedule: Schedule, now: float) -> bool:
    return now - time > schedule.late_seconds


class _Line:
    """Times that begin a run, one at a time, and those that stand in line for it."""

    def __init__(self, standing: Standing, now: float):
        self.schedule = standing.schedule
        self.waiting = list(standing.waiting)
        self.begins: float | None = None
        self.cancels = False
        self.firings: list[Firing] = []
        self._running = standing.current if standing.running else ""
        self._now = now
        self._late: set[float] = set()

    def arrives(self, time: float) -> None:
        """A time has come, in the order of time."""
        schedule = self.schedule
        late = _is_late(time, schedule, self._now)
        if late:
            self._late.add(time)
        # Times that are caught up with stand in line whatever the policy: they were never meant to meet.
        in_line = schedule.overlap == "queue" or (late and schedule.catch_up == "all")
        if not self._running and self.begins is None and not self.waiting:
            self._begin(time)
        elif in_line:
            self._wait(time)
        elif schedule.overlap == "replace":
            self._replace(time)
        else:
            self._tell(time, "skipped", why=self._before())

    def moves_up(self) -> None:
        """The first in line begins where nothing goes on."""
        if not self._running and self.begins is None and self.waiting:
            self._begin(self.waiting.pop(0))

    def _before(self) -> str:
        if self._running:
            return f"{self._running} goes on"
        return "earlier times wait" if self.begins is None else f"{run_id_of(self.schedule.name, self.begins)} goes on"

    def _begin(self, time: float) -> None:
        self.begins = time
        self._tell(time, "begun", run_id=run_id_of(self.schedule.name, time))

    def _wait(self, time: float) -> None:
        most = self.schedule.queue_max if self.schedule.overlap == "queue" else self.schedule.catch_up_max
        if len(self.waiting) >= most:
            self._tell(time, "dropped", why=f"{most} times wait already")
        else:
            self.waiting.append(time)
            self._tell(time, "waiting", why=self._before())

    def _replace(self, time: float) -> None:
        gone = [*self.waiting, *([self.begins] if self.begins is not None else [])]
        self.firings = [one for one in self.firings if one.planned_at not in gone]
        for one in gone:
            self._tell(one, "replaced", why=f"by {run_id_of(self.schedule.name, time)}")
        self.begins, self.waiting = None, [time]
        if self._running:
            self.cancels = True
            self._tell(time, "waiting", why=f"{self._running} is asked to end")

    def _tell(self, time: float, became: Became, **more: Any) -> None:
        self.firings.append(_firing(time, became, self._now, caught_up=time in self._late, **more))
