"""An explanation for people, drawn from the record of `views/why` and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from holdfast.cli.drawing import STYLES, styled
from holdfast.cli.options import command
from holdfast.cli.text import one_line, put
from holdfast.views.why.lines import Line, ask_lines, head_lines, step_lines
from holdfast.views.why.links import near
from holdfast.views.words import moment

if TYPE_CHECKING:
    from holdfast.views.why.records import EntryWhy, Link, StepWhy, Why

LABEL = 8


def page(found: Why, db: str) -> None:
    """`holdfast show --why`: the first line, what it came from, and the steps that matter."""
    styled((one_line(found.run_id), "bold"), ("  ", ""), (one_line(found.first), _style(found)))
    if found.entry is None:
        _lines(line for line in head_lines(found) if line[1])
        _chain(found.chain)
    else:
        _entry(found.entry, found.run_id, db)
    for asked in found.asks:
        put()
        _lines(ask_lines(asked))
    for step in found.steps:
        _step(step, db)
    if found.others:
        put()
        styled(("the other steps" if found.steps else "steps", "bold"))
        width = min(max(len(one_line(one.step)) for one in found.others), 30)
        for one in found.others:
            styled((f"  {one_line(one.step).ljust(width)}  ", "bold"), (one_line(one.said), ""))
        if found.others_more:
            more = command(db, "show", found.run_id, "--why", "--all")
            styled((f"  … and {found.others_more} more, which went like these: {more}", "dim"))
    _elsewhere(found, db)


def _style(found: Why) -> str:
    return STYLES.get("needs a person" if found.status == "blocked" else found.status, "")


def _chain(links: Iterable[Link]) -> None:
    shown = near(tuple(links))
    if not shown:
        return
    put()
    styled(("from the last entry back", "bold"))
    for link in shown:
        styled((f"  {link.entry:>5}  {moment(link.at)}  ", "dim"), (one_line(link.said), "" if link.told else "dim"))


def _entry(entry: EntryWhy, run_id: str, db: str) -> None:
    put()
    styled((f"entry {entry.entry}", "bold"), (f"  {moment(entry.at)}  {entry.event}", "dim"))
    styled((f"  {one_line(entry.said)}", "bold"))
    styled((f"  {one_line(entry.fields)}", "dim"))
    for name, links in (("because", entry.chain), ("then", entry.followed)):
        for link in links:
            styled((f"  {name:<{LABEL}}  ", "dim"), (f"{link.entry:>5}  {one_line(link.said)}", ""))
            name = ""
    if entry.step:
        styled((f"  {'step':<{LABEL}}  ", "dim"), (command(db, "show", run_id, "--why", entry.step), ""))


def _step(step: StepWhy, db: str) -> None:
    put()
    styled((one_line(step.step), "bold"), (f"  {one_line(step.tool)}  ", "dim"), (one_line(step.said), ""))
    _lines(step_lines(step))
    if step.child:
        styled((f"  {'':<{LABEL}}  {command(db, 'show', step.child, '--why')}", "dim"))


def _lines(lines: Iterable[Line]) -> None:
    before = ""
    for label, words in lines:
        shown = "" if label == before else label
        before = label or before
        styled((f"  {shown:<{LABEL}}  ", "dim"), (one_line(words), ""))


def _elsewhere(found: Why, db: str) -> None:
    """Runs whose journals say more."""
    named = [found.fork.source] if found.fork is not None else []
    named += [found.parent] if found.parent else []
    told = {step.child for step in found.steps}
    lines = [command(db, "show", name, "--why") for name in dict.fromkeys((*named, *found.children)) if name not in told]
    if lines:
        put()
    for line in lines:
        styled((f"more of it: {line}", "dim"))
