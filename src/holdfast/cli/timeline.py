"""`timeline`: a run as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.options import DONE, AsJson, Db, RunId, examples, in_store, wrong
from holdfast.cli.text import one_line, put, put_json, say

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.views.timeline import Fold


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("timeline", epilog=TIMELINE_EXAMPLES)(timeline)


TIMELINE_EXAMPLES = examples(
    "holdfast timeline order-7                    # writes order-7.svg",
    "holdfast timeline order-7 --out why.svg",
    "holdfast timeline order-7 --out - | less",
    "holdfast timeline order-7 --fold never       # a lane for each step, however many",
    "holdfast timeline order-7 --json | jq '.lanes[] | select(.is_smooth == false) | .name'",
)
# Of the name of a file that is made from the id of a run, in bytes; file systems have 255.
NAME_BYTES_MAX = 200


def timeline(
    id: RunId,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="Where it goes; - for stdout. The run's id by default.", show_default=False),
    ] = None,
    fold: Annotated[str, typer.Option("--fold", metavar="WORD", help="auto: many alike steps share a lane; never.")] = "auto",
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Draw a run over time, as an SVG file.

    A lane for each step, with its attempts, what it waited for and who was asked; a lane for its models; lost workers, what it
    cost, and how it ended. Where for long nothing happened time is broken, with the length written on it. The file stands
    alone, and a browser shows the whole story of each bar where one points at it.
    """
    if fold not in ("auto", "never"):
        wrong(f"--fold {fold!r} is neither auto nor never")
    if json and out is not None:
        wrong("--json is the record and --out the picture", "ask for one of them")
    how: Fold = "never" if fold == "never" else "auto"

    async def go(app: Holdfast) -> int:
        from holdfast.cli.given import no_such_run
        from holdfast.journal.base import ENDED
        from holdfast.runner.clock import SystemClock
        from holdfast.views.timeline import folded, picture, svg
        from holdfast.views.timeline import timeline as read

        row = await app.journal.row(id)
        if row is None:
            raise await no_such_run(app.journal, id, db)
        goes_on = row.status not in ENDED and not row.imported
        found = read(await app.history(id), SystemClock().now() if goes_on else None)
        if json:
            put_json([found])
            return DONE
        text = svg(picture(folded(found, how)))
        if out == "-":
            put(text.rstrip("\n"))
            return DONE
        _write(db, Path(out or f"{_file_name(id)}.svg"), text)
        return DONE

    return in_store(db, go)


def _file_name(run_id: str) -> str:
    """A run's id as the name of a file in this folder."""
    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in one_line(run_id))
    return name.lstrip(".-").encode()[:NAME_BYTES_MAX].decode(errors="ignore") or "run"


def _write(db: str, path: Path, text: str) -> None:
    from holdfast.archive.writing import whole_file
    from holdfast.cli.archiving import check_out

    check_out(path, db)
    try:
        with whole_file(path) as file:
            file.write(text.encode())
    except OSError as error:
        wrong(f"{path} cannot be written: {error.strerror}", "--out FILE names another")
    put(str(path))
    say("a browser shows it; what each bar means stands where one points at it")
