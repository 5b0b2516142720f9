"""`inbox`: what people are asked in all runs of a store; one question with all that is needed to judge it; who has it in hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli import deciding
from holdfast.cli import inbox_filters as by_filter
from holdfast.cli.given import again, only_before, seconds, speaker
from holdfast.cli.options import DONE, AsJson, By, Db, RunId, WordId, command, examples, in_store, wrong
from holdfast.cli.text import one_line, put, put_json, say

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.journal.people import OpenInterrupt


def register(app: typer.Typer) -> None:
    """Add this group of commands."""
    group = typer.Typer(
        help=HELP, short_help="What people are asked in all runs.", epilog=EXAMPLES, rich_markup_mode=None, add_completion=False
    )
    group.callback(invoke_without_command=True)(root)
    group.command("show", epilog=SHOW_EXAMPLES)(show)
    group.command("claim", epilog=CLAIM_EXAMPLES)(claim)
    group.command("release", epilog=RELEASE_EXAMPLES)(release)
    group.command("comment", epilog=COMMENT_EXAMPLES)(comment)
    group.command("decide", epilog=deciding.EXAMPLES)(deciding.decide)
    app.add_typer(group, name="inbox")


HELP = """What people are asked in all runs of a store, the most urgent first.

Without a command it lists what wants an answer, by the filters below. `due` says when something happens next of itself:
somebody is reminded, the next are asked, or it expires. Silence is never a yes.
"""

EXAMPLES = examples(
    "holdfast inbox",
    "holdfast inbox --for finance --order amount",
    "holdfast inbox --rule large --older 2h --unclaimed",
    "holdfast inbox show order-7 --by ann",
    "holdfast inbox --json | jq 'select(.amount > 500) | [.run_id, .interrupt]'",
)

Interrupt = Annotated[
    str | None, typer.Argument(metavar="[INTERRUPT]", help="Which one, where several are open.", show_default=False)
]


def root(
    context: typer.Context,
    kind: by_filter.Kind = None,
    about: by_filter.About = None,
    rule: by_filter.Rule = None,
    policy: by_filter.PolicyName = None,
    tool: by_filter.ToolName = None,
    agent: by_filter.AgentName = None,
    tenant: by_filter.TenantName = None,
    run: by_filter.Run = None,
    whose: Annotated[
        str | None,
        typer.Option("--for", metavar="PERSON|ROLE", help="Only what they may decide.", show_default=False),
    ] = None,
    older: by_filter.Older = None,
    due: by_filter.Due = None,
    amount_min: by_filter.AmountMin = None,
    amount_max: by_filter.AmountMax = None,
    claimed: by_filter.Claimed = None,
    answered: by_filter.Answered = None,
    search: by_filter.Search = None,
    order: Annotated[
        by_filter.OrderName, typer.Option("--order", help="What comes first: due soonest, asked first, or the largest amount.")
    ] = "due",
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many.")] = 100,
    page_after: Annotated[
        tuple[str, str] | None,
        typer.Option("--page-after", metavar="RUN INTERRUPT", help="Go on behind this one.", show_default=False),
    ] = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int | None:
    if context.invoked_subcommand is not None:
        only_before(context)
        return None

    async def go(app: Holdfast) -> int:
        from holdfast.cli import render_inbox
        from holdfast.runner.clock import SystemClock

        now = SystemClock().now()
        filters = by_filter.wanted(
            now, kind=kind, about=about, rule=rule, policy=policy, tool=tool, agent=agent, tenant=tenant, run_id=run, older=older,
            due=due, amount_min=amount_min, amount_max=amount_max, claimed=claimed, answered=answered, search=search,
        ) | await _for(app, whose, db)  # fmt: skip
        found = await app.inbox.list(**filters, order=order, limit=limit + 1, after=page_after)
        rows, total = found[:limit], await app.inbox.count(**filters)
        if json:
            put_json(rows)
        elif rows:
            render_inbox.listed(rows, now)
        _say_total(context, rows, total, len(found) > limit, page_after is not None, db)
        return DONE

    raise typer.Exit(in_store(db, go))


async def _for(app: Holdfast, whose: str | None, db: str) -> dict[str, Any]:
    """What belongs to a person of the directory, or to all who have a role."""
    if whose is None:
        return {}
    people = await app.inbox.people()
    if any(person.name == whose for person in people):
        return {"by": whose}
    if people and not any(whose in person.roles for person in people):
        say(f"nobody in the directory is called {one_line(whose)}, or has that role: {command(db, 'people')}")
    return {"who": (whose,), "person": whose}


def _say_total(
    context: typer.Context, rows: list[OpenInterrupt], total: int, has_more: bool, is_later_page: bool, db: str
) -> None:
    if not rows:
        say("nothing comes after that" if is_later_page else f"nothing of that is asked in {db}")
        return
    last = rows[-1]
    if is_later_page or has_more:
        say(f"showing {len(rows):,} of {total:,}")
    if has_more:
        say(f"go on: {again(context, db, leave=('page_after',), more=('--page-after', last.run_id, last.interrupt))}")
    else:
        say(f"look at one: {command(db, 'inbox', 'show', rows[0].run_id, rows[0].interrupt)}")


# --- one of them --------------------------------------------------------------------------------------------------

SHOW_EXAMPLES = examples(
    "holdfast inbox show order-7", "holdfast inbox show order-7 refund-2 --by ann", "holdfast inbox show order-7 --json"
)


def show(id: RunId, interrupt: Interrupt = None, by: By = None, json: AsJson = False, db: Db = "holdfast.db") -> int:
    """All that is needed to judge a question.

    What is proposed and where each value comes from, the rule that asks and what it looked at, the evidence, what is done,
    unknown, guessed and owed, what it cost so far, what happens if nobody says anything, and the commands to answer with.

    When somebody was first shown a question is kept, so that the figures know how long decisions take. With --json that is
    done only where --by, or HOLDFAST_BY, says who looks.
    """

    async def go(app: Holdfast) -> int:
        from holdfast.cli import render_inbox
        from holdfast.cli.following import unheard_words
        from holdfast.runner.clock import SystemClock
        from holdfast.saying import user
        from holdfast.views.runs import questions

        who = by if by is not None or json else user()
        shown = await app.inbox.show(id, interrupt, by=who)
        if json:
            put_json([shown])
            return DONE
        now = SystemClock().now()
        state = await app.state(id)
        asked = next((one for one in questions(state, now) if one.interrupt == shown.interrupt), None)
        heard = {word.to: word.said for word in await unheard_words(app, id)}
        render_inbox.show(shown, asked, heard.get(shown.interrupt, ""), len(state.interrupts) > 1, db, now)
        return DONE

    return in_store(db, go)


# --- who has it in hand -------------------------------------------------------------------------------------------

CLAIM_EXAMPLES = examples("holdfast inbox claim order-7 --by ann", "holdfast inbox claim order-7 refund-2 --for 2h")


def claim(
    id: RunId,
    interrupt: Interrupt = None,
    by: By = None,
    time: Annotated[str, typer.Option("--for", metavar="TIME", help="For how long: up to 7d.")] = "15m",
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Take a question in hand, for a while.

    Nobody else decides it meanwhile. Who has it takes it anew to have it longer.
    """
    length = seconds(time, "--for")

    async def go(app: Holdfast) -> int:
        from holdfast.views import moment

        who = await speaker(app, by, db)
        row = await app.inbox.claim(id, await _which(app, id, interrupt), who.name, length)
        if json:
            put_json([row])
        else:
            put(f"{row.run_id}  {row.interrupt}: {one_line(row.claimed_by)} has it in hand until {moment(row.claimed_until)}")
        say(f"look at it: {command(db, 'inbox', 'show', row.run_id, row.interrupt)}")
        return DONE

    return in_store(db, go)


