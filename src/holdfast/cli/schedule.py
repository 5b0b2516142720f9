"""`schedule`: runs that begin by themselves, at a time or on a cron line."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from holdfast.cli.options import DONE, WRONG, AsJson, Db, command, examples, in_store, label_of, wrong
from holdfast.cli.text import one_line, put, put_json, say

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.core.schedule import Standing
    from holdfast.views.schedules import ScheduleLine

# As in `core.schedule`, which the help page need not load.
Overlap = Literal["skip", "queue", "replace"]
CatchUp = Literal["none", "last", "all"]
NEXT_MAX = 1000


def register(app: typer.Typer) -> None:
    """Add this group of commands."""
    group = typer.Typer(
        help="Have workers start runs: at a time, or on a cron line.",
        epilog=EXAMPLES,
        rich_markup_mode=None,
        add_completion=False,
    )
    group.callback(invoke_without_command=True)(root)
    group.command("add", epilog=ADD_EXAMPLES)(add)
    group.command("list", epilog=LIST_EXAMPLES)(listed)
    group.command("show", epilog=SHOW_EXAMPLES)(show)
    group.command("pause", epilog=PAUSE_EXAMPLES)(pause)
    group.command("resume", epilog=RESUME_EXAMPLES)(resume)
    group.command("remove", epilog=REMOVE_EXAMPLES)(remove)
    group.command("next", epilog=NEXT_EXAMPLES)(coming)
    app.add_typer(group, name="schedule")


EXAMPLES = examples(
    "holdfast schedule add report.py --cron '0 9 * * 1-5' --tz Europe/Berlin --id daily",
    "holdfast schedule list",
    "holdfast work report.py                  # workers begin its runs",
)


def root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(WRONG)


Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule.", show_default=False)]
Zone = Annotated[str, typer.Option("--tz", metavar="ZONE", help="Whose clocks a cron line is read by, as Europe/Berlin.")]

# --- add ----------------------------------------------------------------------------------------------------------

ADD_EXAMPLES = examples(
    "holdfast schedule add report.py --cron '0 9 * * 1-5' --tz Europe/Berlin --id daily",
    "holdfast schedule add report.py 'Report of the year' --at 2026-12-31T23:00+01:00 --id year",
    "holdfast schedule add sync.py --cron '*/10 * * * *' --input shop=berlin --overlap queue --catch-up none",
)


def add(
    file: Annotated[str, typer.Argument(metavar="FILE[:AGENT]", help="A .py file, a plan file or a module.", show_default=False)],
    goal: Annotated[
        str | None, typer.Argument(metavar="GOAL", help="What is asked; else the agent's own goal.", show_default=False)
    ] = None,
    cron: Annotated[
        str | None,
        typer.Option("--cron", metavar="LINE", help="Minute, hour, day, month, day of the week; or @daily.", show_default=False),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="Once, at this time: 2026-12-01T09:00+01:00.", show_default=False),
    ] = None,
    tz: Zone = "UTC",
    id: Annotated[
        str | None,
        typer.Option(
            "--id", metavar="NAME", help="Its name; the ids of its runs begin with it. Else the agent's.", show_default=False
        ),
    ] = None,
    input: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="NAME=VALUE", help="An input of each run, as for `holdfast run`.", show_default=False),
    ] = None,
    overlap: Annotated[
        Overlap,
        typer.Option("--overlap", help="At a time at which the run before goes on: skip it, queue it, or replace the run."),
    ] = "skip",
    catch_up: Annotated[
        CatchUp,
        typer.Option("--catch-up", help="Of the times that passed while no worker was there: begin none, the last, or all."),
    ] = "last",
    catch_up_max: Annotated[
        int, typer.Option("--catch-up-max", metavar="N", help="With --catch-up all: the last N of them.")
    ] = 100,
    queue_max: Annotated[int, typer.Option("--queue-max", metavar="N", help="With --overlap queue: so many may wait.")] = 100,
    tenant: Annotated[str, typer.Option("--tenant", metavar="NAME", help="For whom its runs are.", show_default=False)] = "",
    priority: Annotated[
        int, typer.Option("--priority", metavar="N", help="Higher goes first; one is worth a minute of waiting.")
    ] = 0,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="NAME=TEXT", help="A mark to find its runs by, again for each.", show_default=False),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="In place of another schedule of this name.")] = False,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Put a schedule into the store.

    Workers that have its agent begin its runs: `holdfast work FILE`. The same schedule again changes nothing; another one
    under its name is refused, unless it is to --replace it.
    """
    from holdfast import loading

    if (cron is None) == (at is None):
        wrong("it is not said when", "give a cron line or a time: --cron '0 9 * * *', or --at 2026-12-01T09:00+01:00")
    agent = loading.agent_of(file)
    inputs = loading.inputs_of(input) if input else None
    moment = _epoch(at) if at is not None else None

    async def go(app: Holdfast) -> int:
        found = await app.schedule(
            agent, goal, id=id, cron=cron, at=moment, timezone=tz, inputs=inputs, tenant=tenant, priority=priority,
            labels=dict(label_of(word) for word in label or ()), overlap=overlap, catch_up=catch_up,
            catch_up_max=catch_up_max, queue_max=queue_max, replace=replace,
        )  # fmt: skip
        line = await _said(app, found, json)
        if not json:
            if line.note:
                say(f"{line.note}: start one with {command(db, 'work', file)}")
            say(f"look further: {command(db, 'schedule', 'show', line.name)}")
        return DONE

    return in_store(db, go, new=True)


