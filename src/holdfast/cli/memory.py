"""`memory`: what is remembered between the runs of a thread; correct it, forget it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.options import DONE, WRONG, AsJson, By, Db, command, examples, in_store, wrong
from holdfast.cli.text import one_line, put, put_json, say

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.core.memory import Memory


def register(app: typer.Typer) -> None:
    """Add this group of commands."""
    group = typer.Typer(
        help="What is remembered between the runs of a thread.",
        epilog=EXAMPLES,
        rich_markup_mode=None,
        add_completion=False,
    )
    group.callback(invoke_without_command=True)(root)
    group.command("list", epilog=LIST_EXAMPLES)(listed)
    group.command("search", epilog=SEARCH_EXAMPLES)(search)
    group.command("correct", epilog=CORRECT_EXAMPLES)(correct)
    group.command("forget", epilog=FORGET_EXAMPLES)(forget)
    app.add_typer(group, name="memory")


EXAMPLES = examples(
    "holdfast run trip.py 'A weekend in May' --thread ann     # remembers, and recalls",
    "holdfast memory list --thread ann",
    "holdfast memory correct m-1f0c… '\"Bergen\"'",
)


def root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(WRONG)


Tenant = Annotated[str, typer.Option("--tenant", metavar="NAME", help="Whose thread it is.", show_default=False)]
Id = Annotated[str, typer.Argument(metavar="ID", help="The memory.", show_default=False)]

# --- look ---------------------------------------------------------------------------------------------------------

LIST_EXAMPLES = examples(
    "holdfast memory list",
    "holdfast memory list --thread ann --history",
    "holdfast memory list --json | jq 'select(.source == \"inferred\")'",
)


def listed(
    thread: Annotated[
        str | None, typer.Option("--thread", metavar="NAME", help="Only what this thread remembers.", show_default=False)
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="NAME", help="Only of this tenant.", show_default=False)
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="What was superseded and forgotten, too.")] = False,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many, the latest first.")] = 100,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """What is remembered, with where it comes from and how old it is.

    What has expired is shown to later runs as expired, and is not believed. What somebody said or a tool saw takes over from
    what is older, and from any guess; a value that a person corrected is never guessed again.
    """

    async def go(app: Holdfast) -> int:
        found = await app.memories(thread, tenant=tenant, history=history, limit=limit + 1)
        _shown(found[:limit], json, f"nothing is remembered {_whose(thread, tenant, db)}")
        if len(found) > limit:
            say(f"there is more than these {limit}; --limit {limit * 10} shows more")
        return DONE

    return in_store(db, go)


SEARCH_EXAMPLES = examples("holdfast memory search 'which airport' --thread ann")


def search(
    query: Annotated[str, typer.Argument(metavar="WORDS", help="What is looked for.", show_default=False)],
    thread: Annotated[str, typer.Option("--thread", metavar="NAME", help="Whose memory is searched.", show_default=False)],
    tenant: Tenant = "",
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many, the best first.")] = 20,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """What a thread remembers that has a word of WORDS.

    What has most of them comes first; case and accents make no difference.
    """

    async def go(app: Holdfast) -> int:
        found = await app.memories(thread, tenant=tenant, query=query, limit=limit)
        _shown(found, json, f"nothing of that is remembered {_whose(thread, tenant, db)}")
        return DONE

    return in_store(db, go)


def _shown(found: list[Memory], json: bool, nothing: str) -> None:
    from holdfast.cli import render_memory
    from holdfast.runner.clock import SystemClock
    from holdfast.views.memory import memory_line

    now = SystemClock().now()
    lines = [memory_line(one, now) for one in found]
    if json:
        put_json(lines)
    elif lines:
        render_memory.listed(lines)
    else:
        say(nothing)


def _whose(thread: str | None, tenant: str | None, db: str) -> str:
    where = f"in thread {thread}" if thread is not None else f"in {db}"
    return f"{where} of tenant {tenant}" if tenant else where


# --- change -------------------------------------------------------------------------------------------------------

CORRECT_EXAMPLES = examples(
    "holdfast memory correct m-1f0c2b9d4e5a6b7c '\"Bergen\"' --by ann",
    "holdfast memory correct m-1f0c2b9d4e5a6b7c 2",
    "holdfast memory correct m-1f0c2b9d4e5a6b7c @address.json",
)


def correct(
    id: Id,
    value: Annotated[
        str,
        typer.Argument(
            metavar="VALUE", help="What is right, as JSON or as text; @FILE takes JSON from a file.", show_default=False
        ),
    ],
    by: By = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Put another value in place of a wrong one.

    It stays so: no later run guesses the wrong value again, and no run that is under way writes over it with what it had
    learned before. A newer word of a person or a newer observation does. What was inferred from the wrong value is believed
    no more.
    """

    async def go(app: Holdfast) -> int:
        from holdfast.cli import render_memory
        from holdfast.runner.clock import SystemClock
        from holdfast.views.memory import memory_line

        line = memory_line(await app.correct_memory(id, _value(value), by=by), SystemClock().now())
        if json:
            put_json([line])
        else:
            render_memory.line(line)
            say(f"look further: {command(db, 'memory', 'list', '--thread', line.thread, '--history')}")
        return DONE

    return in_store(db, go)


def _value(word: str) -> Any:
    """JSON where it is some, else the text itself; a file holds JSON."""
    from holdfast import loading
    from holdfast.errors import LoadError

    if word.startswith("@"):
        return loading.json_file(word[1:])
    try:
        return loading.json_of(word, "the value")
    except LoadError:
        return word


FORGET_EXAMPLES = examples(
    "holdfast memory forget m-1f0c2b9d4e5a6b7c",
    "holdfast memory forget --thread ann",
    "holdfast memory forget --all --tenant acme",
)


def forget(
    id: Annotated[str | None, typer.Argument(metavar="ID", help="The memory.", show_default=False)] = None,
    thread: Annotated[
        str | None, typer.Option("--thread", metavar="NAME", help="All that this thread remembers.", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that the tenant remembers, in every thread.")] = False,
    tenant: Tenant = "",
    by: By = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Erase what is remembered: one memory, a thread, or a tenant.

    A memory goes with all that was remembered under its name before. That there was one stays, without what it said, so that
    no run that is under way brings it back. Journals of runs keep what happened in them.
    """
    if (id is not None) + (thread is not None) + everything != 1:
        wrong("it is to be said what to forget, once", "memory forget ID, --thread NAME, or --all")
    if id is not None and tenant:
        wrong("a memory is named by its id alone", f"memory forget {id}")

    async def go(app: Holdfast) -> int:
        if id is not None:
            count = await app.forget(id, by=by)
        else:
            count = await app.forget(thread=thread, tenant=tenant, by=by)
        if json:
            put_json([{"forgotten": count, "id": id, "thread": thread, "tenant": tenant}])
        else:
            what = one_line(id) if id is not None else f"thread {one_line(thread)}" if thread is not None else "everything"
            put(f"{what}  {count} {'memory' if count == 1 else 'memories'} forgotten")
        return DONE

    return in_store(db, go)
