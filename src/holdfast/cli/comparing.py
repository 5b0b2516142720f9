"""`diff`: two runs, or two plans, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.options import DONE, FAILED, AsJson, Db, command, examples, in_store, wrong
from holdfast.cli.text import put, put_json

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.core.events import Entry
    from holdfast.views.compare import Side


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("diff", epilog=DIFF_EXAMPLES)(diff)


DIFF_EXAMPLES = examples(
    "holdfast diff order-7 order-8",
    "holdfast diff order-7 order-7-again      # a fork and where it came from",
    "holdfast diff order-7@14 order-7         # what it was after entry 14, and what it is",
    "holdfast diff order-7@pay order-8@pay    # both as they were before that step",
    "holdfast diff order-7#1 order-7#2        # two revisions of its plan",
    "holdfast diff before.yaml after.yaml --exit-code",
    "holdfast diff order-7 order-8 --markdown > finding.md",
)

SUFFIXES = (".yaml", ".yml", ".json", ".toml")
One = Annotated[
    str, typer.Argument(metavar="A", help="A run, ID@ENTRY, ID@STEP, ID#REVISION, or a plan file.", show_default=False)
]
Other = Annotated[str, typer.Argument(metavar="B", help="What it is compared with, likewise.", show_default=False)]


def diff(
    a: One,
    b: Other,
    every: Annotated[bool, typer.Option("--all", help="Also the steps that are the same in both.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown, for an issue or a chat.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with 1 where anything differs, like git diff.")] = False,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """What differs between two runs, or two plans.

    The first line says where they part and how each ended. Then come the run as a whole, and its steps one by one: aligned by
    their names, else by what they call, else by their order. Of a run ID@ENTRY is what it was after that entry, ID@STEP what it
    was before that step, and ID#N the plan in its revision N. Keys, run ids and times of day are no differences, and lengths of
    time only where one is more than twice the other.
    """
    if json and markdown:
        wrong("--json and --markdown are two forms", "ask for one of them")
    from holdfast.cli import render_compare
    from holdfast.views.compare import compare
    from holdfast.views.compare import markdown as as_markdown

    def show(one: Side, other: Side) -> int:
        found = compare(one, other)
        if json:
            put_json([found])
        elif markdown:
            put(as_markdown(found, every=every).rstrip("\n"))
        else:
            render_compare.comparison(found, every=every)
        return FAILED if exit_code and not found.same else DONE

    if _is_file(a) and _is_file(b):
        return show(_from_file(a), _from_file(b))

    async def go(app: Holdfast) -> int:
        return show(await _side(app, a, db), await _side(app, b, db))

    return in_store(db, go)


def _is_file(word: str) -> bool:
    return Path(word).suffix in SUFFIXES and Path(word).is_file()


def _from_file(word: str) -> Side:
    import msgspec

    from holdfast.core.policy import Policy, policy_title
    from holdfast.reasoners import planfile
    from holdfast.views.compare import plan_side

    file = planfile.load(Path(word))
    facts: dict[str, Any] = {
        "agent": file.name,
        "version": file.version,
        "goal": file.goal,
        "on_stop": file.on_stop,
        "limits": msgspec.to_builtins(file.limits),
        "secrets": list(file.secrets),
        "tools of": list(file.tools),
        "agents of": list(file.agents),
        "schema of inputs": file.inputs,
    }
    if isinstance(file.policy, Policy):
        facts["policy"] = {"title": policy_title(file.policy), **msgspec.to_builtins(file.policy)}
    return plan_side(word, file.plan, facts)


async def _side(app: Holdfast, word: str, db: str) -> Side:
    """What a word on the command line means. A run's id may have an @ or a # in it, so whole ids come first."""
    from holdfast.cli.given import no_such_run
    from holdfast.views.compare import entry_before, revision_side, run_side

    if await app.journal.row(word) is not None:
        return run_side(word, await app.history(word))
    if _is_file(word):
        return _from_file(word)
    for mark in "@#":
        run_id, found, point = word.rpartition(mark)
        if not found or await app.journal.row(run_id) is None:
            continue
        entries = await app.history(run_id)
        if mark == "#":
            side = revision_side(word, entries, int(point)) if point.isdecimal() else None
            return side if side is not None else wrong(f"run {run_id}: it has no plan {point}", _revisions(entries))
        until = int(point) if point.isdecimal() else entry_before(entries, point)
        if until == len(entries) and not point.isdecimal():
            wrong(f"run {run_id}: nothing is known of a step {point}", f"{command(db, 'show', run_id)} lists its steps")
        if not 1 <= until <= len(entries):
            wrong(f"run {run_id}: it has no entry {point}", f"it has entries 1 to {len(entries)}")
        return run_side(word, entries[:until])
    if Path(word).suffix in SUFFIXES:
        wrong(f"there is no file {word}", "a plan file, or the id of a run")
    raise await no_such_run(app.journal, word, db)


def _revisions(entries: list[Entry]) -> str:
    from holdfast.core.events import PlanAdopted

    last = max((entry.event.revision for entry in entries if isinstance(entry.event, PlanAdopted)), default=0)
    return f"its plans are 1 to {last}" if last else "no plan was made yet"
