"""`fork`: a new run from a point of another one; what was done before it is not done again."""

from __future__ import annotations

import os
import secrets
import sys
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from holdfast.cli.options import DONE, PERSON, AsJson, By, Db, Lease, RunId, command, examples, in_store, wrong
from holdfast.cli.text import one_line, put, put_json, say

if TYPE_CHECKING:
    from holdfast.agent import Agent
    from holdfast.app import Holdfast
    from holdfast.cli.wanted import Terms, Trouble
    from holdfast.core.events import Entry, ForkMode, Recorded
    from holdfast.core.limits import Limits
    from holdfast.forking import Forked, Where


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("fork", epilog=EXAMPLES)(fork)


EXAMPLES = examples(
    "holdfast fork payout-7 --list                                  # at which points",
    "holdfast fork payout-7 --agent payouts.py                      # just before what made it fail",
    "holdfast fork payout-7 --agent payouts.py --before convert --id payout-7-fixed",
    "holdfast answer payout-7-fixed respond --recorded              # take the source's result in place of a call",
    "holdfast fork payout-7 --agent payouts.py --turn 3 --simulate --world world.yaml --yes",
    "holdfast fork payout-7 --agent payouts.py --at 12 --live",
)
SIMULATION = "simulation"


def fork(
    id: RunId,
    agent: Annotated[
        str | None,
        typer.Option(
            "--agent", metavar="FILE[:AGENT]", help="The agent that goes on from there, changed or not.", show_default=False
        ),
    ] = None,
    at: Annotated[
        int | None, typer.Option("--at", metavar="N", help="After this entry of its journal.", show_default=False)
    ] = None,
    before: Annotated[
        str | None,
        typer.Option("--before", metavar="STEP", help="Before this step is called; STEP#2: a second time.", show_default=False),
    ] = None,
    after: Annotated[str | None, typer.Option("--after", metavar="STEP", help="After this step.", show_default=False)] = None,
    turn: Annotated[
        int | None, typer.Option("--turn", metavar="N", help="Before its model was asked for this turn.", show_default=False)
    ] = None,
    start: Annotated[bool, typer.Option("--start", help="At its start: only the goal is taken over.")] = False,
    points: Annotated[bool, typer.Option("--list", help="List the points at which it can be forked, and do nothing.")] = False,
    new: Annotated[str | None, typer.Option("--id", metavar="NEW", help="The id of the new run.", show_default=False)] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", metavar="PROVIDER:NAME", help="Ask this model in place of the agent's; again for more.", show_default=False
        ),
    ] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Call nothing: answers come from the record, or from --world.")
    ] = False,
    world: Annotated[
        str | None,
        typer.Option("--world", metavar="FILE", help="With --simulate: what other calls come to, by tool.", show_default=False),
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Let it act as its tools and policies say. It is asked twice.")] = False,
    yes: Annotated[
        int,
        typer.Option(
            "--yes",
            "-y",
            count=True,
            help="With --simulate: approve what it asks. With --live, twice: it is meant.",
            show_default=False,
        ),
    ] = 0,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            "--limit",
            metavar="NAME=VALUE",
            help="A bound in place of the agent's, such as attempts=200 or wall=2h.",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="USD", help="What it may spend, with what was spent.", show_default=False)
    ] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.", show_default=False)] = "",
    by: By = None,
    run: Annotated[bool, typer.Option("--run/--no-run", help="See it through as `run` does, or leave it until then.")] = True,
    lease: Lease = 15.0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing while it goes on.")] = False,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """A new run from a point of another one.

    What the other did before that point is taken from its record and not done again; keys of the new run differ from there on.
    Without a point it begins before what first made the other one fail. After the point it stops for a person before it changes
    anything in the world, unless it is simulated or live. The same command twice is one fork: it goes on with it.
    """
    from holdfast.forking import Where

    where = Where(entry=at, before=before, after=after, turn=turn, start=start)
    if points:
        return in_store(db, lambda app: _list(app, id, json))
    if simulate and live:
        wrong("--simulate and --live are two ways", "choose one of them")
    if world is not None and not simulate:
        wrong("--world is for a simulation", "add --simulate, or leave it out")
    if yes and not (simulate or live):
        wrong("--yes is for --simulate and --live", f"answer what it asks: {command(db, 'answer', new or 'NEW', 'approve')}")
    if agent is None:
        wrong(
            "it is not said which agent goes on",
            f"name its file: {command(db, 'fork', id, '--agent', 'FILE')}; --list lists points",
        )
    wanted = _wanted(agent, model or (), limit or (), budget, world)
    mode: ForkMode = "simulate" if simulate else "live" if live else "blocked"
    order = _Order(
        source=id, new=new, where=where, mode=mode, reason=reason, by=by, yes=yes, run=run, json=json, quiet=quiet, db=db,
        file=agent, models=tuple(model or ()), **wanted,
    )  # fmt: skip
    return _begin(order, lease)


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of `fork` asks for."""

    source: str
    new: str | None
    where: Any
    mode: Any
    reason: str
    by: str | None
    yes: int
    run: bool
    json: bool
    quiet: bool
    db: str
    file: str
    models: tuple[str, ...]
    agent: Any
    limits: Any
    script: Any


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What `fork --json` says first. following: what comes next in the record of the source, in words."""

    run_id: str
    is_new: bool
    fork: Any
    following: str = ""
    notes: tuple[str, ...] = ()


def _wanted(file: str, models: Any, limits: Any, budget: str | None, world: str | None) -> dict[str, Any]:
    """The agent, its limits and the script, read before the store is opened."""
    from pathlib import Path

    from holdfast import loading, scriptfile

    agent = loading.agent_of(file)
    if models:
        agent = agent.with_model(models)
    script = scriptfile.load(Path(world), agent.toolbox.contracts) if world is not None else ()
    return {"agent": agent, "limits": _limits(agent, limits, budget), "script": script}


def _limits(agent: Agent, words: Any, budget: str | None) -> Limits | None:
    """The agent's limits with those that are given; None where none are."""
    from holdfast import loading
    from holdfast.core.limits import WORDS
    from holdfast.reasoners.planfile import limits_of

    given = dict(loading.pair(word, "--limit") for word in words)
    if budget is not None:
        given["cost"] = budget
    if not given:
        return None
    found: list[str] = []
    limits = limits_of(given, found, "--limit")
    if found:
        wrong("; ".join(found))
    return msgspec.structs.replace(
        agent.limits, **{name: getattr(limits, name) for key in given if (name := WORDS.get(key, key))}
    )


