"""`callback`, `signal`, `pending`, `gates`: what runs are owed, and the words that settle it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.options import DONE, AsJson, By, Db, RunId, WordId, examples, in_store, wrong
from holdfast.cli.text import one_line, put, put_json, say

if TYPE_CHECKING:
    from holdfast.app import Holdfast


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("pending", epilog=PENDING_EXAMPLES)(pending)
    app.command("callback", epilog=CALLBACK_EXAMPLES)(callback)
    app.command("signal", epilog=SIGNAL_EXAMPLES)(signal)
    app.command("gates", epilog=GATES_EXAMPLES)(gates)


Value = Annotated[
    str | None, typer.Argument(metavar="JSON", help="A value; @FILE takes one from a file, - from stdin.", show_default=False)
]

# --- what is owed -------------------------------------------------------------------------------------------------

PENDING_EXAMPLES = examples(
    "holdfast pending",
    "holdfast pending order-7",
    "holdfast pending --json | jq 'select(.overdue)'",
)


def pending(
    id: Annotated[str | None, typer.Argument(metavar="ID", help="Only what this run is owed.", show_default=False)] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many, the soonest first.")] = 100,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """What runs are owed, the soonest first.

    What the other side took on and has not brought yet: by whom, since when, until when, and when it is looked for next.
    """

    async def go(app: Holdfast) -> int:
        from holdfast.cli import render_owed
        from holdfast.runner.clock import SystemClock
        from holdfast.views import owed_line

        if id is not None:
            await _check_run(app, id, db)
        now = SystemClock().now()
        found = await app.pending(id, limit=limit + 1)
        lines = [owed_line(row, now) for row in found[:limit]]
        if json:
            put_json(lines)
        elif lines:
            render_owed.pending(lines, now)
        else:
            say(f"nothing is owed to {f'run {id}' if id is not None else f'any run in {db}'}")
        if len(found) > limit:
            say(f"there is more than these {limit}; --limit {limit * 10} shows more")
        return DONE

    return in_store(db, go)


async def _check_run(app: Holdfast, run_id: str, db: str) -> None:
    from holdfast.cli.given import no_such_run

    if await app.journal.row(run_id) is None:
        raise await no_such_run(app.journal, run_id, db)


# --- words that settle it -----------------------------------------------------------------------------------------

CALLBACK_EXAMPLES = examples(
    'holdfast callback hfcb_k3v7 \'{"status": "clear"}\'',
    "curl -s https://checks.test/7 | holdfast callback hfcb_k3v7 - --by checks",
    "holdfast callback hfcb_k3v7 --failed 'the applicant withdrew'",
)


def callback(
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="As the call gave it to the other side.", show_default=False)],
    value: Value = None,
    failed: Annotated[
        str | None,
        typer.Option("--failed", metavar="WHY", help="It could not be done, in place of a result.", show_default=False),
    ] = None,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who delivers it; it is kept.", show_default=False)] = "",
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Deliver the result of a call by its token.

    JSON is the result; nothing at all is null. A token is good for one delivery, at any time from the call until its
    deadline, whether a worker is there or not. A second or late delivery, and one by a token that nobody was given, is
    refused with exit code 2. So is a result that the tool cannot have returned, and then the token is still good.
    """
    if failed is not None and value is not None:
        wrong("a result is given, and that it failed", "either JSON or --failed WHY")
    if failed is not None and not failed.strip():
        wrong("--failed needs to say why", "--failed 'the applicant withdrew'")
    result = given_json(value, "the result")

    async def go(app: Holdfast) -> int:
        taken = await app.callback(token, result, failed=failed, by=by)
        if json:
            put_json([{"run_id": taken.run_id, "step": taken.step, "taken": "result" if failed is None else "failure"}])
        else:
            put(f"{taken.run_id}  {taken.step}: {'its result is' if failed is None else 'that it failed is'} taken")
        await _next(app, taken.run_id, db)
        return DONE

    return in_store(db, go)


SIGNAL_EXAMPLES = examples(
    "holdfast signal order-7 paid",
    'holdfast signal order-7 seat \'{"number": "12A"}\' --by ann',
    "holdfast signal order-7 seat @seat.json",
)


def signal(
    id: RunId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What is waited for; a step where no name was given.")],
    value: Value = None,
    by: By = None,
    word_id: WordId = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Send a run a word by name.

    It settles what waits for that name, now or later, with JSON as its result. `holdfast show ID` names the signals that
    are waited for.
    """
    if not name.strip():
        wrong("the signal has no name")
    result = given_json(value, "the value")

    async def go(app: Holdfast) -> int:
        await app.signal(id, name, result, by=by, id=word_id)
        if json:
            put_json([{"run_id": id, "signal": name}])
        else:
            put(f"{id}  signal {one_line(name)}: sent")
        await _next(app, id, db)
        return DONE

    return in_store(db, go)


async def _next(app: Holdfast, run_id: str, db: str) -> None:
    from holdfast.cli.people import say_next

    await say_next(app, run_id, db)


def given_json(word: str | None, what: str) -> Any:
    """What was given as JSON: a word, a file, stdin; None where nothing was."""
    from holdfast import loading
    from holdfast.errors import LoadError

    if word is None:
        return None
    if word.startswith("@"):
        return loading.json_file(word[1:])
    if word != "-":
        return loading.json_of(word, what)
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LoadError(f"stdin is not UTF-8: byte {error.start}") from error
    return loading.json_of(text, "stdin")


# --- gates --------------------------------------------------------------------------------------------------------

GATES_EXAMPLES = examples("holdfast gates", "holdfast gates reset book_flight", "holdfast gates --json | jq .circuit")


def gates(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="reset TOOL", help="Forget what is known of a tool's gate.", show_default=False),
    ] = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Which tools are held back: circuits and rates.

    A circuit that is open lets nobody call its tool, after too many failures; half-open, it lets one call find out. `gates
    reset TOOL` forgets failures and calls, and the tool may be called at once by all runs of the store.
    """
    tool = _tool_to_reset(words or [])

    async def go(app: Holdfast) -> int:
        from holdfast.cli import render_owed
        from holdfast.runner.clock import SystemClock
        from holdfast.views import gate_view

        if tool is not None:
            return await _reset(app, tool, json, db)
        now = SystemClock().now()
        found = await app.gates()
        views = [gate_view(name, found[name], now) for name in sorted(found)]
        if json:
            put_json(views)
        elif views:
            render_owed.gates(views, now)
        else:
            say(f"no tool with a circuit or a rate was called in {db} yet")
        return DONE

    return in_store(db, go)


def _tool_to_reset(words: list[str]) -> str | None:
    if not words:
        return None
    if words[0] != "reset":
        wrong(f"{' '.join(words)!r} is nothing that gates can do", "gates, or gates reset TOOL")
    if len(words) != 2:
        wrong("reset needs one tool", "gates reset TOOL")
    return words[1]


async def _reset(app: Holdfast, tool: str, json: bool, db: str) -> int:
    if not await app.reset_gate(tool):
        known = ", ".join(sorted(await app.gates())) or "none"
        wrong(f"nothing is known of a gate of {tool}", f"there are gates of: {known}")
    if json:
        put_json([{"tool": tool, "reset": True}])
    else:
        put(f"{one_line(tool)}  its gate is forgotten; it may be called")
    return DONE
