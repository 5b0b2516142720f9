"""`run --each`: a run for each row of a table, all of them seen through together."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from holdfast import loading
from holdfast.app import Holdfast
from holdfast.cli import render
from holdfast.cli.following import spinner
from holdfast.cli.options import code_of_error, command, worst, wrong
from holdfast.cli.signals import Stopping, stopping
from holdfast.cli.text import one_line, put_json, say
from holdfast.cli.wanted import Terms, Trouble, Wanted, code_of_run, summary_of
from holdfast.errors import HoldfastError, UsageError
from holdfast.journal.base import ENDED
from holdfast.runner.clock import SystemClock
from holdfast.views import Summary

LOOK_SECONDS = 0.25


def table(file: str, template: str, name: str, shared: dict[str, Any]) -> list[Wanted]:
    """The runs that a table asks for. template: of their ids; name: the input that a row becomes; shared: the others."""
    if name in shared:
        wrong(f"the input {name} is the row of {file}, and is given by --input too", "give the row another name with --as")
    rows = loading.csv_rows(file)
    return [
        Wanted(id=made, inputs={**shared, name: row.values}, where=f"{file} line {row.line}")
        for made, row in zip(loading.ids_of(rows, template, file), rows, strict=True)
    ]


async def see_through(app: Holdfast, terms: Terms, wanted: list[Wanted], trouble: Trouble, parallel: int) -> int:
    """Start all runs, advance them together, and say how each was left."""
    await _check(app, terms, wanted)
    left: dict[str, Summary] = {}
    async with stopping(app.stop) as stop:

        async def give_up() -> None:
            stop.event.set()
            await app.stop()

        trouble.stop = give_up
        room = asyncio.Semaphore(parallel)
        with spinner() as status:
            if status is not None:
                status.update(f"0 of {len(wanted)}")

            async def one(this: Wanted) -> None:
                await _until_rest(app, terms, this, room, stop, trouble)
                if trouble.store is None and this.id not in trouble.errors:
                    left[this.id] = await summary_of(app, this.id)
                    _tell(left[this.id], terms)
                if status is not None:
                    status.update(f"{len(left) + len(trouble.errors)} of {len(wanted)}")

            await asyncio.gather(
                *(app.start(terms.agent, terms.goal, id=this.id, inputs=this.inputs, **terms.start) for this in wanted)
            )
            await asyncio.gather(*(one(this) for this in wanted))
    if trouble.store is not None:
        raise trouble.store
    if not terms.json:
        render.outcomes(left[this.id] for this in wanted if this.id in left)
    for error in trouble.errors.values():
        say(f"holdfast: {error}")
    for this in wanted:
        if this.id in left and left[this.id].questions:
            say(f"{this.id} asks a person: {command(terms.db, 'show', this.id)}")
    return worst([*(code_of_run(run, stop.by) for run in left.values()), *map(code_of_error, trouble.errors.values())])


async def _check(app: Holdfast, terms: Terms, wanted: list[Wanted]) -> None:
    """Find every row that cannot be run before the first one begins."""
    problems = []
    for this in wanted:
        try:
            await app.has(terms.agent, terms.goal, id=this.id, inputs=this.inputs)
        except UsageError as error:
            problems.append(f"{this.where}: {error}")
    if problems:
        more = f" (and {len(problems) - 1} more rows are wrong)" if len(problems) > 1 else ""
        raise UsageError(f"{problems[0]}{more}; nothing was started")


async def _until_rest(
    app: Holdfast, terms: Terms, this: Wanted, room: asyncio.Semaphore, stop: Stopping, trouble: Trouble
) -> None:
    """Advance a run until it has ended, needs a person, or is to wait longer than the patience.

    A run that waits leaves its room to the others, and is taken on again when it is due.
    """
    while not stop.event.is_set() and this.id not in trouble.errors:
        async with room:
            try:
                await app.run(terms.agent, terms.goal, id=this.id, inputs=this.inputs, patience_seconds=0.0)
            except HoldfastError as error:
                trouble.errors.setdefault(this.id, error)
                return
        if not await _until_due(app, this.id, stop, terms.patience_seconds):
            return


async def _until_due(app: Holdfast, run_id: str, stop: Stopping, patience_seconds: float | None) -> bool:
    """Whether there is something to do for a run, after waiting for that; False where it is at rest."""
    clock, waited = SystemClock(), 0.0
    while not stop.event.is_set():
        row = await app.journal.row(run_id)
        now = clock.now()
        if row is None or row.status in ENDED:
            return False
        held = row.worker != "" and row.lease_until > now
        if not held and (row.status == "blocked" or row.due_at is None):
            return False
        wait = (row.lease_until if held or row.due_at is None else row.due_at) - now
        if wait <= 0:
            return True
        if patience_seconds is not None and (waited if held else wait) > patience_seconds:
            return False
        wait = min(wait, LOOK_SECONDS)
        waited += wait
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.event.wait(), wait)
    return False


def _tell(run: Summary, terms: Terms) -> None:
    if terms.json:
        put_json([run])
    elif not terms.quiet:
        say(f"  {one_line(run.run_id)}: {render.status_cell(run.status, run.whole)[0]}")
