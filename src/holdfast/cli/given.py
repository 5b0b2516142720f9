"""What several commands are given alike: who says something, and times, as people write them."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from holdfast.cli.options import command, wrong
from holdfast.errors import AnswerRefused, UsageError

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.inbox import Speaker


async def speaker(app: Holdfast, by: str | None, db: str) -> Speaker:
    """Who says something that only people of the directory may; AnswerRefused, with what to do, where it knows others alone. by:
    what was given, None where nothing was."""
    from holdfast.saying import user

    found = await app.inbox.speaker(user() if by is None else by)
    if not found.known:
        adding = command(db, "people", "add", found.name, "--role", "ROLE")
        hint = f"say who you are with --by NAME; {command(db, 'people')} lists who is known, and {adding} adds somebody"
        raise AnswerRefused(f"{found.name} is not among the people of this store", hint=hint)
    return found


def seconds(word: str, what: str) -> float:
    """A length of time: `90s`, `2h`, `7d`, or seconds. UsageError for anything else. what: the option."""
    from holdfast.core.contract import duration

    try:
        return duration(float(word) if _is_number(word) else word, what=what)
    except UsageError as error:
        raise UsageError(f"{what} {word!r} is no length of time", hint="write it as 30m, 2h, 7d") from error


def past(word: str | None, now: float, what: str) -> float | None:
    """A time that lies back: `30d` ago, or a moment such as 2026-12-01T09:00Z. None where nothing was given."""
    return None if word is None else _moment(word, now, -1, what)


def ahead(word: str, now: float, what: str) -> float:
    """A time to come: in `7d`, or a moment."""
    at = _moment(word, now, 1, what)
    if at <= now:
        wrong(f"{what} {word!r} is not to come", "write it as 7d, or as 2026-12-01T09:00Z")
    return at


def amount(value: float | None, what: str) -> float | None:
    """A number that can be compared."""
    if value is not None and not isfinite(value):
        wrong(f"{what} is no number", "leave it out where any amount will do")
    return value


def _moment(word: str, now: float, direction: int, what: str) -> float:
    from holdfast.core.contract import duration
    from holdfast.core.schedule import moment_of

    try:
        return now + direction * duration(word, what=what)
    except UsageError:
        pass
    try:
        return moment_of(word, what)
    except UsageError as error:
        if "no zone" in error.what:
            raise
        raise UsageError(f"{what} {word!r} is no time", hint="write it as 30m, 2h, 7d, or as 2026-12-01T09:00Z") from error


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
