"""`pause`, `resume`, `instruct`, `handoff`, `done`: who has a run, how it goes on, and what was done by hand."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.given import ahead, seconds, speaker
from holdfast.cli.options import DONE, AsJson, By, Db, RunId, WordId, command, examples, in_store, wrong
from holdfast.cli.owed import given_json
from holdfast.cli.people import say_next
from holdfast.cli.text import one_line, put, put_json, say

if TYPE_CHECKING:
    from holdfast.app import Holdfast


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("pause", epilog=PAUSE_EXAMPLES)(pause)
    app.command("resume", epilog=RESUME_EXAMPLES)(resume)
    app.command("instruct", epilog=INSTRUCT_EXAMPLES)(instruct)
    app.command("handoff", epilog=HANDOFF_EXAMPLES)(handoff)
    app.command("done", epilog=DONE_EXAMPLES)(done)


Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept.", show_default=False)]

PAUSE_EXAMPLES = examples("holdfast pause order-7 --reason 'the shop moves'", "holdfast pause order-7 --for 2h --by ann")


def pause(
    id: RunId,
    time: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="It goes on by itself after that: 2h.", show_default=False)
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="It goes on by itself then: 2026-12-01T09:00Z.", show_default=False),
    ] = None,
    reason: Reason = "",
    by: By = None,
    word_id: WordId = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Let nothing new of a run begin.

    Effects at hand are finished, and what it asks can be answered meanwhile. It stays so until `holdfast resume ID`. With
    --id give a moment, not a length of time, which is another one each time.
    """
    if time is not None and until is not None:
        wrong("--for and --until both say when it goes on", "give one of them, or none")
    if time is not None and word_id is not None:
        wrong("--for is another time whenever it is said, so it is not the same word again", "give --until with --id")
    length = None if time is None else seconds(time, "--for")

    async def go(app: Holdfast) -> int:
        from holdfast.runner.clock import SystemClock
        from holdfast.views import moment

        now = SystemClock().now()
        end = ahead(until, now, "--until") if until is not None else now + length if length is not None else None
        await app.pause(id, by=by, reason=reason, until=end, id=word_id)
        if json:
            put_json([{"run_id": id, "paused": True, "until": end}])
        else:
            put(f"{id}  asked to pause" + (f" until {moment(end)}" if end is not None else ""))
        say(f"let it go on: {command(db, 'resume', id)}")
        await say_next(app, id, db)
        return DONE

    return in_store(db, go)


RESUME_EXAMPLES = examples("holdfast resume order-7", "holdfast resume order-7 --by ann")


def resume(id: RunId, by: By = None, word_id: WordId = None, json: AsJson = False, db: Db = "holdfast.db") -> int:
    """Let a paused run go on."""

    async def go(app: Holdfast) -> int:
        await app.resume(id, by=by, id=word_id)
        if json:
            put_json([{"run_id": id, "paused": False}])
        else:
            put(f"{id}  asked to go on")
        await say_next(app, id, db)
        return DONE

    return in_store(db, go)


INSTRUCT_EXAMPLES = examples(
    "holdfast instruct trip-3 'no night trains'", "holdfast instruct trip-3 'ask me before you book' --by ann"
)


def instruct(
    id: RunId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What it is to go by.", show_default=False)],
    by: By = None,
    word_id: WordId = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Tell a run how to go about its work.

    For runs that a model plans: it is told from now on, and looks at its plan again. Its goal stays what it is; `holdfast goal`
    changes that.
    """

    async def go(app: Holdfast) -> int:
        await app.instruct(id, text, by=by, id=word_id)
        if json:
            put_json([{"run_id": id, "instruction": text}])
        else:
            put(f"{id}  told how to go on")
        await say_next(app, id, db)
        return DONE

    return in_store(db, go)


HANDOFF_EXAMPLES = examples(
    "holdfast handoff order-7",
    "holdfast handoff order-7 --take --by ann --reason 'the bank called'",
    "holdfast handoff order-7 --json | jq '.unknown'",
)


def handoff(
    id: RunId,
    take: Annotated[bool, typer.Option("--take", help="Take the run over first.")] = False,
    reason: Reason = "",
    by: By = None,
    word_id: WordId = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """All that is needed to take a run over.

    As Markdown: its goal, what is done, not done and unknown, what it believes and from where, what was tried and why it failed,
    what is owed, and what to do next. With --take the run finishes what is at hand, begins nothing new, and asks how it goes on:
    steps can be done by hand (`holdfast done`), and an answer hands it back.
    """
    if not take and (reason or word_id is not None):
        wrong(f"{'--reason' if reason else '--id'} is said of a run that is taken over", "add --take")

    async def go(app: Holdfast) -> int:
        from holdfast.core.evolve import fold
        from holdfast.runner.clock import SystemClock
        from holdfast.views import handoff as package

        if take:
            await app.take_over(id, by=by, reason=reason, id=word_id)
        entries = await app.history(id)
        found = package.handoff(fold(entries), SystemClock().now(), entries, command=partial(command, db))
        if json:
            put_json([found])
        else:
            put(package.markdown(found).rstrip("\n"))
        if take:
            say(f"{id}: asked to be handed over")
            await say_next(app, id, db)
        return DONE

    return in_store(db, go)


DONE_EXAMPLES = examples(
    'holdfast done order-7 refund \'{"receipt": "R-221"}\' --by ann',
    "holdfast done order-7 refund @receipt.json --note 'at the counter'",
    "holdfast done order-7 notify null",
)


def done(
    id: RunId,
    step: Annotated[str, typer.Argument(metavar="STEP", help="Which one was done.", show_default=False)],
    value: Annotated[
        str | None,
        typer.Argument(
            metavar="[VALUE]", help="Its result as JSON; @FILE takes it from a file, - from stdin.", show_default=False
        ),
    ] = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="How; it is kept.", show_default=False)] = "",
    by: By = None,
    word_id: WordId = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Say that a step was done by hand.

    The run goes on with VALUE as what the tool would have returned; nothing at all is null. Of a step for which nothing is under
    way and that has not ended.
    """
    result = given_json(value, "the result")

    async def go(app: Holdfast) -> int:
        who = await speaker(app, by, db)
        await app.mark_done(id, step, result, by=who.name, note=note, id=word_id)
        if json:
            put_json([{"run_id": id, "step": step, "value": result}])
        else:
            put(f"{id}  {one_line(step)}: done by hand")
        await say_next(app, id, db)
        return DONE

    return in_store(db, go)
