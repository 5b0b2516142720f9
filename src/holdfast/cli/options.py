"""What all commands share: options, exit codes, the store."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from holdfast.errors import HoldfastError, JournalError, UsageError

if TYPE_CHECKING:
    from holdfast.app import Holdfast

DONE, FAILED, WRONG, PERSON, UNFINISHED, STORE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
DEFAULT_DB = "holdfast.db"
# Names the file with the settings of monitors, for all commands by which these are looked at.
MONITORS_VARIABLE = "HOLDFAST_MONITORS"

Db = Annotated[
    str, typer.Option("--db", envvar="HOLDFAST_DB", metavar="PATH", help="The store: an SQLite file, made where it is missing.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")]
Lease = Annotated[
    float, typer.Option("--lease", metavar="SECONDS", min=1.0, help="How long the runs of a dead worker wait to be taken over.")
]
RunId = Annotated[str, typer.Argument(metavar="ID", help="The run.", show_default=False)]


def _name(by: str | None) -> str | None:
    """Who speaks has a name, or says nothing of it."""
    if by is not None and not by.strip():
        wrong("--by names nobody", "--by NAME, or leave it out for your login")
    return by


By = Annotated[
    str | None,
    typer.Option(
        "--by",
        envvar="HOLDFAST_BY",
        metavar="NAME",
        help="Who says so; your login by default.",
        show_default=False,
        callback=_name,
    ),
]
WordId = Annotated[
    str | None,
    typer.Option("--id", metavar="ID", help="The same word with the same id is heard once.", show_default=False),
]

_ENDINGS = {"completed": DONE, "failed": FAILED, "cancelled": FAILED, "blocked": PERSON}
_WORST = (INTERRUPTED, STORE, WRONG, FAILED, PERSON, UNFINISHED, DONE)


def code_of(status: str) -> int:
    """The exit code for a run that was left in this status."""
    return _ENDINGS.get(status, UNFINISHED)


def code_of_error(error: HoldfastError) -> int:
    """The exit code for an error that ends a command."""
    if isinstance(error, UsageError):
        return WRONG
    return STORE if isinstance(error, JournalError) else FAILED


def worst(codes: list[int]) -> int:
    """The exit code for several runs: the one that most needs somebody."""
    return min(codes, key=_WORST.index, default=DONE)


def examples(*lines: str) -> str:
    """The foot of a help page: commands to paste, each on its line."""
    return "\b\nExamples:\n" + "\n".join(f"  $ {line}" for line in lines)


def in_store(db: str, work: Callable[[Holdfast], Coroutine[Any, Any, int]], *, new: bool = False, **options: Any) -> int:
    """Open the store, do the work, close it. Looking into a store that is not there is wrong, unless it may be `new`."""
    import asyncio

    from holdfast.app import Holdfast

    check_store(db, new)

    async def whole() -> int:
        async with Holdfast(db, **options) as app:
            return await work(app)

    return asyncio.run(whole())


def check_store(db: str, new: bool = False) -> None:
    """Refuse a store that is none, or that is not there, unless it may be `new`."""
    path = Path(db)
    if not db or db.startswith(":") or "://" in db:
        wrong(f"--db {db!r} is no file", "a store is an SQLite file")
    if path.is_dir():
        wrong(f"--db {db} is a directory", f"name a file in it: --db {path / DEFAULT_DB}")
    if not path.exists():
        if not new:
            wrong(f"there is no store {db}", "name it with --db or HOLDFAST_DB; `holdfast run` makes one")
        if not path.parent.is_dir():
            wrong(f"there is no folder {path.parent} for the store", "make it, or name another --db")


def command(db: str, *words: str, ends: str = "") -> str:
    """A command to paste, with the store that it needs; `ends` is put behind its words as it is."""
    import shlex

    at = "" if db == (os.environ.get("HOLDFAST_DB") or DEFAULT_DB) else f" --db {shlex.quote(db)}"
    return shlex.join(["holdfast", *words]) + ends + at


def label_of(word: str) -> tuple[str, str]:
    """`name=text` of a --label."""
    name, equals, text = word.partition("=")
    if not equals or not name:
        wrong(f"--label {word!r} is not name=text")
    return name, text


def wrong(what: str, hint: str | None = None) -> NoReturn:
    """The command cannot be meant like this."""
    raise UsageError(what, hint=hint)
