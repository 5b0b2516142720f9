"""`export`, `import`: runs as a file, and runs that come from one."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.given import past
from holdfast.cli.options import DONE, AsJson, By, Db, command, examples, in_store, wrong
from holdfast.cli.text import one_line, put, put_json, say

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.archive import ArchivedRun, Comparison, Exported, Header, Redaction


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("export", epilog=EXPORT_EXAMPLES)(export)
    app.command("import", epilog=IMPORT_EXAMPLES)(import_)


# More runs than this are in no store.
RUNS_MAX = 1_000_000_000
STREAM = "-"
STILL_SHOWN = 10
# So many digits of a head are printed by `holdfast verify`; nobody makes another journal whose head begins like that.
HEAD_MIN = 16

EXPORT_EXAMPLES = examples(
    "holdfast export order-7 --out order-7.jsonl",
    "holdfast export trip-3 --children --out trip-3.jsonl     # with the runs that it started",
    "holdfast export --all --since 30d --out november.jsonl",
    "holdfast export order-7 --redact iban --redact phone --out for-support.jsonl",
    "holdfast export order-7 --redact-values | gzip > order-7.jsonl.gz",
)


def export(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="The runs.", show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where they are written; else stdout.", show_default=False)
    ] = None,
    children: Annotated[bool, typer.Option("--children", help="Also the runs that they started, and so on.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Every run of the store.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="With --all: that changed since: 30d ago, or a moment.")
    ] = None,
    redact: Annotated[
        list[str] | None,
        typer.Option("--redact", metavar="NAME", help="Leave out every value under this name.", show_default=False),
    ] = None,
    redact_values: Annotated[
        bool, typer.Option("--redact-values", help="Leave out all values, and all that people, models and tools wrote.")
    ] = False,
    by: By = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Write runs to a file, with their proof.

    The file is JSON lines: of each run a header, its large values, and its entries as they are stored, with their hash chain.
    Anybody can check it, and a store can take it in to look at. At --out there is the whole file in the end, or what was there.

    What is left out by --redact and --redact-values is gone: from arguments, results, facts and texts, also where a text repeats
    it. Names stay (of steps, tools, arguments, facts, people), and so do times, rulings and numbers of attempts. A redacted run
    can be shown and compared, but not replayed or forked. Only the store that it comes from can tell that it is its copy.

    --json says what was written, as one object.
    """
    if bool(ids) == every:
        wrong("name the runs to export, or --all of them")
    if since is not None and not every:
        wrong("--since goes with --all")
    to_stdout = out is None or str(out) == STREAM or _is_stdout(out)
    if json and to_stdout:
        wrong("--json says what was written to a file", "add --out FILE, or leave it out: lines of JSON are what is printed")
    if to_stdout and sys.stdout.isatty():
        wrong("a terminal is no place for a run's journal", "add --out FILE, or pipe it")
    if out is not None and not to_stdout:
        check_out(out, db)
    if "" in (redact or ()):
        wrong("--redact names nothing")
    left_out = _redaction(redact or [], redact_values, by)

    async def go(app: Holdfast) -> int:
        from holdfast import archive
        from holdfast.views import listed

        wanted = await _wanted(app, ids, since, children)
        if not wanted:
            say(f"no run of {db} " + (f"changed since {since}" if since else "is there yet") + "; nothing was written")
            return DONE
        target = sys.stdout.buffer if out is None or to_stdout else out
        exported = await archive.export(app.journal, wanted, target, redaction=left_out, passes_over_missing=every)
        if exported.missing:
            say(f"left out, for they were pruned meanwhile: {one_line(listed(exported.missing))}")
        if out is None or to_stdout:
            sys.stdout.buffer.flush()
        elif json:
            put_json([{"file": str(out), "runs": exported.runs, "bytes": exported.bytes, "sha256": exported.sha256}])
        else:
            _tell_exported(exported, out, db)
        return DONE

    return in_store(db, go)


def _is_stdout(out: Path) -> bool:
    """Whether a file is where results are printed, such as /dev/stdout: then nothing else may be."""
    try:
        return not out.is_file() and out.samefile(f"/dev/fd/{sys.stdout.fileno()}")
    except (OSError, ValueError):
        return False


