"""A comparison in the terminal: side by side where there is room, else one below the other."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator

from holdfast.cli.drawing import Cell, styled
from holdfast.cli.text import as_json, one_line, put
from holdfast.views import span
from holdfast.views.compare import Change, Comparison, Pair, SideView
from holdfast.views.words import counted

# Into a pipe lines are as wide as this.
PIPE_COLUMNS = 140
# With less there is no room for two values beside one another.
WIDE_COLUMNS = 90
NAME_MAX = 32
LONGEST = 400
STYLES = {"same": "dim", "changed": "yellow", "added": "green", "left_out": "red"}
SIGNS = {"same": "=", "changed": "~", "added": "+", "left_out": "-"}


def comparison(found: Comparison, *, every: bool) -> None:
    """All that differs. every: also the steps that are the same."""
    styled((one_line(found.sentence), "bold"))
    put()
    for name, side in (("A", found.a), ("B", found.b)):
        styled((f"  {name}  ", "bold"), (one_line(side.name), ""), (f"  {one_line(_head(side))}", "dim"))
    if found.same_entries and (found.next_a or found.next_b):
        put()
        styled((f"  entry {found.same_entries + 1}", "dim"))
        styled(("  A  ", "bold"), (_short(found.next_a or "nothing more"), ""))
        styled(("  B  ", "bold"), (_short(found.next_b or "nothing more"), ""))
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE_COLUMNS
    if found.run:
        put()
        _changes(found.run, columns)
    _steps(found, columns, every)


def _head(side: SideView) -> str:
    if side.kind == "plan":
        return f"a plan of {counted(side.steps, 'step')}"
    fork = f", a fork of {side.source} from its entry {side.entry} ({side.mode})" if side.source else ""
    return (
        f"{side.status}, {counted(side.entries, 'entry', 'entries')}, {counted(side.steps, 'step')}, {span(side.seconds)}{fork}"
    )


def _short(words: str) -> str:
    return one_line(words if len(words) <= LONGEST else f"{words[:LONGEST]}… ({len(words)} characters in all)")


def _steps(found: Comparison, columns: int, every: bool) -> None:
    taken = [pair for pair in found.steps if pair.taken_over]
    if taken and not every:
        put()
        styled(("= ", "dim"), (f"{counted(len(taken), 'step')} up to entry {found.taken_over}: one record, taken over", "dim"))
    shown = [pair for pair in found.steps if every or pair.kind != "same" or pair.moved]
    for pair in shown:
        put()
        styled(*_title(pair))
        _changes(pair.changes, columns)
    same = sum(pair.kind == "same" and not pair.moved and not pair.taken_over for pair in found.steps)
    if same and not every:
        put()
        styled(("= ", "dim"), (f"{counted(same, 'step')} the same; --all lists them", "dim"))


def _title(pair: Pair) -> Iterator[Cell]:
    yield f"{SIGNS[pair.kind]} ", STYLES[pair.kind]
    yield one_line(pair.a or pair.b), "bold"
    if pair.a and pair.b and pair.a != pair.b:
        yield f" → {one_line(pair.b)}", "bold"
    yield f"  {one_line(pair.tool)}", ""
    notes = [{"added": "only in B", "left_out": "only in A"}.get(pair.kind, "")]
    if pair.kind in ("added", "left_out"):
        notes.append(pair.a_outcome or pair.b_outcome)
    elif not any(change.part == "outcome" for change in pair.changes):
        notes.append(pair.a_outcome)
    notes += ["moved" if pair.moved else "", "taken over" if pair.taken_over else ""]
    notes.append({"call": "the same call", "order": "by its place"}.get(pair.aligned_by, ""))
    yield f"  {one_line('; '.join(filter(None, notes)))}", "dim"


# --- what differs -------------------------------------------------------------------------------------------------


def _changes(changes: Iterable[Change], columns: int) -> None:
    rows = [(_name(change), *_values(change), change.kind) for change in changes]
    if not rows:
        return
    width = min(max(len(name) for name, *_ in rows), NAME_MAX)
    room = (columns - width - 9) // 2
    for name, before, after, kind in rows:
        if kind == "more":
            styled((f"    {name}", "dim"))
        elif columns >= WIDE_COLUMNS:
            _beside(name, before, after, width, room)
        else:
            styled((f"    {name}", "dim"))
            _below("A", before, columns, "red")
            _below("B", after, columns, "green")


def _name(change: Change) -> str:
    if change.kind == "more":
        return f"{change.part}: {change.more} more {'difference' if change.more == 1 else 'differences'}"
    joint = "." if change.path and not change.path.startswith("[") else ""
    return one_line(f"{change.part}{joint}{change.path}")


def _values(change: Change) -> tuple[str, str]:
    before = "" if change.kind in ("added", "more") else _value(change.before, change.before_characters)
    after = "" if change.kind in ("left_out", "more") else _value(change.after, change.after_characters)
    return before, after


def _value(value: object, characters: int) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else as_json(value)
    return (one_line(text) or '""') + (f" ({characters} characters in all)" if characters else "")


def _beside(name: str, before: str, after: str, width: int, room: int) -> None:
    """Values that are longer than their column go on below."""
    names, ones, others = _pieces(name, width), _pieces(before, room), _pieces(after, room)
    for at in range(max(len(names), len(ones), len(others))):
        one, other = (lines[at] if at < len(lines) else "" for lines in (ones, others))
        styled(
            (f"    {(names[at] if at < len(names) else '').ljust(width)}  ", "dim"), (one.ljust(room), "red"),
            (" │ ", "dim"), (other, "green"),
        )  # fmt: skip


def _below(side: str, value: str, columns: int, style: str) -> None:
    for at, piece in enumerate(_pieces(value, columns - 9)):
        styled((f"      {side if at == 0 else ' '}  ", "bold"), (piece, style))


def _pieces(text: str, width: int) -> list[str]:
    """A text in pieces of a width, cut between words where that leaves no more than a third of a line empty."""
    pieces = []
    while len(text) > width:
        end = text.rfind(" ", width * 2 // 3, width + 1)
        end = width if end < 0 else end
        pieces.append(text[:end].rstrip())
        text = text[end:].lstrip()
    return [*pieces, text] if text or not pieces else pieces