def _epoch(word: str) -> float | str:
    """Seconds since the epoch where it is a number; else as it is."""
    try:
        return float(word)
    except ValueError:
        return word


async def _said(app: Holdfast, found: Standing, json: bool) -> ScheduleLine:
    """A schedule in one line, and when it fires next."""
    from holdfast.cli import render_schedules
    from holdfast.cli.following import served_agents
    from holdfast.views.schedules import schedule_line

    line = schedule_line(found, await served_agents(app))
    if json:
        put_json([line])
    else:
        render_schedules.line(line)
    return line


# --- look ---------------------------------------------------------------------------------------------------------

LIST_EXAMPLES = examples("holdfast schedule list", "holdfast schedule list --json | jq 'select(.state == \"paused\")'")


def listed(json: AsJson = False, db: Db = "holdfast.db") -> int:
    """All schedules of a store, and when each fires next."""

    async def go(app: Holdfast) -> int:
        from holdfast.cli import render_schedules
        from holdfast.cli.following import served_agents
        from holdfast.views.schedules import schedule_line

        served = await served_agents(app)
        lines = [schedule_line(one, served) for one in await app.schedules()]
        if json:
            put_json(lines)
        elif lines:
            render_schedules.listed(lines)
        else:
            say(f"nothing is scheduled in {db}; {command(db, 'schedule', 'add', 'FILE', '--cron', '0 9 * * *')}")
        return DONE

    return in_store(db, go)


SHOW_EXAMPLES = examples(
    "holdfast schedule show daily", "holdfast schedule show daily --json | jq -r '.firings[] | select(.became == \"missed\").utc'"
)


def show(
    name: Name,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many of its times.")] = 20,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """How a schedule stands, and what became of its last times.

    Each time began a run or says why not: it was skipped because the run before went on, missed because no worker was there,
    waits, was dropped, replaced, or refused.
    """

    async def go(app: Holdfast) -> int:
        from holdfast.cli import render_schedules
        from holdfast.cli.following import served_agents
        from holdfast.views.schedules import firing_line, schedule_line

        found = await app.firings(name, limit + 1)
        (standing,) = await app.journal.schedules(name)
        rows = [await app.journal.row(one.run_id) for one in found[:limit] if one.run_id]
        statuses = {row.run_id: row.status for row in rows if row is not None}
        line = schedule_line(standing, await served_agents(app))
        lines = [firing_line(one, line.timezone, statuses) for one in found[:limit]]
        if json:
            put_json([{"schedule": line, "firings": lines}])
        else:
            render_schedules.show(line, lines)
        if len(found) > limit:
            say(f"there are more than these {limit} times; --limit {limit * 10} shows more")
        return DONE

    return in_store(db, go)


# --- change -------------------------------------------------------------------------------------------------------

PAUSE_EXAMPLES = examples("holdfast schedule pause daily")


def pause(name: Name, json: AsJson = False, db: Db = "holdfast.db") -> int:
    """Let nothing of a schedule begin until it is resumed.

    A run of it that goes on goes on.
    """

    async def go(app: Holdfast) -> int:
        await _said(app, await app.pause_schedule(name), json)
        return DONE

    return in_store(db, go)


RESUME_EXAMPLES = examples("holdfast schedule resume daily")


def resume(name: Name, json: AsJson = False, db: Db = "holdfast.db") -> int:
    """Let a schedule go on with its next time.

    Times that passed while it was paused are not caught up with.
    """

    async def go(app: Holdfast) -> int:
        await _said(app, await app.resume_schedule(name), json)
        return DONE

    return in_store(db, go)


REMOVE_EXAMPLES = examples("holdfast schedule remove daily")


def remove(name: Name, json: AsJson = False, db: Db = "holdfast.db") -> int:
    """Forget a schedule, and what became of its times.

    The runs that it began stay, and one that goes on goes on.
    """

    async def go(app: Holdfast) -> int:
        if not await app.unschedule(name):
            wrong(f"there is no schedule {name} in this store", f"{command(db, 'schedule', 'list')} lists them")
        if json:
            put_json([{"name": name, "removed": True}])
        else:
            put(f"{one_line(name)}  removed")
        return DONE

    return in_store(db, go)


# --- next ---------------------------------------------------------------------------------------------------------

NEXT_EXAMPLES = examples(
    "holdfast schedule next '0 9 * * 1-5' --tz Europe/Berlin",
    "holdfast schedule next '30 2 * * *' --tz America/New_York --after 2027-03-13T00:00-05:00",
)


def coming(
    line: Annotated[str, typer.Argument(metavar="LINE", help="A cron line.", show_default=False)],
    tz: Zone = "UTC",
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, max=NEXT_MAX, help="How many.")] = 5,
    after: Annotated[
        str | None, typer.Option("--after", metavar="TIME", help="Count from this time; else from now.", show_default=False)
    ] = None,
    json: AsJson = False,
) -> int:
    """The next times of a cron line, without a store."""
    from holdfast.core.schedule import moment_of, next_times
    from holdfast.runner.clock import SystemClock
    from holdfast.views.schedules import local, utc

    begin = SystemClock().now() if after is None else moment_of(_epoch(after), "--after")
    times = list(islice(next_times(line, tz, begin), count))
    if not times:
        wrong(f"the cron line {line!r} never fires", "no month has such a day; look at its last three fields")
    shown: list[dict[str, Any]] = [{"at": at, "local": local(at, tz), "utc": utc(at)} for at in times]
    if json:
        put_json(shown)
    else:
        for one in shown:
            put(f"{one['local']}   {one['utc']}")
    return DONE
