"""`replay`: runs walked again with today's rules, calling nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.archiving import STREAM, on_disk
from holdfast.cli.options import DONE, FAILED, STORE, AsJson, Db, command, examples, in_store, wrong
from holdfast.cli.text import one_line, put, put_json, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.app import Holdfast
    from holdfast.core.replay import Instead
    from holdfast.journal.base import RunRow
    from holdfast.replaying import Replayed
    from holdfast.views.replays import Side


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("replay", epilog=REPLAY_EXAMPLES)(replay)


REPLAY_EXAMPLES = examples(
    "holdfast replay order-7",
    "holdfast replay order-7.jsonl              # a file of `holdfast export`, on any machine",
    "holdfast replay --all --since 30d          # is what was ruled last month what would be ruled today?",
    "holdfast replay order-7 --agent refunds.py # what would be ruled by this agent's tools and policy",
    "holdfast replay --all --json | jq 'select(.divergence)'",
)
# Below this many entries another process costs more than it brings.
ENTRIES_EACH_MIN = 20_000
ALL_MAX = 1_000_000
Differs = Annotated[bool, typer.Option("--differing", help="Only runs that differ, or cannot be walked.")]


def replay(
    what: Annotated[
        list[str] | None, typer.Argument(metavar="[ID|FILE]...", help="Runs of the store, or exported files.", show_default=False)
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="All runs of the store.")] = False,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="With --all: those changed since, as 30d or a time.", show_default=False),
    ] = None,
    of: Annotated[
        str | None, typer.Option("--of", metavar="NAME", help="With --all: only runs of this agent.", show_default=False)
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option("--agent", metavar="FILE", help="Rule by this agent's tools, policy, bounds instead.", show_default=False),
    ] = None,
    differing: Differs = False,
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", min=0, help="Processes; 0: as many as it pays to have.")] = 0,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Walk runs again, and find rulings that would differ.

    Nothing is called, asked or written. What came from outside (results, answers, times) is taken as it was recorded; what was
    made of it is ruled once more and compared. The chain of hashes and the kept snapshot of each run are checked as well. Exit
    code 1 where a ruling differs, 5 where a record cannot be trusted.
    """
    names = what or []
    if bool(names) == all:
        hint = command(db, "replay", "--all", *(("--since", since) if since else ()), *(("--of", of) if of else ()))
        wrong("name runs or files, or say --all" if not names else "--all is all runs; leave out the names", hint)
    if (since or of) and not all:
        wrong("--since and --of choose from --all runs", command(db, "replay", "--all", "--since", since or "30d"))
    instead = _agent(agent)
    told = _Told(differing, json, db)
    files = [name for name in names if _is_file(name)]
    for name in files:
        with on_disk(name) as path:
            told.tell(_walked(path, instead))
    if len(files) == len(names) and names:
        return told.close()

    async def go(app: Holdfast) -> int:
        from holdfast.cli.given import past
        from holdfast.replaying import replay_all
        from holdfast.runner.clock import SystemClock

        ids = [name for name in names if name not in files]
        rows = [row for run_id in ids if (row := await app.journal.row(run_id)) is not None]
        if missing := sorted(set(ids) - {row.run_id for row in rows}):
            from holdfast.cli.given import no_such_run

            raise await no_such_run(app.journal, missing[0], db)
        if all:
            begin = past(since, SystemClock().now(), "--since") or 0.0
            rows = [row for row in await app.runs(agent=of, limit=ALL_MAX) if row.changed_at >= begin]
        if instead is None and (parts := _parts(rows, jobs)):
            for found in _by_processes(db, parts):
                told.tell(await _still_there(app, [found]))
            return told.close()
        async for found in replay_all(app.journal, [row.run_id for row in rows], instead=instead):
            told.tell(await _still_there(app, [found]))
        return told.close()

    return in_store(db, go)


def _is_file(name: str) -> bool:
    return name == STREAM or name.endswith(".jsonl") or ("/" in name and (Path(name).is_file() or Path(name).is_fifo()))


async def _still_there(app: Holdfast, found: Iterable[Replayed]) -> list[Replayed]:
    """Without those of runs that were pruned meanwhile: nothing is wrong with them."""
    return [one for one in found if not one.problem or await app.journal.row(one.run_id) is not None]


def _agent(file: str | None) -> Instead | None:
    if file is None:
        return None
    from holdfast import loading
    from holdfast.replaying import as_ruled_by

    return as_ruled_by(loading.agent_of(file))


