"""`runs`, `show`, `verify`: looking, without moving anything."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from holdfast.cli.options import DONE, FAILED, AsJson, Db, RunId, check_store, command, examples, in_store, wrong
from holdfast.cli.text import one_line, put, put_json, say

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.core.events import Entry
    from holdfast.errors import JournalCorrupt
    from holdfast.journal.base import Journal, RunRow
    from holdfast.views import SpentView
    from holdfast.views.why import NoSuchStep


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("runs", epilog=RUNS_EXAMPLES)(runs)
    app.command("show", epilog=SHOW_EXAMPLES)(show)
    app.command("verify", epilog=VERIFY_EXAMPLES)(verify)


RUNS_EXAMPLES = examples(
    "holdfast runs",
    "holdfast runs --status blocked --agent refunds",
    "holdfast runs --label team=sales --json | jq -r .run_id",
    "holdfast runs --cost --json | jq '[.run_id, .spent.cost_usd]'",
)

Status = Literal["running", "waiting", "blocked", "completed", "failed", "cancelled"]
# Labels are no column of their own: so many rows are looked at for each that is wanted.
LABEL_FACTOR = 100


def runs(
    status: Annotated[Status | None, typer.Option("--status", help="Only those.", show_default=False)] = None,
    agent: Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Only its runs.", show_default=False)] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="Only its runs.", show_default=False)] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=TEXT", help="Only those marked so.", show_default=False)
    ] = None,
    cost: Annotated[bool, typer.Option("--cost", help="With what each has spent; its journal is read for that.")] = False,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many, the latest changed first.")] = 100,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """The runs of a store, the latest changed first.

    A run that is due and whose agent no live worker has says so: it stays as it is until one comes.
    """
    from holdfast.cli import render
    from holdfast.cli.following import served_agents
    from holdfast.runner.clock import SystemClock
    from holdfast.views import run_line

    for word in label or ():
        if "=" not in word:
            wrong(f"--label {word!r} is not name=text")
    marks = dict(word.split("=", 1) for word in label or ())

    async def go(app: Holdfast) -> int:
        found = await app.runs(status=status, agent=agent, tenant=tenant, limit=limit * (LABEL_FACTOR if marks else 1) + 1)
        kept = [row for row in found if marks.items() <= row.labels.items()]
        now, served = SystemClock().now(), await served_agents(app)
        spent = await _spent(app, [row.run_id for row in kept[:limit]]) if cost else {}
        lines = [run_line(row, served, now, spent.get(row.run_id)) for row in kept[:limit]]
        if json:
            put_json(lines)
        elif lines:
            render.runs(lines, now)
        else:
            say("no run is like that" if status or agent or tenant or marks else f"no run is in {db} yet")
        if len(kept) > limit:
            say(f"there are more than these {limit}; --limit {limit * 10} shows more")
        return DONE

    return in_store(db, go)


async def _spent(app: Holdfast, ids: list[str]) -> dict[str, SpentView]:
    """What each of these runs has spent; of one whose journal is damaged nobody knows."""
    from holdfast.errors import JournalCorrupt
    from holdfast.views import spent_view

    found = {}
    for run_id in ids:
        with suppress(JournalCorrupt):
            found[run_id] = spent_view(await app.state(run_id))
    return found


SHOW_EXAMPLES = examples(
    "holdfast show order-7",
    "holdfast show order-7 --why             # why it is as it is, back to the first cause",
    "holdfast show order-7 --why pay         # why this step was called so, then, again, and ended so",
    "holdfast show order-7 --why 57          # what this entry of its journal is, and why",
    "holdfast show order-7 --why --markdown | gh issue comment 12 -F -",
    "holdfast show order-7 --events          # its journal: number, time, fence, event",
    "holdfast show order-7 --step report --whole   # its result, also where it was too large to be kept whole",
    "holdfast show trip-3 --turns            # what its model said, a line a turn",
    "holdfast show trip-3 --turn 4 --shown   # what it said in turn 4, and all that it was shown before",
    "holdfast show trip-3 --facts            # all that it believes",
    "holdfast show order-7 --json | jq '.steps[] | select(.place == \"unknown\")'",
)


def show(
    id: RunId,
    about: Annotated[
        str | None,
        typer.Argument(metavar="[STEP]", help="With --why: a step, or the number of an entry.", show_default=False),
    ] = None,
    why: Annotated[
        bool, typer.Option("--why", help="Why it is as it is; with a STEP behind it, why that is: what led to it, and to that.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="With --why: every step in full.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="With --why: as Markdown, for a ticket.")] = False,
    events: Annotated[bool, typer.Option("--events", help="Its journal, an entry a line.")] = False,
    step: Annotated[
        str | None, typer.Option("--step", metavar="STEP", help="The result of this step, as JSON.", show_default=False)
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="With --step: also where the result was cut as too large.")] = False,
    facts: Annotated[bool, typer.Option("--facts", help="All that it believes, and where that comes from.")] = False,
    turns: Annotated[bool, typer.Option("--turns", help="What its model said, a line a turn.")] = False,
    turn: Annotated[
        int | None,
        typer.Option("--turn", metavar="N", min=1, help="What its model said in this turn, in full.", show_default=False),
    ] = None,
    shown: Annotated[bool, typer.Option("--shown", help="With --turn: also what the model was shown then.")] = False,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """How a run stands, and what it waits for.

    What is done, what is not, what is unknown, what is asked, what is owed and by whom, the steps with their attempts, the
    runs that they started, and until when it waits; where a model plans it, also what it thinks, what it spent, what it
    believes and what of that is a guess. A run whose journal is damaged says so, and the exit code is 5.
    """
    if (about or every or markdown) and not why:
        named = about or ("--all" if every else "--markdown")
        wrong(f"{named} is of --why", command(db, "show", id, "--why", *([about] if about else [])))
    if whole and step is None:
        wrong("--whole is of the result of a step", f"{command(db, 'show', id, '--step', 'STEP', '--whole')}")
    if shown and turn is None:
        wrong("--shown is of a turn", f"{command(db, 'show', id, '--turn', 'N', '--shown')}")
    given = {
        "--why": why,
        "--events": events,
        "--step": step is not None,
        "--facts": facts,
        "--turns": turns,
        "--turn": turn is not None,
    }
    if len(asked := [name for name, is_given in given.items() if is_given]) > 1:
        wrong(f"{' and '.join(asked)} are {'two' if len(asked) == 2 else 'several'} questions", "ask one of them")
    if why:
        if json and markdown:
            wrong("--json and --markdown are two forms", "take one of them")
        if every and about:
            wrong("--all is of the whole run", f"{command(db, 'show', id, '--why', about)} has all of {about}")
        return _explain(id, about or "", every, "json" if json else "markdown" if markdown else "text", db)
    from holdfast.errors import JournalCorrupt

    async def go(app: Holdfast) -> int:
        row = await _there(app.journal, id, db)
        try:
            entries = await app.history(id)
        except JournalCorrupt as error:
            _damaged(row, error, json)
            raise
        if events:
            _events(entries, json)
        elif step is not None:
            put_json([await _result(app, entries, step, whole, db)])
        elif facts or turns or turn is not None:
            _thoughts(entries, turn, facts, shown, json, db)
        else:
            await page(app, row, entries)
        return DONE

    async def page(app: Holdfast, row: RunRow, entries: list[Entry]) -> None:
        from holdfast.cli import render
        from holdfast.cli.following import served_agents, unheard_words
        from holdfast.core.evolve import fold
        from holdfast.runner.clock import SystemClock
        from holdfast.views import tree

        now = SystemClock().now()
        state = fold(entries)
        children = await app.children(id) if state.children else ()
        seen = tree(state, entries, row, now, await served_agents(app), await unheard_words(app, id), children)
        if json:
            put_json([seen])
        else:
            render.show(seen, db, now)
            if row.imported:
                say(f"it was imported: it is only looked at here; to go on with it, {command(db, 'fork', id, '--list')}")

    return in_store(db, go)


async def _there(journal: Journal, id: str, db: str) -> RunRow:
    from holdfast.cli.given import no_such_run

    if (row := await journal.row(id)) is None:
        raise await no_such_run(journal, id, db)
    return row


def _damaged(row: RunRow, error: JournalCorrupt, json: bool) -> None:
    """What the store knows of a run whose journal cannot be trusted."""
    if json:
        put_json([{"run_id": row.run_id, "agent": row.agent, "status": row.status, "damaged": error.what}])
    else:
        put(f"{row.run_id}  damaged: {error.what}")
        put(f"  the store has it as {row.status}, agent {row.agent}, {row.version} entries")
    error.hint = error.hint or "restore the store from a backup; the other runs go on"


def _explain(id: str, about: str, every: bool, form: Literal["text", "json", "markdown"], db: str) -> int:
    """`show --why`: from the journal alone, so that nothing has to be loaded that could advance a run."""
    check_store(db)
    with _uncollected():
        import asyncio
        import time

        from holdfast.views.why import NoSuchStep
        from holdfast.views.why import why as explained

        entries = asyncio.run(_journal(id, form == "json", db))
        try:
            found = explained(entries, time.time(), about, every=every)
        except NoSuchStep as unknown:
            _no_such_step(id, unknown, db)
    if form == "json":
        put_json([found])
    elif form == "markdown":
        from holdfast.views.why.markdown import markdown as as_markdown

        put(as_markdown(found, command=_command_of(db)).rstrip("\n"))
    else:
        from holdfast.cli import render_why

        render_why.page(found, db)
    return DONE


async def _journal(id: str, json: bool, db: str) -> list[Entry]:
    """The entries of a run, without an engine."""
    from holdfast.errors import JournalCorrupt
    from holdfast.journal.sqlite import SqliteJournal

    journal = SqliteJournal(db)
    await journal.open()
    try:
        row = await _there(journal, id, db)
        try:
            return (await journal.read(id)).entries
        except JournalCorrupt as error:
            _damaged(row, error, json)
            raise
    finally:
        await journal.close()


@contextmanager
def _uncollected() -> Iterator[None]:
    """What is loaded and read meanwhile is all kept, so it is not looked through for garbage again and again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _command_of(db: str) -> Callable[..., str]:
    return lambda *words, ends="": command(db, *words, ends=ends)


