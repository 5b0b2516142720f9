"""A comparison as Markdown: for an issue, a pull request, a chat. Foreign text stands in it as text and as nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from holdfast.views.compare.records import Change, Comparison, Pair, SideView
from holdfast.views.markdown import escaped, table
from holdfast.views.words import cut, span

CELL_MAX = 200


def markdown(comparison: Comparison, *, every: bool = False) -> str:
    """The whole of it. every: also the steps that are the same."""
    return "\n".join(_lines(comparison, every)) + "\n"


def _lines(found: Comparison, every: bool) -> Iterator[str]:
    yield f"**{escaped(found.sentence)}**"
    yield ""
    yield from table(
        ("", "A", "B"),
        [(name, *values) for name, *values in zip(("", "status", "entries", "steps", "time"), _head(found.a), _head(found.b),
                                                  strict=True)],
    )  # fmt: skip
    if found.same_entries and (found.next_a or found.next_b):
        yield ""
        yield f"Entry {found.same_entries + 1} is the first that differs:"
        yield ""
        yield f"- A: {escaped(found.next_a or 'nothing more')}"
        yield f"- B: {escaped(found.next_b or 'nothing more')}"
    if found.run:
        yield from ("", "### The whole", "")
        yield from table(("", "A", "B"), map(_change, found.run))
    shown = [pair for pair in found.steps if every or pair.kind != "same" or pair.moved]
    if shown:
        yield from ("", "### Steps")
        for pair in shown:
            yield from _pair(pair)
    if not every and found.counts.get("same"):
        yield ""
        yield f"{found.counts['same']} steps are the same."


def _head(side: SideView) -> tuple[str, ...]:
    ran = side.kind == "run"
    entries, time = (str(side.entries), span(side.seconds)) if ran else ("", "")
    return escaped(side.name), escaped(side.status), entries, str(side.steps), time


def _pair(pair: Pair) -> Iterator[str]:
    named = pair.a if pair.a == pair.b or not pair.b else pair.b if not pair.a else f"{pair.a} → {pair.b}"
    kinds = {"added": "only in B", "left_out": "only in A", "same": "the same", "changed": "changed"}
    how = kinds[pair.kind] + (", moved" if pair.moved else "") + (", taken over" if pair.taken_over else "")
    yield ""
    yield f"**{escaped(named)}** ({escaped(pair.tool)}): {how}"
    if pair.changes:
        yield ""
        yield from table(("", "A", "B"), map(_change, pair.changes))


def _change(change: Change) -> tuple[str, str, str]:
    if change.kind == "more":
        return escaped(change.part), f"and {change.more} more", ""
    path = change.path if not change.path or change.path.startswith("[") else f".{change.path}"
    before = "" if change.kind == "added" else _value(change.before, change.before_characters)
    after = "" if change.kind == "left_out" else _value(change.after, change.after_characters)
    return escaped(change.part + path), before, after


def _value(value: Any, characters: int) -> str:
    shown = cut("(empty)" if value == "" else value, CELL_MAX)
    return escaped(f"{shown} ({characters} characters in all)" if characters and "characters in all" not in shown else shown)
