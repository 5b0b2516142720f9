"""`runs`, `show`, `watch`, `verify`: looking, without moving anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.options import DONE, STORE, AsJson, Db, RunId, examples, in_store
from holdfast.cli.render import clean, console, moment, one_line, records, result

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.views import Tree


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("show", epilog=SHOW_EXAMPLES)(show)


SHOW_EXAMPLES = examples("holdfast show order-7", "holdfast show order-7 --events", "holdfast show order-7 --json")


def show(
    id: RunId,
    events: Annotated[bool, typer.Option("--events", help="Every entry of its journal, one a line.")] = False,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """How a run stands: what is done, what is not, what is unknown, what it waits for."""
    from holdfast import views
    from holdfast.core.state import fold
    from holdfast.errors import JournalCorrupt, RunNotFound
    from holdfast.runner.clock import SystemClock

    async def go(app: Holdfast) -> int:
        row = await app.journal.row(id)
        if row is None:
            raise RunNotFound("there is no such run in this store", run_id=id, hint="`holdfast runs` lists them")
        try:
            entries = await app.history(id)
        except JournalCorrupt as error:
            result(f"{row.run_id}  {row.status}  agent {row.agent}, {row.version} entries\n  damaged: {error.what}")
            raise
        if events:
            if json:
                records(entries)
            else:
                for line in map(views.line, entries):
                    result(one_line(f"{line.sequence:>5}  {moment(line.at)}  {line.fence:>3}  {line.event:<18} {line.fields}"))
            return DONE
        tree = views.tree(fold(entries), entries, row, SystemClock().now())
        if json:
            records([tree])
        else:
            draw(tree)
        return DONE

    return in_store(db, go)


def draw(tree: Tree) -> None:
    from rich.table import Table

    run = tree.run
    result(f"{run.run_id}  {run.status}" + (f"  {one_line(run.reason)}" if run.reason else ""))
    table = Table(box=None)
    for name in ("step", "tool", "phase", "attempts", "safety", "value"):
        table.add_column(name)
    for step in tree.steps:
        table.add_row(*(clean(str(x)) for x in (step.id, step.tool, step.phase, step.attempts, step.safety, step.value or step.reason)))
    console().print(table)