# --- listing ------------------------------------------------------------------------------------------------------


async def _list(app: Holdfast, run_id: str, json: bool) -> int:
    from holdfast import forking
    from holdfast.cli import render_fork

    found = forking.points(await app.history(run_id))
    if json:
        put_json(found)
    else:
        render_fork.points(found)
    return DONE


# --- forking ------------------------------------------------------------------------------------------------------


def _begin(order: _Order, lease: float) -> int:
    from holdfast.cli.wanted import Terms, Trouble
    from holdfast.notify.settings import channels_from

    trouble = Trouble()
    terms = Terms(
        agent=order.agent, file=order.file, db=order.db, goal=None, patience_seconds=None, start={}, json=order.json,
        quiet=order.quiet, models=order.models,
    )  # fmt: skip
    return in_store(
        order.db,
        lambda app: _go(app, order, terms, trouble),
        lease_seconds=lease,
        on_error=trouble.note,
        notify=channels_from(os.environ) if order.mode != "simulate" else (),
    )


async def _go(app: Holdfast, order: _Order, terms: Terms, trouble: Trouble) -> int:
    from holdfast import forking
    from holdfast.runner.clock import SystemClock
    from holdfast.saying import user

    new = order.new or f"{order.source[:180]}-fork-{secrets.token_hex(2)}"
    if order.mode == "live" and not await _is_meant(app, order, new):
        return PERSON
    forked = await forking.fork(
        app.journal, order.source, order.agent, id=new, where=order.where, mode=order.mode, script=order.script,
        limits=order.limits, by=order.by or user(), reason=order.reason, clock_now=SystemClock().now(), start=False,
    )  # fmt: skip
    _tell(forked, await app.history(order.source), order)
    if not order.run:
        say(f"go on with it: {terms.again(new)}")
        return DONE
    return await _see_through(app, order, terms, trouble, new)


