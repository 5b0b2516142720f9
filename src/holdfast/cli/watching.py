"""`watch`: see a run go on, whichever process advances it."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import typer

from holdfast.cli.options import AsJson, Db, RunId, code_of, examples, in_store
from holdfast.cli.text import one_line, put, put_json

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.cli.following import Follower

REFRESH_SECONDS = 0.2


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("watch", epilog=EXAMPLES)(watch)


EXAMPLES = examples("holdfast watch order-7", "holdfast watch order-7 --json | jq .event")


def watch(id: RunId, json: AsJson = False, db: Db = "holdfast.db") -> int:
    """A run as it goes on, until it ends.

    It may be another process that advances it. On a terminal a tree that lives; into a pipe a line for each entry of
    the journal, from its first. The exit code is that of the run: 0 where it completed, 1 where it did not.
    """
    from holdfast.cli.following import Follower
    from holdfast.cli.given import no_such_run

    async def go(app: Holdfast) -> int:
        follower = Follower(app, id)
        await follower.look()
        if follower.row is None:
            raise await no_such_run(app.journal, id, db)
        if sys.stdout.isatty() and not json:
            await _live(app, follower)
        else:
            await _lines(follower, json)
        assert follower.state is not None
        return code_of(follower.state.ended)

    return in_store(db, go)


async def _lines(follower: Follower, json: bool) -> None:
    from holdfast.views import moment, told

    new = list(follower.entries)
    while True:
        for entry in new:
            if json:
                put_json([entry])
            elif words := told(entry.event, follower.state):
                put(f"{moment(entry.at)}  {one_line(words)}")
        if follower.state is not None and follower.state.ended:
            return
        await asyncio.sleep(REFRESH_SECONDS / 4)
        new = await follower.look()


async def _live(app: Holdfast, follower: Follower) -> None:
    from rich.live import Live

    from holdfast.cli import render
    from holdfast.cli.following import served_agents
    from holdfast.runner.clock import SystemClock

    with Live(console=render.console(), auto_refresh=False) as screen:
        while True:
            seen = await follower.tree(await served_agents(app))
            screen.update(render.live(seen, SystemClock().now()), refresh=True)
            if follower.state is not None and follower.state.ended:
                return
            await asyncio.sleep(REFRESH_SECONDS)
            await follower.look()
