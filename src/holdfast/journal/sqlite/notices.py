"""What people are to be told, in SQL: an outbox with a row for each channel that took a notice. See `journal/telling.py`."""

from __future__ import annotations

from collections.abc import Iterable

import apsw
import msgspec

from holdfast.errors import JournalCorrupt
from holdfast.journal.people import Notice, Sending, Sent
from holdfast.journal.sqlite.file import all_rows, one_row
from holdfast.journal.telling import AHEAD_SECONDS, KEPT_SECONDS, NEWS_SECONDS, SWEPT_EVERY, SWEPT_MAX, TOO_LATE

# Of the channel ?1 at the time ?2; see `telling.is_due`. Both halves walk the index of what is neither sent nor given up.
_DUE = f"channel = ?1 and (due_at <= ?2 or due_at > ?2 + {AHEAD_SECONDS})"
# What a notice `n` is about is still open.
_IS_OPEN = "exists (select 1 from inbox i where i.run_id = n.run_id and i.interrupt = n.interrupt)"
_IS_NEWS = f"(n.at >= ?2 - {NEWS_SECONDS} or {_IS_OPEN})"
_body = msgspec.json.Decoder(Notice)


def keep(connection: apsw.Connection, notices: Iterable[Notice]) -> None:
    """Write what is to be told; one with an id that is known is left as it is. Now and then the oldest ones go."""
    for notice in notices:
        connection.execute(
            "insert into notices (id, run_id, interrupt, at, body) values (?,?,?,?,?) on conflict (id) do nothing",
            (notice.id, notice.run_id, notice.interrupt, notice.at, msgspec.json.encode(notice).decode()),
        )
        if connection.changes() and connection.last_insert_rowid() % SWEPT_EVERY == 0:
            _sweep(connection, notice.at - KEPT_SECONDS)


def _sweep(connection: apsw.Connection, before: float) -> None:
    connection.execute(
        "delete from notices where number in (select number from notices where at < ? order by at limit ?)", (before, SWEPT_MAX)
    )


def is_waiting(connection: apsw.Connection, channel: str, now: float) -> bool:
    """Whether a channel has anything to claim, or to pass over; cheap, so that nothing is written where it has not."""
    row = one_row(
        connection,
        f"select exists (select 1 from sendings where {_DUE})"
        " or (select max(number) from notices) > coalesce((select looked_upto from channels where name = ?1), 0)",
        (channel, now),
    )
    return row is not None and bool(row[0])


def claim(connection: apsw.Connection, channel: str, now: float, lease_seconds: float, limit: int) -> list[Sending]:
    """See `PeopleStore.claim_notices`. Those that were tried before come first: they are the older ones."""
    rows = _again(connection, channel, now, limit)
    if len(rows) < limit:
        rows += _new(connection, channel, now, limit - len(rows))
    connection.executemany(
        "insert into sendings (notice, channel, tries, due_at, error) values (?,?,1,?,'')"
        " on conflict (notice, channel) do update set tries = tries + 1, due_at = excluded.due_at",
        [(number, channel, now + lease_seconds) for number, _, _ in rows],
    )
    return [Sending(notice=_notice(body), channel=channel, tries=tries + 1) for _, tries, body in rows]


def _again(connection: apsw.Connection, channel: str, now: float, limit: int) -> list[tuple[int, int, str]]:
    connection.execute(
        f"update sendings set due_at = null, error = coalesce(nullif(error, ''), ?3) where {_DUE}"
        f" and not exists (select 1 from notices n where n.number = sendings.notice and {_IS_NEWS})",
        (channel, now, TOO_LATE),
    )
    rows = all_rows(
        connection,
        "select n.number, s.tries, n.body from sendings s join notices n on n.number = s.notice"
        f" where {_DUE} order by s.notice limit ?3",
        (channel, now, limit),
    )
    return [(number, tries, body) for number, tries, body in rows]


def _new(connection: apsw.Connection, channel: str, now: float, limit: int) -> list[tuple[int, int, str]]:
    rows = all_rows(
        connection,
        "select n.number, 0, n.body from notices n"
        f" where n.number > coalesce((select looked_upto from channels where name = ?1), 0) and {_IS_NEWS}"
        " order by n.number limit ?3",
        (channel, now, limit),
    )
    # Fewer than wanted: all that there are were looked at.
    last = rows[-1][0] if len(rows) == limit else None
    connection.execute(
        "insert into channels values (?1, coalesce(?2, (select max(number) from notices), 0))"
        " on conflict (name) do update set looked_upto = max(looked_upto, excluded.looked_upto)",
        (channel, last),
    )
    return [(number, tries, body) for number, tries, body in rows]


def settle(
    connection: apsw.Connection, notice_id: str, channel: str, sent_at: float | None, next_at: float | None, error: str
) -> None:
    """See `PeopleStore.settle_notice`. What was sent once stays sent, whoever else says what."""
    connection.execute(
        "update sendings set sent_at = ?3, due_at = ?4, error = ?5"
        " where notice = (select number from notices where id = ?1) and channel = ?2 and sent_at is null",
        (notice_id, channel, sent_at, next_at if sent_at is None else None, error),
    )


def listed(connection: apsw.Connection, run_id: str | None, limit: int) -> list[Sent]:
    """See `PeopleStore.notices`."""
    where, values = ("where n.run_id = ?", (run_id,)) if run_id is not None else ("", ())
    rows = all_rows(
        connection,
        "select n.body, s.channel, s.tries, s.sent_at, s.due_at, s.error"
        f" from notices n left join sendings s on s.notice = n.number {where}"
        " order by n.at desc, n.number desc, s.channel limit ?",
        (*values, limit),
    )
    return [
        Sent(notice=_notice(body), channel=channel or "", tries=tries or 0, sent_at=sent_at, next_at=due_at, error=error or "")
        for body, channel, tries, sent_at, due_at, error in rows
    ]


def _notice(body: str) -> Notice:
    try:
        return _body.decode(body)
    except msgspec.MsgspecError as error:
        raise JournalCorrupt(f"a notice cannot be read: {error}; it is written as {body[:80]}") from error