def check_out(out: Path, db: str) -> None:
    """Refuse a file to write that cannot be one, or that belongs to the store: it would be gone. UsageError."""
    try:
        if out.is_dir() or not out.parent.is_dir():
            wrong(f"--out {out} cannot be written: {'it is a directory' if out.is_dir() else f'there is no folder {out.parent}'}")
        if any(out.exists() and out.samefile(db + end) for end in ("", "-wal", "-shm") if Path(db + end).exists()):
            wrong(f"--out {out} is the store itself", "name another file")
    except OSError as error:
        wrong(f"--out {out} cannot be written: {error.strerror}")


def _redaction(names: list[str], values: bool, by: str | None) -> Redaction | None:
    from holdfast.archive import Redaction
    from holdfast.saying import user

    return Redaction(names=tuple(names), values=values, by=by or user()) if names or values else None


async def _wanted(app: Holdfast, ids: list[str] | None, since: str | None, children: bool) -> list[str]:
    """The runs to write, the first created first; each before those that it started."""
    from holdfast.runner.clock import SystemClock

    if ids:
        wanted = list(dict.fromkeys(ids))
    else:
        start = past(since, SystemClock().now(), "--since")
        rows = [row for row in await app.runs(limit=RUNS_MAX) if start is None or row.changed_at >= start]
        wanted = [row.run_id for row in sorted(rows, key=lambda row: (row.created_at, row.run_id))]
    if not children:
        return wanted
    found: dict[str, None] = {}
    waiting = wanted[::-1]
    while waiting:
        run_id = waiting.pop()
        if run_id not in found:
            found[run_id] = None
            waiting.extend(row.run_id for row in reversed(await app.journal.children(run_id)))
    return list(found)


def _tell_exported(exported: Exported, out: Path, db: str) -> None:
    from holdfast.views import size

    for run in exported.runs:
        left_out = f", without {run.redacted}" if run.redacted else ""
        put(f"{one_line(run.run_id)}  {run.status}, {run.entries:,} entries{one_line(left_out)}; its chain ends in {run.head}")
        if run.still:
            where = ", ".join(map(str, run.still[:STILL_SHOWN])) + (", …" if len(run.still) > STILL_SHOWN else "")
            say(f"  something that was left out of it stands in names too, and these stay (entries {where})")
    say(f"{out}: {len(exported.runs):,} {'run' if len(exported.runs) == 1 else 'runs'}, {size(exported.bytes)}")
    say(f"check it anywhere: {command(db, 'import', str(out), '--check').partition(' --db ')[0]}")


# --- import -------------------------------------------------------------------------------------------------------

IMPORT_EXAMPLES = examples(
    "holdfast import order-7.jsonl --check                   # what is in it, and whether it is whole",
    "holdfast import order-7.jsonl --db looking.db",
    "holdfast import order-7.jsonl --head 5f0c…              # as `holdfast verify` said it where it comes from",
    "ssh ops holdfast export order-7 | holdfast import - --db looking.db",
)