RELEASE_EXAMPLES = examples("holdfast inbox release order-7 --by ann", "holdfast inbox release order-7 refund-2")


def release(id: RunId, interrupt: Interrupt = None, by: By = None, json: AsJson = False, db: Db = "holdfast.db") -> int:
    """Give a question back that you have in hand."""

    async def go(app: Holdfast) -> int:
        who = await speaker(app, by, db)
        row = await app.inbox.release(id, await _which(app, id, interrupt), who.name)
        if json:
            put_json([row])
        else:
            put(f"{row.run_id}  {row.interrupt}: nobody has it in hand")
        return DONE

    return in_store(db, go)


COMMENT_EXAMPLES = examples(
    "holdfast inbox comment order-7 'the customer called twice' --by ann",
    "holdfast inbox comment order-7 refund-2 'waits for the receipt' --id mail-331",
)


def comment(
    id: RunId,
    words: Annotated[
        list[str],
        typer.Argument(metavar="[INTERRUPT] TEXT", help="What there is to say of it.", show_default=False),
    ],
    by: By = None,
    word_id: WordId = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Remark on a question; it decides nothing.

    It stands below the question for whoever is asked, also once it is answered. INTERRUPT where several are open, or for one
    that was answered.
    """
    if len(words) > 2:
        wrong(f"{len(words)} words are no interrupt and a text", "put the text into quotes: comment RUN 'TEXT'")
    text, interrupt = words[-1], words[0] if len(words) == 2 else None

    async def go(app: Holdfast) -> int:
        from holdfast.cli.people import say_next
        from holdfast.saying import user

        about = await app.inbox.comment(id, text, user() if by is None else by, interrupt=interrupt, id=word_id)
        if json:
            put_json([{"run_id": id, "interrupt": about, "comment": text}])
        else:
            put(f"{id}  {about}: remarked")
        await say_next(app, id, db)
        return DONE

    return in_store(db, go)


async def _which(app: Holdfast, run_id: str, interrupt: str | None) -> str:
    """The open question that is meant; AnswerRefused where it is not said which."""
    from holdfast.inbox.speech import which

    return interrupt if interrupt is not None else which(await app.state(run_id), None).interrupt
