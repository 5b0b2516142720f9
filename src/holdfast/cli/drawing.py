"""Lines and tables, however they are to be drawn.

On a terminal rich draws them; into a pipe go plain lines as long as they need to be, so that `grep` finds whole rows. rich
is given `Text`, never markup: brackets in foreign text stay brackets. It is imported where something is drawn, and only
there, for the help page must not pay for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from holdfast.cli.text import clean, one_line, put
from holdfast.views import moment, span

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

CELL_MAX = 100
VALUE_MAX = 200
REASON_MAX = 500
RESULT_MAX = 2000

STATUS = {"waiting": "waits", "blocked": "needs a person"}
STYLES = {
    "needs a person": "yellow",
    "completed": "green",
    "failed": "red",
    "cancelled": "red",
    "done": "green",
    "unknown": "magenta",
    "completed (partial)": "yellow",
    "flagged": "yellow",
    "undone": "magenta",
    "waiting": "cyan",
    "waits": "cyan",
    "running": "cyan",
}

Cell = tuple[str, str]


def console() -> Console:
    """Where rich draws, when it does."""
    from rich.console import Console

    return Console(highlight=False, emoji=False, markup=False)


def styled(*cells: Cell) -> None:
    """One line, in pieces with a style each; the style is left out where it is no terminal."""
    if not sys.stdout.isatty():
        put("".join(one for one, _ in cells).rstrip())
        return
    from rich.text import Text

    console().print(Text.assemble(*((clean(words), style) for words, style in cells)), soft_wrap=True)


def table(headers: Sequence[str], rows: Iterable[Sequence[Cell]], indent: int = 0) -> None:
    """A table. Columns that are empty in every row are left out."""
    lines = [[(one_line(words), style) for words, style in row] for row in rows]
    shown = [at for at in range(len(headers)) if any(row[at][0] for row in lines)]
    if sys.stdout.isatty():
        console().print(_drawn([headers[at] for at in shown], [[row[at] for at in shown] for row in lines], indent))
        return
    plain = [[headers[at] for at in shown], *([row[at][0] for at in shown] for row in lines)]
    widths = [max(len(row[at]) for row in plain) for at in range(len(shown))]
    for row in plain:
        put((" " * indent + "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True))).rstrip())


def _drawn(headers: Sequence[str], rows: Sequence[Sequence[Cell]], indent: int) -> RenderableType:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in headers:
        drawn.add_column(header, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(words, style) for words, style in row))
    return Padding(drawn, (0, 0, 0, indent))


def when(at: float | None, now: float) -> str:
    """A time to come, as people read it."""
    return "" if at is None else f"in {span(at - now)}" if at - now >= 1 else "now"


def status_cell(status: str, whole: bool = True) -> Cell:
    """The one word for a run. whole: nothing of it was skipped, flagged or done in part."""
    word = STATUS.get(status, status) + ("" if whole else " (partial)")
    return word, STYLES.get(word, "")


def minute(at: float) -> str:
    """A time without its fractions of a second."""
    whole, dot, _ = moment(at).rpartition(".")
    return f"{whole}Z" if dot else moment(at)