def _no_such_step(id: str, unknown: NoSuchStep, db: str) -> NoReturn:
    meant = f"did you mean {' or '.join(unknown.close)}? " if unknown.close else ""
    has = f"it has {unknown.steps} steps, and the entries 1 to {unknown.entries}"
    wrong(f"run {id}: there is no step {unknown.name}", f"{meant}{has}: {command(db, 'show', id)}")


def _thoughts(entries: list[Entry], turn: int | None, facts: bool, shown: bool, json: bool, db: str) -> None:
    """What a run believes, what its model said, or all of one turn."""
    from holdfast.cli import render_thinking, render_turn, turns
    from holdfast.core.evolve import fold
    from holdfast.runner.clock import SystemClock
    from holdfast.views import fact_views, turn_views

    state = fold(entries)
    if facts:
        believed = fact_views(state, SystemClock().now())
        if json:
            put_json(believed)
        elif believed:
            render_thinking.fact_table(believed, indent=0)
        else:
            say("it believes nothing yet")
        return
    if state.thinking is None:
        wrong(f"run {state.run_id}: its reasoner is no model, so it has no turns", command(db, "show", state.run_id))
    views = turn_views(entries, state)
    if turn is not None:
        page = turns.page(entries, state, turn, shown=shown)
        if page is None:
            there = f"it has {len(views)}: {command(db, 'show', state.run_id, '--turns')}"
            wrong(f"run {state.run_id}: there is no turn {turn}", there)
        if json:
            put_json([page])
        else:
            render_turn.page(page, state.run_id, db)
    elif json:
        put_json(views)
    elif views:
        render_thinking.turns(views)
    else:
        say("no model was asked yet")


