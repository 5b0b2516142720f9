"""`run`: start runs or go on with them, one or a table of them, and see them through."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from holdfast.cli.options import INTERRUPTED, PERSON, UNFINISHED, AsJson, Db, Lease, code_of, command, examples, in_store, worst, wrong
from holdfast.cli.text import one_line, put, put_json, say
from holdfast.errors import HoldfastError, JournalUnavailable

if TYPE_CHECKING:
    from holdfast.agent import Agent
    from holdfast.app import Holdfast
    from holdfast.cli.signals import Stopping
    from holdfast.views import Summary

LOOK_SECONDS = 0.25
PROBLEMS_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("run", epilog=EXAMPLES)(run)


EXAMPLES = examples(
    "holdfast run refunds.py 'Refund order 7 in full' --id order-7",
    "holdfast run refunds.py --id order-7                     # go on with it",
    "holdfast run trip.yaml --input city=Oslo --input days=3 --patience 10s",
    "holdfast run trip.yaml --input @inputs.json --input guest=@guest.json",
    "holdfast run onboarding.yaml --each hires.csv --as hire --id 'hire-{user}'",
)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of `run` asks for, for each of its runs."""

    agent: Agent
    file: str
    db: str
    goal: str | None
    patience_seconds: float | None
    start: dict[str, Any]
    json: bool


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One run that is asked for. where: its row in the table, for messages."""

    id: str
    inputs: dict[str, Any] | None
    where: str = ""


class Trouble:
    """What could not be advanced, by run. A store that takes no writes ends the whole command: waiting mends no disk."""

    def __init__(self) -> None:
        self.errors: dict[str, HoldfastError] = {}
        self.store: HoldfastError | None = None
        self.stop: Any = None

    def note(self, run_id: str, error: HoldfastError) -> None:
        """The engine tells it."""
        if not run_id:
            say(f"holdfast: {error}")
            return
        self.errors[run_id] = error
        if isinstance(error, JournalUnavailable) and self.store is None:
            import asyncio

            self.store = error
            self.stopping = asyncio.ensure_future(self.stop())


def run(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE[:AGENT]", help="A .py file, a plan file (.yaml, .yml, .json) or a module.", show_default=False),
    ] = None,
    goal: Annotated[
        str | None, typer.Argument(metavar="[GOAL]", help="What is asked; else the agent's own goal.", show_default=False)
    ] = None,
    id: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="The run's id. The same id goes on with the same run.", show_default=False),
    ] = None,
    input: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="NAME=VALUE",
            help="An input, again for each. VALUE is read as JSON where it is a number, true, false, a list, an object or a "
            "quoted text, else as text. NAME=@FILE takes the JSON in a file; @FILE takes all inputs from one.",
            show_default=False,
        ),
    ] = None,
    each: Annotated[
        str | None, typer.Option("--each", metavar="ROWS.csv", help="A run for each row. Values are text.", show_default=False)
    ] = None,
    as_name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="With --each: the input that a row becomes; row by default.", show_default=False)
    ] = None,
    patience: Annotated[
        str | None,
        typer.Option("--patience", metavar="TIME", help="Return where a run is to wait longer than this (10s, 5m).", show_default=False),
    ] = None,
    tenant: Annotated[str, typer.Option("--tenant", metavar="NAME", help="For whom it is.", show_default=False)] = "",
    priority: Annotated[int, typer.Option("--priority", metavar="N", help="Higher goes first; one is worth a minute of waiting.")] = 0,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=TEXT", help="A mark to find it by, again for each.", show_default=False)
    ] = None,
    parallel: Annotated[int, typer.Option("--parallel", metavar="N", min=1, help="With --each: runs at once.")] = 20,
    lease: Lease = 15.0,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Start a run, or go on with it, until it ends or needs a person.

    What happens goes to stderr as it happens, the result to stdout. With the id of a run that is there already, this goes
    on with it, whatever state it is in; GOAL and inputs may be left out then. Ctrl-C finishes the effect at hand and gives
    the run back.
    """
    if file is None:
        return _without_file(id, db)
    from holdfast import loading
    from holdfast.app import new_id
    from holdfast.core.contract import duration

    if as_name is not None and each is None:
        wrong("--as names the input of a row, and there is no --each")
    if each is not None and id is None:
        wrong("--each needs an id for each run", "write one with the names of columns in it: --id 'hire-{user}'")
    agent = loading.agent_of(file)
    terms = Terms(
        agent=agent, file=file, db=db, goal=goal, json=json,
        patience_seconds=duration(patience, what="--patience") if patience is not None else None,
        start={"tenant": tenant, "priority": priority, "labels": dict(_label(word) for word in label or ())},
    )  # fmt: skip
    inputs = loading.inputs_of(input) if input else None
    trouble = Trouble()
    if each is None:
        wanted = Wanted(id=new_id(agent) if id is None else id, inputs=inputs)
        return in_store(db, lambda app: _one(app, terms, wanted, trouble), new=True, lease_seconds=lease, on_error=trouble.note)
    table = _table(each, str(id), as_name or "row", inputs or {})
    return in_store(db, lambda app: _all(app, terms, table, trouble, parallel), new=True, lease_seconds=lease, on_error=trouble.note)