def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `holdfast export` wrote; - is stdin.", show_default=False)],
    check: Annotated[bool, typer.Option("--check", help="Only say what is in it and whether it is whole.")] = False,
    head: Annotated[
        list[str] | None,
        typer.Option(
            "--head", metavar="HEX", help="Where the chain of the run must end; ID=HEX for one of several.", show_default=False
        ),
    ] = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Take runs from a file into a store, to look at them.

    First all of the file is checked; what was changed, left out, added or moved is refused with its line (exit code 5). An
    imported run is only looked at: no worker advances it, and no word reaches it. It can be shown, replayed, compared and forked.

    What no file can show by itself is that all of it was made anew. A head that was noted elsewhere does (--head), and so does
    the store that it comes from: with --check, each run is held against the one of that id in --db, where that is there.
    """
    with on_disk(file) as path:
        headers = _checked(path, head or [])

        async def go(app: Holdfast) -> int:
            from holdfast import archive
            from holdfast.archive import read_archive

            for run in read_archive(path):
                if check:
                    _tell(run.header, json, await archive.check_against(run, app.journal), db)
                else:
                    _tell_imported(run, await archive.import_run(app.journal, run), json)
            return DONE

        if not check:
            code = in_store(db, go, new=True)
            say("look at them: " + command(db, "show", next(iter(headers))))
            return code
        if Path(db).is_file():
            return in_store(db, go)
        for header in headers.values():
            _tell(header, json, None, db)
        return DONE


@contextmanager
def on_disk(file: str) -> Iterator[Path]:
    """The file, or what came on stdin or through a pipe as one, for it is read twice. UsageError where it cannot be kept."""
    if file != STREAM and not Path(file).is_fifo():
        yield Path(file)
        return
    with tempfile.NamedTemporaryFile(prefix="holdfast-") as kept:
        try:
            with nullcontext(sys.stdin.buffer) if file == STREAM else Path(file).open("rb") as pipe:
                shutil.copyfileobj(pipe, kept, 1 << 20)
            kept.flush()
        except OSError as error:
            wrong(f"what comes from {file} cannot be kept in {tempfile.gettempdir()}: {error.strerror}", "TMPDIR names another")
        yield Path(kept.name)


def _checked(path: Path, heads: list[str]) -> dict[str, Header]:
    """The headers of an archive that can be trusted as far as a file can; every entry of it was read."""
    from holdfast.archive import check_entries, read_archive
    from holdfast.errors import ArchiveRefused

    headers: dict[str, Header] = {}
    lines: dict[str, int] = {}
    for run in read_archive(path):
        check_entries(run)
        headers[run.run_id], lines[run.run_id] = run.header, run.lines[-1]
    for run_id, noted in _heads(heads, headers).items():
        if not headers[run_id].head.startswith(noted):
            raise ArchiveRefused(
                f"its chain ends in {headers[run_id].head}, not in {noted}", line=lines[run_id], run_id=run_id,
                hint="it is another one, an earlier or later one, or was made anew: ask where it comes from",
            )  # fmt: skip
    return headers


def _heads(words: list[str], headers: dict[str, Header]) -> dict[str, str]:
    found = {}
    for word in words:
        run_id, equals, link = word.rpartition("=")
        if not equals:
            if len(headers) != 1:
                wrong(f"--head {word!r} is of no run: the file has {len(headers)}", "write it as --head ID=HEX")
            run_id = next(iter(headers))
        if run_id not in headers:
            wrong(f"--head {word!r}: the file has no run {run_id}")
        if len(link) < HEAD_MIN:
            wrong(f"--head {word!r} is too short to tell", f"give at least the {HEAD_MIN} digits that `holdfast verify` prints")
        found[run_id] = link.lower()
    return found


def _tell(header: Header, json: bool, found: Comparison | None, db: str) -> None:
    """What is in the file of a run, and what the store says of it."""
    if json:
        compared = {"store": {"verdict": found.verdict, "said": found.said, "head": found.theirs}} if found is not None else {}
        put_json([{**_as_table(header), "whole": True, **compared}])
        return
    left_out = f", without {header.redacted.said}" if header.redacted is not None else ""
    what = f"whole: {header.status}, agent {header.agent}, {header.version:,} entries{left_out}"
    put(f"{one_line(header.run_id)}  {one_line(what)}")
    put(f"  its chain ends in {header.head}; compare that with what was noted elsewhere")
    if found is not None:
        put(f"  {one_line(db)}: {found.said}" + (f"; the chain there ends in {found.theirs}" if found.verdict == "other" else ""))


def _tell_imported(run: ArchivedRun, is_new: bool, json: bool) -> None:
    header = run.header
    if json:
        put_json([{**_as_table(header), "imported": is_new}])
        return
    what = f"imported: {header.status}, {header.version:,} entries" if is_new else "is here already, the very same"
    put(f"{one_line(header.run_id)}  {what}; its chain ends in {header.head}")
    if header.redacted is not None:
        put(f"  without {one_line(header.redacted.said)}: it can be shown, but not replayed or forked")


def _as_table(header: Header) -> dict[str, object]:
    import msgspec

    return {
        ("run_id" if name == "run" else name): value for name, value in msgspec.structs.asdict(header).items() if name != "seal"
    }
