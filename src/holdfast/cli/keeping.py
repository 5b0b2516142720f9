"""`prune`, `backup`, `doctor`: for those who keep a store."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.options import DONE, FAILED, PERSON, AsJson, By, Db, check_store, command, examples, in_store, wrong
from holdfast.cli.text import put_json, say

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.journal.base import RunRow
    from holdfast.views.health import Finding

# Failed runs are kept unless they are named: somebody may want to look.
USUAL = ("completed", "cancelled")
ENDINGS = ("completed", "failed", "cancelled")
ROWS_MAX = 1_000_000


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("prune", epilog=PRUNE_EXAMPLES)(prune)
    app.command("backup", epilog=BACKUP_EXAMPLES)(backup)
    app.command("doctor", epilog=DOCTOR_EXAMPLES)(doctor)


# --- prune --------------------------------------------------------------------------------------------------------

PRUNE_EXAMPLES = examples(
    "holdfast prune --older-than 30d --dry-run",
    "holdfast prune --older-than 30d --yes",
    "holdfast prune --older-than 90d --status failed --agent refunds --yes",
    "holdfast prune --id order-7 --id order-8",
    "holdfast prune --proofs --json",
)


def prune(
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="TIME", help="Runs that ended so long ago: 30d, 12h.", show_default=False),
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status",
            help="Only runs that ended like this; may be given twice. [default: completed, cancelled]",
            show_default=False,
        ),
    ] = None,
    agent: Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Only of its runs.", show_default=False)] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="Only of its runs.", show_default=False)] = None,
    id: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="This run; may be given twice.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and nothing more.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")] = False,
    proofs: Annotated[bool, typer.Option("--proofs", help="List what is left of runs that were pruned before.")] = False,
    by: By = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Forget runs that have ended.

    Their journals go, with all that is kept of them, and the large values that no other run refers to. What stays is a proof:
    that the run was, and the end of its hash chain. Its id is not taken again, for what it did would be done twice; what it
    learned for its thread stays.

    Passed over is a run whose parent goes on, and one that still keeps others from doing what it did. What would go is said
    first; off a terminal nothing goes without --yes (exit code 3).
    """
    ids, statuses = tuple(dict.fromkeys(id or ())), tuple(status or ())
    for one in statuses:
        if one not in ENDINGS:
            wrong(f"--status {one!r} is none in which a run has ended", f"one of {', '.join(ENDINGS)}")
    if proofs:
        given = {"--older-than": older_than, "--status": status, "--dry-run": dry_run, "--yes": yes}
        if named := [name for name, value in given.items() if value]:
            wrong(f"--proofs lists, and {named[0]} is for pruning", command(db, "prune", "--proofs"))
        return in_store(db, partial(_list_proofs, ids=ids, json=json, db=db))
    if older_than is None and not ids:
        wrong("nothing says which runs are to go", "--older-than 30d, or --id ID")

    async def go(app: Holdfast) -> int:
        from holdfast.cli import render_keeping
        from holdfast.runner.clock import SystemClock
        from holdfast.saying import user

        now = SystemClock().now()
        rows = await _chosen(app, now, older_than, statuses, agent, tenant, ids, db)
        if not rows:
            say("no run is to be pruned")
            return DONE
        if dry_run:
            if json:
                put_json(render_keeping.going(rows))
            else:
                render_keeping.preview(rows, now, dry_run=True)
            return DONE
        if not yes:
            render_keeping.preview(rows, now, dry_run=False)
            if not (sys.stdin.isatty() and sys.stderr.isatty()):
                say("nothing was pruned; the same with --yes does it")
                return PERSON
            if not typer.confirm("Forget them?", err=True):
                say("nothing was pruned")
                return PERSON
        found = await app.journal.prune([row.run_id for row in rows], by if by is not None else user(), now)
        if json:
            put_json(found)
        else:
            render_keeping.pruned(found, db)
        if len(found) < len(rows):
            left = {row.run_id for row in rows} - {proof.run_id for proof in found}
            others = {proof.run_id for proof in await app.journal.proofs(left)}
            render_keeping.passed_over(sorted(left - others), sorted(others))
        return DONE

    return in_store(db, go)


async def _chosen(
    app: Holdfast, now: float, older_than: str | None, statuses: tuple[str, ...], agent: str | None, tenant: str | None,
    ids: tuple[str, ...], db: str,
) -> list[RunRow]:  # fmt: skip
    """The runs that were asked for, the longest ended first. Whoever names a run need not name its status."""
    from holdfast.cli.given import seconds
    from holdfast.journal.base import ENDED

    before = now - seconds(older_than, "--older-than") if older_than is not None else float("inf")
    if not ids:
        return await app.journal.ended(before, statuses or USUAL, agent=agent, tenant=tenant, limit=ROWS_MAX)
    rows = [await _named(app, run_id, db) for run_id in ids]
    for row in rows:
        if row.status not in ENDED:
            wrong(f"run {row.run_id} goes on ({row.status})", f"{command(db, 'cancel', row.run_id)} ends it; nothing was pruned")
    return sorted(
        (
            row for row in rows
            if row.changed_at < before and row.status in (statuses or ENDED)
            and agent in (None, row.agent) and tenant in (None, row.tenant)
        ),
        key=lambda row: row.changed_at,
    )  # fmt: skip


