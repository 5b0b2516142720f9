"""`allow`, `allowed`, `revoke`: a yes in advance, which can be seen and taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.given import ahead, amount, speaker
from holdfast.cli.options import DONE, AsJson, By, Db, command, examples, in_store, wrong
from holdfast.cli.text import one_line, put, put_json, say

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.cli.drawing import Cell
    from holdfast.journal.people import StandingApproval


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("allow", epilog=ALLOW_EXAMPLES)(allow)
    app.command("allowed", epilog=ALLOWED_EXAMPLES)(allowed)
    app.command("revoke", epilog=REVOKE_EXAMPLES)(revoke)


ALLOW_EXAMPLES = examples(
    "holdfast allow refund --until 7d --amount-max 50 --by ann",
    "holdfast allow pay --until 30d --arg to=hosting --uses 1 --note 'the yearly bill'",
    "holdfast allow mail --until 2026-12-24T18:00+01:00 --agent newsletter --by ann",
)


def allow(
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="Of whose calls.", show_default=False)],
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="When it ends: in 7d, or a moment.", show_default=False)],
    arg: Annotated[
        list[str] | None,
        typer.Option("--arg", metavar="NAME=VALUE", help="Only calls with this argument.", show_default=False),
    ] = None,
    agent: Annotated[str, typer.Option("--agent", metavar="NAME", help="Only of its runs.", show_default=False)] = "",
    run: Annotated[str, typer.Option("--run", metavar="ID", help="Only of this run.", show_default=False)] = "",
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="Only of its runs.", show_default=False)] = None,
    amount_max: Annotated[
        float | None, typer.Option("--amount-max", metavar="N", help="Only up to this amount.", show_default=False)
    ] = None,
    uses: Annotated[
        int | None, typer.Option("--uses", metavar="N", min=1, help="No more often than that.", show_default=False)
    ] = None,
    by: By = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why; it is kept.", show_default=False)] = "",
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Approve calls of a tool in advance.

    It answers what is asked about such calls now and until it ends, in your name: only what you may decide yourself, where one
    person is enough, and where the rule lets it. Each use is recorded. `holdfast answer ID approve --standing 7d` gives one for
    calls like the one that is asked about.

    Values of --arg are read as for `run --input`; arguments that are not named may be any.
    """
    from holdfast import loading

    pairs = [loading.pair(word, "--arg") for word in arg or ()]
    if len(dict(pairs)) < len(pairs):
        wrong("an argument is given twice")
    most = amount(amount_max, "--amount-max")

    async def go(app: Holdfast) -> int:
        from holdfast.runner.clock import SystemClock

        who, now = await speaker(app, by, db), SystemClock().now()
        given = await app.inbox.allow(
            tool, who.name, until=ahead(until, now, "--until") - now, args=dict(pairs), agent=agent, run_id=run, tenant=tenant,
            amount_max=most, uses_max=uses, note=note,
        )  # fmt: skip
        told(given, json, db)
        return DONE

    return in_store(db, go)


def told(given: StandingApproval, json: bool, db: str) -> None:
    """An approval in advance in one line, and how to take it back."""
    from holdfast.views import moment

    if json:
        put_json([given])
    else:
        put(f"{given.id}  {one_line(given.tool)} {one_line(scope_words(given))} until {moment(given.until)}")
    say(f"take it back: {command(db, 'revoke', given.id)}")


def scope_words(one: StandingApproval) -> str:
    """What it is for, in words: `with to="ann", up to 50, of agent shop`."""
    from holdfast.cli.text import as_json
    from holdfast.views import amount as number

    parts = [
        "with " + ", ".join(f"{name}={as_json(value)}" for name, value in one.args.items()) if one.args else "",
        f"up to {number(one.amount_max)}" if one.amount_max is not None else "",
        f"of agent {one.agent}" if one.agent else "",
        f"of run {one.run_id}" if one.run_id else "",
        f"of tenant {one.tenant or '(none)'}" if one.tenant is not None else "",
        f"{one.uses_max} times at most" if one.uses_max is not None else "",
    ]
    return ", ".join(filter(None, parts)) or "any call"


ALLOWED_EXAMPLES = examples("holdfast allowed", "holdfast allowed --all --json | jq 'select(.by == \"ann\")'")


def allowed(
    every: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """What is approved in advance, the latest first."""

    async def go(app: Holdfast) -> int:
        from holdfast.cli.drawing import table
        from holdfast.runner.clock import SystemClock

        now = SystemClock().now()
        found = await app.inbox.standing(active=not every)
        if json:
            put_json(found)
        elif found:
            table(("id", "tool", "for", "used", "is", "until", "by", "note"), (_cells(one, now) for one in found))
        else:
            say(f"nothing is approved in advance in {db}")
        return DONE

    return in_store(db, go)


def _cells(one: StandingApproval, now: float) -> tuple[Cell, ...]:
    from holdfast.cli.drawing import CELL_MAX, minute
    from holdfast.views import cut

    state, style = _state(one, now)
    return (
        (one.id, "bold"),
        (one.tool, ""),
        (cut(scope_words(one), CELL_MAX), ""),
        (f"{one.uses} times" if one.uses != 1 else "once", "" if one.uses else "dim"),
        (state, style),
        (minute(one.until), ""),
        (one.by, ""),
        (cut(one.note, CELL_MAX), "dim"),
    )


def _state(one: StandingApproval, now: float) -> tuple[str, str]:
    if one.revoked_at is not None:
        return f"revoked by {one.revoked_by}", "red"
    if now >= one.until:
        return "over", "dim"
    if one.uses_max is not None and one.uses >= one.uses_max:
        return "used up", "dim"
    return "in force", "green"


REVOKE_EXAMPLES = examples("holdfast revoke yes-1f0c2b9d4e5a --by ann")


def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="As `holdfast allowed` has it.", show_default=False)],
    by: By = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Take back what was approved in advance.

    It answers nothing from now on; what it answered stays answered.
    """

    async def go(app: Holdfast) -> int:
        who = await speaker(app, by, db)
        known: dict[str, Any] = {one.id: one for one in await app.inbox.standing()}
        if id not in known:
            wrong(f"there is no approval in advance {id[:60]!r}", f"{command(db, 'allowed', '--all')} lists them")
        one = await app.inbox.revoke(id, who.name)
        if json:
            put_json([one])
        else:
            put(f"{one.id}  {one_line(one.tool)}: revoked by {one_line(one.revoked_by)}, used {one.uses} times")
        return DONE

    return in_store(db, go)
