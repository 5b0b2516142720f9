"""`run`: start runs or go on with them, one or a table of them, and see them through."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.options import UNFINISHED, AsJson, Db, Lease, code_of, command, examples, in_store, label_of, wrong
from holdfast.cli.streaming import Stream
from holdfast.cli.telemetry import Content, LogFormat, LogLevel, Target, watched
from holdfast.cli.text import put, put_json, say
from holdfast.cli.wanted import Terms, Trouble, Wanted, code_of_run, summary_of

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.views import Summary


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("run", epilog=EXAMPLES)(run)


EXAMPLES = examples(
    "holdfast run refunds.py 'Refund order 7 in full' --id order-7",
    "holdfast run refunds.py --id order-7                     # go on with it",
    "holdfast run trip.yaml --input city=Oslo --input days=3 --patience 10s",
    "holdfast run trip.yaml --input @inputs.json --input guest=@guest.json",
    "holdfast run onboarding.yaml --each hires.csv --as hire --id 'hire-{user}'",
    "holdfast run trip.py 'Two nights in Oslo' --stream --model openai:gpt-5",
)


def run(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE[:AGENT]", help="A .py file, a plan file (.yaml, .yml, .json) or a module.", show_default=False
        ),
    ] = None,
    goal: Annotated[
        str | None, typer.Argument(metavar="GOAL", help="What is asked; else the agent's own goal.", show_default=False)
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
        str | None,
        typer.Option(
            "--as", metavar="NAME", help="With --each: the input that a row becomes; row by default.", show_default=False
        ),
    ] = None,
    patience: Annotated[
        str | None,
        typer.Option(
            "--patience", metavar="TIME", help="Return where a run is to wait longer than this (10s, 5m).", show_default=False
        ),
    ] = None,
    tenant: Annotated[str, typer.Option("--tenant", metavar="NAME", help="For whom it is.", show_default=False)] = "",
    priority: Annotated[
        int, typer.Option("--priority", metavar="N", help="Higher goes first; one is worth a minute of waiting.")
    ] = 0,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="NAME=TEXT", help="A mark to find it by, again for each.", show_default=False),
    ] = None,
    thread: Annotated[
        str,
        typer.Option(
            "--thread",
            metavar="NAME",
            help="The conversation it belongs to; what its runs learned is recalled.",
            show_default=False,
        ),
    ] = "",
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="PROVIDER:NAME",
            help="Ask this model in place of the agent's, while this goes on; again for those to ask when it fails.",
            show_default=False,
        ),
    ] = None,
    stream: Annotated[bool, typer.Option("--stream", help="What its models say, while they say it, on stderr.")] = False,
    parallel: Annotated[int, typer.Option("--parallel", metavar="N", min=1, help="With --each: runs at once.")] = 20,
    lease: Lease = 15.0,
    telemetry: Target = "none",
    telemetry_content: Content = False,
    log_format: LogFormat = None,
    log_level: LogLevel = "info",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing while it goes on.")] = False,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Start a run, or go on with it.

    It goes on until it ends or needs a person. What happens goes to stderr as it happens, the result to stdout. With
    the id of a run that is there already, this goes on with it, whatever state it is in; GOAL and inputs may be left
    out then. Ctrl-C finishes the effect at hand and gives the run back.
    """
    if file is None:
        return _without_file(id, db)
    from holdfast import loading
    from holdfast.app import new_id
    from holdfast.cli import rows
    from holdfast.core.contract import duration
    from holdfast.notify.settings import channels_from

    if as_name is not None and each is None:
        wrong("--as names the input of a row, and there is no --each")
    if each is not None and id is None:
        wrong("--each needs an id for each run", "write one with the names of columns in it: --id 'hire-{user}'")
    agent = loading.agent_of(file)
    if stream and each is not None:
        wrong("--stream is of one run, and --each starts many", "watch one of them: holdfast watch ID")
    if stream and not any(one.mind is not None for one in (agent, *agent.family().values())):
        wrong(f"--stream is of models, and agent {agent.name} asks none")
    if model:
        agent = agent.with_model(model)
    terms = Terms(
        agent=agent, file=file, db=db, goal=goal, json=json, quiet=quiet, models=tuple(model or ()),
        patience_seconds=duration(patience, what="--patience") if patience is not None else None,
        start={
            "tenant": tenant, "priority": priority, "labels": dict(label_of(word) for word in label or ()), "thread": thread,
        },
    )  # fmt: skip
    inputs = loading.inputs_of(input) if input else None
    trouble = Trouble()
    channels = channels_from(os.environ)
    if each is None:
        wanted = Wanted(id=new_id(agent) if id is None else id, inputs=inputs)
        words = Stream(wanted.id) if stream else None
        with watched(telemetry, telemetry_content, log_format, log_level) as seen:
            return in_store(
                db,
                lambda app: see_through(app, terms, wanted, trouble, words),
                new=True,
                lease_seconds=lease,
                on_error=trouble.note,
                on_words=words,
                notify=channels,
                observers=seen.observers,
            )
    table = rows.table(each, str(id), as_name or "row", inputs or {})
    with watched(telemetry, telemetry_content, log_format, log_level) as seen:
        return in_store(
            db,
            lambda app: rows.see_through(app, terms, table, trouble, parallel),
            new=True,
            lease_seconds=lease,
            on_error=trouble.note,
            notify=channels,
            observers=seen.observers,
        )


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


async def see_through(app: Holdfast, terms: Terms, wanted: Wanted, trouble: Trouble, words: Stream | None = None) -> int:
    """Go on with one run until it rests, and tell how it was left; the exit code."""
    from holdfast.cli.following import following
    from holdfast.cli.signals import stopping

    trouble.stop = app.stop
    await _say_who_has_it(app, wanted.id)
    async with stopping(app.stop) as stop, nullcontext() if terms.quiet else following(app, wanted.id, words):
        await app.run(
            terms.agent,
            terms.goal,
            id=wanted.id,
            inputs=wanted.inputs,
            patience_seconds=terms.patience_seconds,
            **terms.start,
        )
    if words is not None:
        words.close()
    if wanted.id in trouble.errors:
        raise trouble.errors[wanted.id]
    left = await summary_of(app, wanted.id)
    if terms.json:
        put_json([left])
    else:
        _tell(left, terms)
    return code_of_run(left, stop.by)


async def _say_who_has_it(app: Holdfast, run_id: str) -> None:
    """A run that another worker has is waited for; where that worker is dead, until its lease is over."""
    from holdfast.runner.clock import SystemClock
    from holdfast.views import moment, run_line

    row = await app.journal.row(run_id)
    if row is not None and run_line(row, (), SystemClock().now()).live:
        say(f"{row.worker} has it; it is taken over if nothing is heard from that worker until {moment(row.lease_until)}")


def _tell(left: Summary, terms: Terms) -> None:
    """The result on stdout, and on stderr what can be done next."""
    from holdfast.cli import render, render_owed
    from holdfast.runner.clock import SystemClock
    from holdfast.views import moment

    now = SystemClock().now()
    render.outcome(left)
    render_owed.owed(left.owed, now, ended=left.ended)
    render.questions(left, terms.db, now)
    again = terms.again(left.run_id)
    if left.questions:
        put()
        say(f"after the answer: {again}")
    elif code_of(left.status) == UNFINISHED:
        until = f" until {moment(left.due_at)}" if left.due_at is not None else ""
        sooner = ", or for what it is owed" if left.owed and until else " for what it is owed" if left.owed else ""
        say(f"it waits{until}{sooner}; go on with: {again}")
    else:
        say(f"look further: {command(terms.db, 'show', left.run_id)}")