def _walked(file: Path, instead: Instead | None) -> Iterator[Replayed]:
    """The runs of an exported file."""
    from holdfast.archive import checked, read_archive
    from holdfast.replaying import REDACTED, Replayed, replay_batches

    checked(file)  # All of it, before anything is said of a part.
    for run in read_archive(file):
        if run.redacted:
            yield Replayed(run_id=run.header.run_id, problem=REDACTED)
        else:
            yield replay_batches(run.header.run_id, run.entries(), instead=instead)


def _parts(rows: list[RunRow], jobs: int) -> list[list[str]]:
    """The runs in parts of about as many entries, one for each process; none where one process does."""
    import os

    entries = sum(row.version for row in rows)
    count = min(jobs or min(os.cpu_count() or 1, entries // ENTRIES_EACH_MIN), len(rows))
    if count < 2:
        return []
    parts: list[list[str]] = [[] for _ in range(count)]
    sizes = [0] * count
    for row in sorted(rows, key=lambda row: -row.version):
        least = sizes.index(min(sizes))
        parts[least].append(row.run_id)
        sizes[least] += row.version
    return parts


def _by_processes(db: str, parts: list[list[str]]) -> Iterator[Replayed]:
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    from holdfast.replaying import replay_part

    with ProcessPoolExecutor(len(parts), mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(replay_part, db, part) for part in parts]):
            yield from done.result()


class _Told:
    """Says what was found, run by run, and counts."""

    def __init__(self, differing: bool, json: bool, db: str):
        self._differing, self._json, self._db = differing, json, db
        self._runs = self._entries = self._rulings = self._supposed = self._differ = self._problems = 0

    def tell(self, found: Iterable[Replayed]) -> None:
        """What came of some runs."""
        for one in found:
            self._runs += 1
            self._entries += one.entries
            self._rulings += one.rulings
            self._supposed += one.supposed
            self._problems += bool(one.problem)
            self._differ += not one.agrees and not one.problem
            if self._differing and one.agrees:
                continue
            if self._json:
                put_json([_table(one)])
            else:
                self._text(one)

    def close(self) -> int:
        """The sum of it, and the exit code."""
        if self._runs != 1 and not self._json:
            differ = f"{self._differ} differ" if self._differ else "none differs"
            broken = f", {self._problems} cannot be walked" if self._problems else ""
            put(f"{self._runs} runs, {self._entries} entries, {self._rulings} rulings compared: {differ}{broken}")
        if self._supposed:
            say(f"of {self._supposed} commits of an earlier release it was supposed what was not written down then")
        return STORE if self._problems else FAILED if self._differ else DONE

    def _text(self, one: Replayed) -> None:
        name = one_line(one.run_id)
        if one.problem:
            put(f"{name}  cannot be walked: {one_line(one.problem)}")
            return
        simulated = ", a simulation" if one.simulated else ""
        if one.divergence is None:
            snapshot = {"agrees": ", the snapshot agrees", "differs": ", THE SNAPSHOT DIFFERS: delete it"}.get(one.checkpoint, "")
            put(f"{name}  {one.entries} entries, {one.rulings} rulings: as recorded{snapshot}{simulated}")
            return
        found = one.divergence
        more = f" (and {one.divergences - 1} commits more)" if one.divergences > 1 else ""
        from holdfast.views.words import moment

        put(f"{name}  differs at entry {found.sequence}, {moment(found.at)}{more}{simulated}")
        if found.standing:
            put(f"  step {one_line(found.step)} was {one_line(found.standing)}")
        alike = found.recorded is not None and found.ruled is not None and found.recorded.said == found.ruled.said
        put(f"  then   {_side(found.recorded, alike)}")
        put(f"  today  {_side(found.ruled, alike)}")
        say(f"why it was ruled then: {command(self._db, 'show', one.run_id, '--why', found.step or str(found.sequence))}")


def _side(side: Side | None, whole: bool) -> str:
    """One side, in words; whole: as it is written down, for the words do not tell it from the other one."""
    if side is None:
        return "nothing more was ruled"
    then = f", then {', '.join(side.then)}" if side.then else ""
    return one_line(f"{f'{side.event} {side.fields}' if whole else side.said}{then}")


def _table(one: Replayed) -> dict[str, Any]:
    import msgspec

    table: dict[str, Any] = msgspec.to_builtins(one)
    return table | {"agrees": one.agrees}
