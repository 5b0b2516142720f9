"""`run` and `work`: the commands that make runs go on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.options import INTERRUPTED, PERSON, STORE, UNFINISHED, AsJson, Db, code_of, command, examples, in_store, wrong
from holdfast.cli.render import as_json, moment, one_line, records, result, say

if TYPE_CHECKING:
    from holdfast.agent import Agent
    from holdfast.app import Holdfast, Run
    from holdfast.errors import HoldfastError

FOLLOW_SECONDS = 0.05

Lease = Annotated[float, typer.Option("--lease", metavar="SECONDS", min=1.0, help="How long the runs of a dead worker wait to be taken over.")]
Parallel = Annotated[int, typer.Option("--parallel", metavar="N", min=1, help="Runs at once.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("run", epilog=RUN_EXAMPLES)(run)
    app.command("work", epilog=WORK_EXAMPLES)(work)


RUN_EXAMPLES = examples(
    "holdfast run refunds.py 'Refund order 7 in full' --id order-7",
    "holdfast run onboarding.yaml --id hire-ann --input hire=@ann.json --patience 10s",
    "holdfast run onboarding.yaml --each hires.csv --id 'hire-{user}' --as hire",
)


def run(
    file: Annotated[str, typer.Argument(metavar="FILE[:AGENT]", help="A .py file, a plan file or a module.", show_default=False)],
    goal: Annotated[str | None, typer.Argument(metavar="[GOAL]", help="What is asked; the agent's own goal by default.", show_default=False)] = None,
    id: Annotated[str | None, typer.Option("--id", metavar="ID", help="The run's id; the same id goes on with the same run.", show_default=False)] = None,
    input: Annotated[list[str] | None, typer.Option("--input", metavar="NAME=VALUE", help="An input. VALUE: JSON, else text. NAME=@FILE: JSON from a file. @FILE: a file with all inputs.", show_default=False)] = None,
    patience: Annotated[str | None, typer.Option("--patience", metavar="TIME", help="Return when the run is to wait longer than this (10s, 5m).", show_default=False)] = None,
    tenant: Annotated[str, typer.Option("--tenant", metavar="NAME", help="Whose run it is.", show_default=False)] = "",
    priority: Annotated[int, typer.Option("--priority", metavar="N", help="More is sooner; one is worth a minute of waiting.")] = 0,
    label: Annotated[list[str] | None, typer.Option("--label", metavar="NAME=TEXT", help="A mark to find the run by.", show_default=False)] = None,
    lease: Lease = 15.0,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Start a run, or go on with it, until it ends or needs a person."""
    from holdfast import loading
    from holdfast.app import new_id
    from holdfast.core.contract import duration

    agent = loading.agent_of(file)
    inputs = loading.inputs_of(input) if input else None
    seconds = duration(patience, what="--patience") if patience is not None else None
    labels = dict(_label(word) for word in label or ())

    async def go(app: Holdfast) -> int:
        async with stopping(app) as stopped:
            run_id = id if id is not None else new_id(agent)
            async with following(app, run_id):
                done = await app.run(
                    agent, goal, id=run_id, inputs=inputs, tenant=tenant, priority=priority, labels=labels, patience_seconds=seconds
                )
        if json:
            records([done])
        else:
            _tell(done, file, db)
        return INTERRUPTED if stopped.by == "SIGINT" and not done.ended else code_of(done.status)

    return in_store(db, go, new=True, lease_seconds=lease)


def _label(word: str) -> tuple[str, str]:
    name, equals, text = word.partition("=")
    if not equals or not name:
        wrong(f"--label {word!r} is not name=text")
    return name, text


