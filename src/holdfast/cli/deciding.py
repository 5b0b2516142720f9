"""`inbox decide`: one word for many questions, said twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from holdfast.cli import inbox_filters as by_filter
from holdfast.cli.given import again, speaker
from holdfast.cli.options import DONE, PERSON, WRONG, AsJson, By, Db, examples, in_store
from holdfast.cli.text import put_json, say

if TYPE_CHECKING:
    from holdfast.app import Holdfast

EXAMPLES = examples(
    "holdfast inbox decide approve --rule small --max-amount 20 --by ann",
    "holdfast inbox decide reject --agent refunds --older 2d --note 'the shop is closed' --by ann",
    "holdfast inbox decide approve --rule small --max-amount 20 --by ann --confirm 12-5f0c…",
)


def decide(
    context: typer.Context,
    decision: Annotated[
        Literal["approve", "reject", "cancel"],
        typer.Argument(metavar="approve|reject|cancel", help="What is said to all of them.", show_default=False),
    ],
    kind: by_filter.Kind = None,
    about: by_filter.About = None,
    rule: by_filter.Rule = None,
    policy: by_filter.PolicyName = None,
    tool: by_filter.ToolName = None,
    agent: by_filter.AgentName = None,
    tenant: by_filter.TenantName = None,
    run: by_filter.Run = None,
    older: by_filter.Older = None,
    due: by_filter.Due = None,
    amount_min: by_filter.AmountMin = None,
    amount_max: by_filter.AmountMax = None,
    claimed: by_filter.Claimed = None,
    search: by_filter.Search = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=1000, help="At most so many, the soonest first.")
    ] = 500,
    note: Annotated[
        str, typer.Option("--note", metavar="TEXT", help="Why; it is kept with each answer.", show_default=False)
    ] = "",
    confirm: Annotated[
        str | None,
        typer.Option("--confirm", metavar="TOKEN", help="As it was said: these, and no others.", show_default=False),
    ] = None,
    by: By = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Say one word to many questions, twice.

    The first time nothing is decided: it is said what would be, and what not and why, with the command that carries it out
    (exit code 3). That decides exactly those questions; where the inbox has changed since, nothing is decided (exit code 2).
    One that cannot be decided does not hold up the others; then the exit code is 2 as well.
    """

    async def go(app: Holdfast) -> int:
        from holdfast.cli import render_inbox
        from holdfast.runner.clock import SystemClock

        who = await speaker(app, by, db)
        filters = by_filter.wanted(
            SystemClock().now(), kind=kind, about=about, rule=rule, policy=policy, tool=tool, agent=agent, tenant=tenant,
            run_id=run, older=older, due=due, amount_min=amount_min, amount_max=amount_max, claimed=claimed, search=search,
        )  # fmt: skip
        bulk = await app.inbox.decide_many(decision, who.name, note=note, confirm=confirm, limit=limit, **filters)
        if json:
            put_json([bulk])
        else:
            render_inbox.bulk(bulk)
        if bulk.carried_out:
            say("workers take them from here" if bulk.done else "nothing was decided")
            return WRONG if bulk.failed else DONE
        if not bulk.count:
            return DONE
        line = again(context, db, decision, leave=("confirm",), more=("--confirm", bulk.confirm))
        say(f"nothing is decided yet; to carry it out: {line}")
        return PERSON

    return in_store(db, go)
