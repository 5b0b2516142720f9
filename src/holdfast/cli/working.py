"""`work`: advance all that is due, until told to stop."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.options import DONE, AsJson, Db, Lease, examples, in_store, wrong
from holdfast.cli.telemetry import Content, Listen, LogFormat, LogLevel, Target, watched
from holdfast.cli.text import one_line, put_json, say
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.app import Holdfast


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("work", epilog=EXAMPLES)(work)


EXAMPLES = examples(
    "holdfast work refunds.py onboarding.yaml",
    "holdfast work shop.agents:refunds --db /var/lib/shop/runs.db --parallel 50",
    "holdfast work onboarding.yaml --until-idle",
    "holdfast work shop.agents --telemetry otlp --metrics-listen 127.0.0.1:9464 --log-format json",
)


def work(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE[:AGENT]...", help="Whose runs to advance: all agents of these.", show_default=False),
    ],
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when nothing is due any more.")] = False,
    parallel: Annotated[int, typer.Option("--parallel", metavar="N", min=1, help="Runs at once.")] = 100,
    lease: Lease = 15.0,
    telemetry: Target = "none",
    telemetry_content: Content = False,
    metrics_listen: Listen = None,
    log_format: LogFormat = None,
    log_level: LogLevel = "info",
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Advance all that is due, until told to stop.

    Any number of workers may share a store. On SIGTERM or Ctrl-C each run finishes the effect at hand and is given back;
    the exit code is 0 then. A second Ctrl-C leaves at once.
    """
    from holdfast import loading
    from holdfast.cli.signals import stopping
    from holdfast.notify.settings import channels_from

    agents = loading.distinct([agent for file in files for agent in loading.agents_of(file)])
    for name, count in Counter(agent.name for agent in agents).items():
        if count > 1:
            wrong(f"two agents are called {name}, and runs belong to an agent by its name", "name one of them: FILE:AGENT")
    rested: asyncio.Queue[str] = asyncio.Queue()

    def on_error(run_id: str, error: HoldfastError) -> None:
        say(f"holdfast: {error}")

    async def go(app: Holdfast) -> int:
        say(f"works for {', '.join(agent.name for agent in agents)} in {db}; Ctrl-C stops it")
        teller = asyncio.create_task(_tell(app, rested, json))
        async with stopping(app.stop), seen.gauges(app):
            await app.work(*agents, until_idle=until_idle)
        told = asyncio.create_task(rested.join())
        await asyncio.wait((told, teller), return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        teller.cancel()
        await asyncio.gather(teller, return_exceptions=True)
        return DONE

    with watched(telemetry, telemetry_content, log_format, log_level, metrics_listen) as seen:
        return in_store(
            db,
            go,
            new=True,
            lease_seconds=lease,
            parallel_runs=parallel,
            on_error=on_error,
            on_rest=rested.put_nowait,
            notify=channels_from(os.environ),
            observers=seen.observers,
        )


async def _tell(app: Holdfast, rested: asyncio.Queue[str], json: bool) -> None:
    """Say how each run was left that this worker gave back."""
    from holdfast.cli.render import status_cell
    from holdfast.runner.clock import SystemClock
    from holdfast.views import cut, moment, run_line

    while True:
        row = await app.journal.row(await rested.get())
        if row is not None:
            line = run_line(row, (row.agent,), SystemClock().now())
            if json:
                put_json([line])
            else:
                why = line.waits_for or ("" if line.whole else line.reason)
                until = f" until {moment(line.due_at)}" if line.status == "waiting" and line.due_at is not None else ""
                left = f"{status_cell(line.status, line.whole)[0]}{until}" + (f": {one_line(cut(why))}" if why else "")
                say(f"{moment(line.changed_at)}  {one_line(line.run_id)}  {left}")
        rested.task_done()