def _tell(run: Run, file: str, db: str) -> None:
    """The result on stdout, and what can be done next."""
    from holdfast.views import cut

    detail = cut(run.result, 2000) if run.done else run.reason or run.waits_for
    result(f"{run.id}  {run.status}" + (f": {one_line(str(detail))}" if detail else ""))
    for asked in run.questions:
        result(f"\n  {one_line(asked.question)}" + (f"  [{asked.interrupt}]" if len(run.questions) > 1 else ""))
        if asked.tool:
            result(f"    {asked.tool}")
        for name, value in asked.args.items():
            result(f"      {one_line(name)} = {as_json(value)}")
        result(f"    until {moment(asked.expires_at)}")
        which = [asked.interrupt] if len(run.questions) > 1 else []
        for option in asked.options:
            more = {"edit": ["NAME=VALUE"], "reject": ["WHY"], "respond": ["JSON"]}.get(option.decision, [])
            result(f"    {command(db, 'answer', run.id, *which, option.decision, *more)}   {option.means}")
    if run.questions:
        say(f"then go on with: {command(db, 'run', file, '--id', run.id)}")
    else:
        say(f"look further: {command(db, 'show', run.id)}")


# --- while it goes on ---------------------------------------------------------------------------------------------


class Stopped:
    """Which signal ended the work, if one did."""

    by: str = ""


@asynccontextmanager
async def stopping(app: Holdfast) -> AsyncIterator[Stopped]:
    """SIGTERM or SIGINT: finish the effects at hand and give the runs back. A second SIGINT: leave at once."""
    loop, stopped = asyncio.get_running_loop(), Stopped()
    tasks: list[asyncio.Task[None]] = []

    def on(name: str) -> None:
        if stopped.by:
            if name == "SIGINT":
                say("left at once; what was in flight is in doubt until the run goes on")
                os._exit(INTERRUPTED)
            return
        stopped.by = name
        say("stopping when the effect at hand has ended" + ("; once more to leave at once" if name == "SIGINT" else ""))
        tasks.append(loop.create_task(app.stop()))

    names = ("SIGTERM", "SIGINT")
    for name in names:
        loop.add_signal_handler(getattr(signal, name), on, name)
    try:
        yield stopped
        for task in tasks:
            await task
    finally:
        for name in names:
            loop.remove_signal_handler(getattr(signal, name))


@asynccontextmanager
async def following(app: Holdfast, run_id: str) -> AsyncIterator[None]:
    """Say on stderr what happens in a run meanwhile."""
    from holdfast.errors import HoldfastError
    from holdfast.journal.base import EMPTY
    from holdfast.views import told

    head = EMPTY
    row = await app.journal.row(run_id)
    if row is not None:
        try:
            head = (await app.journal.read(run_id)).head
        except HoldfastError:
            pass

    async def look() -> None:
        nonlocal head
        row = await app.journal.row(run_id)
        if row is not None and row.version > head.version:
            later = await app.journal.read(run_id, head)
            head = later.head
            for entry in later.entries:
                if words := told(entry.event):
                    say(f"  {words}")

    async def follow() -> None:
        while True:
            await look()
            await asyncio.sleep(FOLLOW_SECONDS)

    task = asyncio.create_task(follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        try:
            await look()
        except HoldfastError:
            pass


# --- work ---------------------------------------------------------------------------------------------------------

WORK_EXAMPLES = examples(
    "holdfast work refunds.py onboarding.yaml",
    "holdfast work onboarding.yaml --parallel 20 --until-idle",
)


def work(
    files: Annotated[list[str], typer.Argument(metavar="FILE[:AGENT]...", help="Whose runs to advance.", show_default=False)],
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when nothing is due any more.")] = False,
    parallel: Parallel = 100,
    lease: Lease = 15.0,
    db: Db = "holdfast.db",
) -> int:
    """Advance all runs of these agents that are due, until told to stop."""
    from holdfast import loading

    agents = [agent for file in files for agent in loading.agents_of(file)]

    async def go(app: Holdfast) -> int:
        say(f"working for {', '.join(agent.name for agent in agents)} on {db}; stop with Ctrl-C")
        async with stopping(app):
            await app.work(*agents, until_idle=until_idle)
        return 0

    return in_store(db, go, new=True, lease_seconds=lease, parallel_runs=parallel, on_error=lambda run_id, error: say(f"holdfast: {error}"))