async def _result(app: Holdfast, entries: list[Entry], name: str, whole: bool, db: str) -> Any:
    """The result of a step; of one that was cut, what was kept, or the whole from the store."""
    from holdfast.core.evolve import fold
    from holdfast.views import listed, size

    state = fold(entries)
    step = state.steps.get(name)
    if step is None:
        wrong(f"run {state.run_id}: there is no step {name}", f"its steps: {listed(state.order) or 'none yet'}")
    if step.phase != "done":
        wrong(f"run {state.run_id}, step {name}: it has no result", f"{command(db, 'show', state.run_id)} says how it stands")
    if step.cut is None:
        return step.value
    if not whole:
        how = f"; the whole: {command(db, 'show', state.run_id, '--step', name, '--whole')}" if step.cut.digest else ""
        say(f"this is what was kept of {size(step.cut.bytes)}{how}")
        return step.value
    kept = await app.content(step.cut.digest) if step.cut.digest else None
    if kept is None:
        wrong(f"run {state.run_id}, step {name}: of its result of {size(step.cut.bytes)} only what was cut is kept")
    return kept


def _events(entries: list[Entry], json: bool) -> None:
    from holdfast.views import entry_line

    if json:
        put_json(entries)
        return
    for line in map(entry_line, entries):
        put(one_line_at(line.sequence, line.time, line.fence, line.event, line.fields))


def one_line_at(sequence: int, time: str, fence: int, event: str, fields: str) -> str:
    """An entry as `show --events` prints it."""
    return f"{sequence:>5}  {time}  {fence:>3}  {event:<18}  {one_line(fields)}".rstrip()


VERIFY_EXAMPLES = examples("holdfast verify order-7", "holdfast verify --all --json")


def verify(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="The runs.", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all", help="Every run of the store.")] = False,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Whether journals are what was written.

    The hash chain of each run is walked link by link. The exit code is 1 where one is broken.
    """
    if bool(ids) == every:
        wrong("name the runs to verify, or --all of them")

    async def go(app: Holdfast) -> int:
        broken = 0
        for run_id in ids if ids else [row.run_id for row in await app.runs(limit=1_000_000_000)]:
            found = await app.verify(run_id)
            broken += found.problem is not None
            if json:
                put_json([found])
            elif found.problem is None:
                put(f"{one_line(run_id)}  whole: {found.entries} entries, last link {found.link[:16]}")
            else:
                put(f"{one_line(run_id)}  broken: {found.problem}")
        return FAILED if broken else DONE

    return in_store(db, go)