def _tell(forked: Forked, entries: list[Entry], order: _Order) -> None:
    from holdfast.cli import render_fork
    from holdfast.forking import following
    from holdfast.views import fork_view

    view, comes = fork_view(forked.state), following(entries, forked.entry)
    assert view is not None, "a fork knows its source"
    if order.json:
        put_json([Begun(run_id=forked.run_id, is_new=forked.is_new, fork=view, following=comes, notes=forked.notes)])
    else:
        render_fork.begun(forked.run_id, view, forked.is_new, forked.notes, comes)


async def _see_through(app: Holdfast, order: _Order, terms: Terms, trouble: Trouble, new: str) -> int:
    from holdfast.cli import render_fork, running
    from holdfast.cli.wanted import Wanted
    from holdfast.views import unanswered

    if order.mode == "simulate" and order.yes:
        await _approve_all(app, order, new)
    code = await running.see_through(app, terms, Wanted(id=new, inputs=None), trouble)
    if order.mode == "simulate":
        found = unanswered(await app.history(new))
        if order.json:
            put_json([{"run_id": new, "unanswered": found}])
        else:
            render_fork.unanswered(found)
    return code


async def _approve_all(app: Holdfast, order: _Order, new: str) -> None:
    """Go on until nothing is asked that a yes answers; nothing of it happens, so nobody has to look."""
    from holdfast.errors import AnswerRefused

    while True:
        left = await app.run(order.agent, id=new)
        asked = [one for one in left.questions if one.kind == "approval"]
        if left.ended or not asked:
            return
        for one in asked:
            try:
                await app.answer(new, "approve", by=SIMULATION, interrupt=one.interrupt)
            except AnswerRefused as error:
                say(f"the simulation may not approve {one.interrupt}: {error.what}")
                return


# --- live ---------------------------------------------------------------------------------------------------------


async def _is_meant(app: Holdfast, order: _Order, new: str) -> bool:
    """Whether a person wants a fork that acts, after they were shown what that may do; it is asked twice."""
    from holdfast.cli import render_fork

    if await app.journal.row(new) is not None:
        return True  # It was meant when it was made; what it is now is looked at where it is found.
    entries = await app.history(order.source)
    did, ended = _did_after(entries, order.where)
    tools = [name for name, contract in order.agent.toolbox.contracts.items() if contract.safety != "read"]
    if order.yes >= 2:
        return True
    if order.json or not sys.stdin.isatty():
        if not order.json:
            render_fork.dangers(order.source, did, tools, not ended)
        more = "--yes --yes" if not order.yes else "one more --yes"
        say(f"nothing was begun: a live fork acts, so it is asked twice; where nobody can answer, add {more}")
        return False
    render_fork.dangers(order.source, did, tools, not ended)
    if not order.yes and _typed("Let it act? Type yes") != "yes":
        put("nothing was begun")
        return False
    if _typed(f"Type the id of the new run ({one_line(new)})") != new:
        put("nothing was begun")
        return False
    return True


def _did_after(entries: list[Entry], where: Where) -> tuple[list[Recorded], bool]:
    """What a run did to the world after the point, as far as it did not fail; and whether it has ended."""
    from holdfast.core.evolve import fold
    from holdfast.core.forks import recorded, was_done
    from holdfast.forking import find

    state = fold(entries)
    return [one for one in recorded(entries, state, find(entries, where), whole=False) if was_done(one)], bool(state.ended)


def _typed(words: str) -> str:
    return str(typer.prompt(words, default="", show_default=False, err=True)).strip()
