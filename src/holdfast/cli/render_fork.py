"""Forks for people: where one comes from, what of it is its source's, at which points a run can be forked."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from holdfast.cli.drawing import CELL_MAX, minute, styled, table
from holdfast.cli.text import as_json, one_line, put
from holdfast.views import cut, listed

if TYPE_CHECKING:
    from holdfast.core.events import Recorded
    from holdfast.forking import Point
    from holdfast.views import ForkView, Summary, Unanswered

MODES = {
    "blocked": "what it would do to the world stops for a person",
    "simulate": "nothing is called; what it says happened did not happen",
    "live": "it does what its tools and policies allow, and asks before what its source did",
}


def fork_facts(run: Summary) -> Iterable[tuple[str, str]]:
    """The lines of `show` that say what a run is a fork of."""
    if run.fork is None:
        return
    yield "fork of", f"{run.fork.source} at its entry {run.fork.entry}" + _by(run.fork)
    yield "mode", f"{_MODE_NAMES.get(run.fork.mode, run.fork.mode)}: {MODES[run.fork.mode]}"
    if run.fork.taken:
        yield "taken", f"{listed(run.fork.taken)}: done by {run.fork.source}, and not done again"


_MODE_NAMES = {"simulate": "simulated"}


def _by(fork: ForkView) -> str:
    by = f", by {fork.by}" if fork.by else ""
    return by + (f": {cut(fork.reason)}" if fork.reason else "")


def begun(run_id: str, fork: ForkView, is_new: bool, notes: Sequence[str], following: str) -> None:
    """What a fork takes over, and what comes now."""
    where = f"a fork of {fork.source} at its entry {fork.entry}"
    styled((one_line(run_id), "bold"), ("  ", ""), (one_line(where if is_new else f"is there already: {where}"), ""))
    lines = [("mode", f"{_MODE_NAMES.get(fork.mode, fork.mode)}: {MODES[fork.mode]}")]
    effects = "1 effect" if len(fork.taken) == 1 else f"{len(fork.taken)} effects"
    lines.append(("taken", f"{effects} of {fork.source}, not done again: {listed(fork.taken)}" if fork.taken else "no effect"))
    if fork.in_doubt:
        lines.append(("in doubt", f"{listed(fork.in_doubt)}: {fork.source} had begun it, and nobody knows whether it happened"))
    if fork.owed:
        lines.append(("owed", f"{listed(fork.owed)}: it is still owed to {fork.source}"))
    if following:
        lines.append(("next", following))
    for name, words in [*lines, *(("note", note) for note in notes)]:
        styled((f"  {name:<9}  ", "dim"), (one_line(words), "yellow" if name in ("note", "in doubt") else ""))


def points(found: Sequence[Point]) -> None:
    """The table of `fork ID --list`."""
    table(
        ("entry", "time", "option", "what comes next there"),
        (((str(one.entry), "bold"), (minute(one.at), "dim"), (option_of(one), "cyan"), (one.before, "")) for one in found),
    )


def option_of(point: Point) -> str:
    """How a point is named on the command line."""
    kind, _, name = point.label.partition(" ")
    return {"start": "--start", "entry": f"--at {name}"}.get(kind, f"--{kind} {shlex.quote(name)}")


def dangers(source: str, did: Sequence[Recorded], tools: Sequence[str], goes_on: bool) -> None:
    """What is to be known before a fork may act: what its source did after the point, and what the agent can do."""
    if did:
        put(f"{one_line(source)} did this after that point; a live fork may do it differently, and asks before it does the same:")
        table(
            ("entry", "step", "call", "came to"),
            (((str(one.entry), ""), (one.step, "bold"), (one.tool, ""), (_came(one), "dim")) for one in did),
            indent=2,
        )
    else:
        put(f"{one_line(source)} did nothing after that point that changes the world")
    put(f"tools of the agent that change the world: {one_line(listed(tools)) or 'none'}")
    if goes_on:
        put(f"{one_line(source)} HAS NOT ENDED: it goes on by itself, and both may do the same")


def _came(call: Recorded) -> str:
    if call.came_by:
        return cut(as_json(call.came), CELL_MAX)
    if call.outcome is None:
        return "nobody knows"
    value = getattr(call.outcome, "value", None)
    kind = type(call.outcome).__name__.removeprefix("Call").lower()
    return kind + (f": {cut(as_json(value), CELL_MAX)}" if value is not None else "")


def unanswered(found: Sequence[Unanswered]) -> None:
    """The calls of a simulated run that nobody had an answer to."""
    if not found:
        return
    put()
    put(f"{len(found)} calls had no answer, neither in the record nor in a world (--world FILE):")
    for one in found:
        args = ", ".join(f"{name}={as_json(value)}" for name, value in one.args.items())
        put(f"  entry {one.entry}, step {one_line(one.step)}: {one_line(cut(f'{one.tool}({args})', CELL_MAX))}")