async def _named(app: Holdfast, run_id: str, db: str) -> RunRow:
    from holdfast.cli.given import no_such_run

    row = await app.journal.row(run_id)
    if row is None:
        raise await no_such_run(app.journal, run_id, db)
    return row


async def _list_proofs(app: Holdfast, ids: tuple[str, ...], json: bool, db: str) -> int:
    from holdfast.cli import render_keeping

    found = await app.journal.proofs(ids or None)
    if json:
        put_json(found)
    elif found:
        render_keeping.proofs(found)
    else:
        say(f"no run was pruned from {db}")
    return DONE


# --- backup -------------------------------------------------------------------------------------------------------

BACKUP_EXAMPLES = examples(
    "holdfast backup backups/monday.db",
    "holdfast backup /mnt/backups/$(date +%F).db --db runs.db",
    "holdfast verify --all --db backups/monday.db # that every chain in it holds",
)


def backup(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where the copy goes; nothing may be there.", show_default=False)],
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Copy the store while it is used.

    The copy is of one moment; workers go on meanwhile and are not held up. It is looked through and brought to the disk before
    it gets its name, so that what is there is whole: after a crash or on a full disk there is nothing. A store that can only be
    read is copied, too.
    """
    import asyncio
    import time

    from holdfast.cli import render_keeping
    from holdfast.journal.sqlite import SqliteJournal

    check_store(db, new=False)
    began = time.monotonic()
    copied = asyncio.run(SqliteJournal(db).backup(file))
    seconds = time.monotonic() - began
    if json:
        put_json([{"file": file, "bytes": copied.bytes, "runs": copied.runs, "seconds": round(seconds, 3)}])
    else:
        render_keeping.copied(file, copied, seconds)
    say(f"to check every chain in it: {command(file, 'verify', '--all')}")
    return DONE


# --- doctor -------------------------------------------------------------------------------------------------------

DOCTOR_EXAMPLES = examples(
    "holdfast doctor",
    "holdfast doctor --deep                       # also every page and every chain of the store",
    "holdfast doctor --json | jq 'select(.level != \"ok\")'",
)


def doctor(
    deep: Annotated[bool, typer.Option("--deep", help="Read all of the store: every page, chain and large value.")] = False,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Look how a store is.

    Whether it can be read and written, its size, what is on the disk, runs that are stuck, claims of workers that are gone,
    what is owed and asked for the longest, words that nobody took, gates that are open. Each finding is a line, with what to
    do. The store is only looked at: nothing is changed, and it may be read-only.

    The exit code is 1 where something is broken or a run is stuck, 0 where all is well or there are warnings only.
    """
    import asyncio

    from holdfast.cli import render_keeping
    from holdfast.views.health import worst

    check_store(db, new=False)
    found = asyncio.run(_findings(db, deep))
    if json:
        put_json(found)
    else:
        render_keeping.findings(found)
    return FAILED if worst(found) == "broken" else DONE


async def _findings(db: str, deep: bool) -> tuple[Finding, ...]:
    from holdfast import __version__, monitors
    from holdfast.cli.given import monitor_settings
    from holdfast.errors import JournalError
    from holdfast.journal.sqlite import SqliteJournal
    from holdfast.journal.sqlite.file import EarlierForm
    from holdfast.runner.clock import SystemClock
    from holdfast.views.health import Finding, findings

    journal, now = SqliteJournal(db, read_only=True), SystemClock().now()
    try:
        await journal.open()
        health = await journal.health(now, deep=deep)
        workers, gates = await journal.workers(0.0), await journal.gates()
        tripped = await monitors.findings(journal, now, monitor_settings())
    except EarlierForm as error:
        return (Finding(level="warning", name="version", what=error.what, hint=error.hint or ""),)
    except JournalError as error:
        return (Finding(level="broken", name="store", what=error.what, hint=error.hint or ""),)
    finally:
        await journal.close()
    return findings(
        health, workers=workers, gates=gates, now=now, release=__version__, deep=deep,
        others=(*_unwritable(db), *monitors.for_doctor(tripped, command(db, "monitors"))),
        free_bytes=_free_bytes(db), command=partial(command, db),
    )  # fmt: skip


def _free_bytes(db: str) -> int:
    import shutil

    return shutil.disk_usage(Path(db).absolute().parent).free


def _unwritable(db: str) -> tuple[Finding, ...]:
    from holdfast.views.health import Finding

    if os.access(db, os.W_OK) and os.access(Path(db).absolute().parent, os.W_OK):
        return ()
    hint = "it can be looked at and copied; workers need to write the file and its folder"
    return (Finding(level="warning", name="store", what=f"{db} cannot be written here", hint=hint),)