def _label(word: str) -> tuple[str, str]:
    name, equals, text = word.partition("=")
    if not equals or not name:
        wrong(f"--label {word!r} is not name=text")
    return name, text


def _without_file(id: str | None, db: str) -> int:
    """No file was named: say which one is meant, as far as the store knows."""
    if id is None:
        wrong("it is not said what to run", "name a file: holdfast run FILE[:AGENT] [GOAL]; see `holdfast run --help`")

    async def hint(app: Holdfast) -> int:
        row = await app.journal.row(id)
        if row is None:
            wrong(f"there is no run {id}, and no file to start one from", f"{command(db, 'run', 'FILE', '--id', id)}")
        wrong(
            f"run {id} belongs to the agent {row.agent}, and the file with that agent is not named",
            f"{command(db, 'run', 'FILE', '--id', id)} goes on with it, {command(db, 'show', id)} looks at it",
        )

    return in_store(db, hint)


# --- one run ------------------------------------------------------------------------------------------------------


async def _one(app: Holdfast, terms: Terms, wanted: Wanted, trouble: Trouble) -> int:
    from holdfast.cli.following import following
    from holdfast.cli.signals import stopping

    trouble.stop = app.stop
    async with stopping(app.stop) as stop:
        async with following(app, wanted.id):
            await app.run(
                terms.agent, terms.goal, id=wanted.id, inputs=wanted.inputs, patience_seconds=terms.patience_seconds, **terms.start
            )
    if wanted.id in trouble.errors:
        raise trouble.errors[wanted.id]
    left = await _summary(app, wanted.id)
    if terms.json:
        put_json([left])
    else:
        _tell(left, terms)
    return _code(left, stop)


async def _summary(app: Holdfast, run_id: str) -> Summary:
    from holdfast.cli.following import Follower

    follower = Follower(app, run_id)
    await follower.look()
    seen = follower.tree()
    assert seen is not None, f"run {run_id} was there a moment ago"
    return seen.run


def _code(left: Summary, stop: Stopping) -> int:
    code = code_of(left.status)
    if code == PERSON and not left.questions:
        code = UNFINISHED
    return INTERRUPTED if code == UNFINISHED and stop.by == "SIGINT" else code


def _tell(left: Summary, terms: Terms) -> None:
    """The result on stdout, and on stderr what can be done next."""
    from holdfast.cli import render
    from holdfast.runner.clock import SystemClock

    now = SystemClock().now()
    render.outcome(left)
    render.questions(left, terms.db, now)
    again = command(terms.db, "run", terms.file, "--id", left.run_id)
    if left.questions:
        put()
        say(f"after the answer: {again}")
    elif code_of(left.status) == UNFINISHED:
        until = f" until {render.moment(left.due_at)}" if left.due_at is not None else ""
        say(f"it waits{until}; go on with: {again}")
    else:
        say(f"look further: {command(terms.db, 'show', left.run_id)}")


# --- a table of runs ----------------------------------------------------------------------------------------------


def _table(file: str, template: str, name: str, shared: dict[str, Any]) -> list[Wanted]:
    from holdfast import loading

    if name in shared:
        wrong(f"the input {name} is the row of {file}, and is given by --input too", "give the row another name with --as")
    rows = loading.csv_rows(file)
    return [
        Wanted(id=made, inputs={**shared, name: row.values}, where=f"{file} line {row.line}")
        for made, row in zip(loading.ids_of(rows, template, file), rows, strict=True)
    ]


async def _all(app: Holdfast, terms: Terms, table: list[Wanted], trouble: Trouble, parallel: int) -> int:
    """Start all runs of a table, advance them together, and say how each was left."""
    import asyncio

    from holdfast.cli import render
    from holdfast.cli.following import spinner
    from holdfast.cli.signals import stopping

    await _check_all(app, terms, table)
    trouble.stop = app.stop
    left: list[Summary] = []
    async with stopping(app.stop) as stop:
        room = asyncio.Semaphore(parallel)
        with spinner() as status:

            async def see_through(wanted: Wanted) -> Summary | None:
                await _until_rest(app, terms, wanted, room, stop)
                if wanted.id in trouble.errors:
                    return None
                summary = await _summary(app, wanted.id)
                left.append(summary)
                if terms.json:
                    put_json([summary])
                else:
                    say(f"  {one_line(summary.run_id)}: {render.status_cell(summary.status)[0]}")
                if status is not None:
                    status.update(f"{len(left)} of {len(table)}")
                return summary

            for wanted in table:
                await app.start(terms.agent, terms.goal, id=wanted.id, inputs=wanted.inputs, **terms.start)
            ended = await asyncio.gather(*(see_through(wanted) for wanted in table))
    if trouble.store is not None:
        raise trouble.store
    if not terms.json:
        render.outcomes(summary for summary in ended if summary is not None)
    for error in trouble.errors.values():
        say(f"holdfast: {error}")
    for summary in left:
        if summary.questions and not terms.json:
            say(f"to be answered: {command(terms.db, 'show', summary.run_id)}")
    from holdfast.cli.main import code_of_error

    return worst([*(_code(summary, stop) for summary in left), *map(code_of_error, trouble.errors.values())])
