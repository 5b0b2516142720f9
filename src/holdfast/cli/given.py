"""What several commands are given alike: who says something, times as people write them, and the command line itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from holdfast.cli.options import MONITORS_VARIABLE, command, wrong
from holdfast.errors import AnswerRefused, RunNotFound, UsageError

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.inbox import Speaker
    from holdfast.journal.base import Journal
    from holdfast.monitors import Settings


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


async def no_such_run(journal: Journal, run_id: str, db: str) -> RunNotFound:
    """For a run that is not there; it says so where it was pruned."""
    from holdfast.journal import retention

    return await retention.missing(journal, run_id, command(db, "runs"))


def monitor_settings() -> Settings:
    """What the monitors go by where no file is named: that of the environment, else what is usual."""
    from holdfast import monitors

    path = os.environ.get(MONITORS_VARIABLE)
    return monitors.load(Path(path)) if path else monitors.Settings()


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


# --- the command line itself --------------------------------------------------------------------------------------


def only_before(context: typer.Context) -> None:
    """Refuse options of a group that stand before one of its commands, where nobody would read them."""
    given = [words[0] for words in _given(context, ())]
    if given:
        where = f"{context.command_path} {context.invoked_subcommand}"
        wrong(f"{given[0]} stands before {context.invoked_subcommand}", f"put it behind: {where} … {given[0]}")


def again(context: typer.Context, db: str, *words: str, leave: Iterable[str] = (), more: Iterable[str] = ()) -> str:
    """The command as it was given, to paste. words: its arguments; leave: options that are left out, by the names of their
    parameters; more: what stands behind it."""
    named = context.command_path.split()[1:]
    options = [word for option in _given(context, ("db", *leave)) for word in option]
    return command(db, *named, *words, *options, *more)


def _given(context: typer.Context, leave: Iterable[str]) -> Iterator[list[str]]:
    """The options that stand on the command line, each with its values."""
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name in leave or parameter.param_type_name != "option" or source is None or source.name != "COMMANDLINE":
            continue
        yield from _words(parameter, context.params[name])


def _words(parameter: Any, value: Any) -> Iterator[list[str]]:
    option = parameter.opts[0]
    if isinstance(value, bool):
        yield [option if value else parameter.secondary_opts[0]]
    elif parameter.multiple:
        yield from ([option, str(one)] for one in value)
    elif isinstance(value, tuple):
        yield [option, *map(str, value)]
    else:
        yield [option, f"{value:g}" if isinstance(value, float) else str(value)]
