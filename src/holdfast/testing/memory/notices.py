"""Who the people are and what they are told, in memory: what each method of `Journal` that is about them does to what is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from holdfast.journal.base import Batch
from holdfast.journal.people import Notice, Person, Sending, Sent
from holdfast.journal.telling import KEPT_SECONDS, NEWS_SECONDS, SWEPT_EVERY, SWEPT_MAX, TOO_LATE, is_due


class _Row(msgspec.Struct):
    """What became of a notice on a channel."""

    tries: int = 0
    due_at: float | None = None
    sent_at: float | None = None
    error: str = ""


def as_told(batch: Batch) -> Batch:
    """A batch with its notices as a store reads them back. What cannot be written is an error here, before anything of it is."""
    if not batch.notices:
        return batch
    notices = msgspec.json.decode(msgspec.json.encode(batch.notices), type=tuple[Notice, ...])
    return msgspec.structs.replace(batch, notices=notices)


class Notices:
    """The notices of a store, in the order in which they came, and the people; each method is one transaction. is_open: whether a
    run's interrupt still is."""

    def __init__(self, is_open: Callable[[str, str], bool]) -> None:
        self._is_open = is_open
        self._notices: dict[int, Notice] = {}
        self._numbers: dict[str, int] = {}
        self._last = 0
        self._rows: dict[str, dict[int, _Row]] = {}
        self._looked: dict[str, int] = {}
        self._people: dict[str, Person] = {}

    # --- the people -----------------------------------------------------------------------------------------------

    def people(self) -> list[Person]:
        return [person for _, person in sorted(self._people.items())]

    def put_person(self, person: Person) -> None:
        self._people[person.name] = person

    def remove_person(self, name: str) -> bool:
        return self._people.pop(name, None) is not None

    # --- what they are told ---------------------------------------------------------------------------------------

    def keep(self, notices: Iterable[Notice]) -> None:
        for notice in notices:
            if notice.id not in self._numbers:
                self._last += 1
                self._numbers[notice.id] = self._last
                self._notices[self._last] = notice
                if self._last % SWEPT_EVERY == 0:
                    self._sweep(notice.at - KEPT_SECONDS)

    def _sweep(self, before: float) -> None:
        old = [number for number, notice in self._notices.items() if notice.at < before]
        for number in sorted(old, key=lambda number: self._notices[number].at)[:SWEPT_MAX]:
            del self._numbers[self._notices.pop(number).id]
            for rows in self._rows.values():
                rows.pop(number, None)

    def drop(self, run_id: str) -> None:
        """Forget what was to be told of a run."""
        for number in [number for number, notice in self._notices.items() if notice.run_id == run_id]:
            del self._numbers[self._notices.pop(number).id]
            for rows in self._rows.values():
                rows.pop(number, None)

    def claim(self, channel: str, now: float, lease_seconds: float, limit: int) -> list[Sending]:
        rows = self._rows.setdefault(channel, {})
        due = [number for number in sorted(rows) if is_due(rows[number].due_at, now)]
        for number in due:
            if not self._is_news(number, now):
                rows[number].due_at, rows[number].error = None, rows[number].error or TOO_LATE
        numbers = [number for number in due if rows[number].due_at is not None][:limit]
        if len(numbers) < limit:
            numbers += self._new(channel, now, limit - len(numbers))
        for number in numbers:
            row = rows.setdefault(number, _Row())
            row.tries, row.due_at = row.tries + 1, now + lease_seconds
        return [Sending(notice=self._notices[number], channel=channel, tries=rows[number].tries) for number in numbers]

    def _new(self, channel: str, now: float, limit: int) -> list[int]:
        after = self._looked.get(channel, 0)
        found = [number for number in self._notices if number > after and self._is_news(number, now)][:limit]
        self._looked[channel] = found[-1] if len(found) == limit else self._last
        return found

    def _is_news(self, number: int, now: float) -> bool:
        notice = self._notices[number]
        return notice.at >= now - NEWS_SECONDS or self._is_open(notice.run_id, notice.interrupt)

    def settle(self, notice_id: str, channel: str, sent_at: float | None, next_at: float | None, error: str) -> None:
        row = self._rows.get(channel, {}).get(self._numbers.get(notice_id, 0))
        if row is not None and row.sent_at is None:
            row.sent_at, row.due_at, row.error = sent_at, next_at if sent_at is None else None, error

    def listed(self, run_id: str | None, limit: int) -> list[Sent]:
        wanted = [number for number, notice in self._notices.items() if run_id in (None, notice.run_id)]
        wanted.sort(key=lambda number: (self._notices[number].at, number), reverse=True)
        return [sent for number in wanted for sent in self._sent(number)][:limit]

    def _sent(self, number: int) -> list[Sent]:
        notice = self._notices[number]
        return [
            Sent(notice=notice, channel=channel, tries=row.tries, sent_at=row.sent_at, next_at=row.due_at, error=row.error)
            for channel, rows in sorted(self._rows.items())
            if (row := rows.get(number)) is not None
        ] or [Sent(notice=notice, channel="", tries=0)]
