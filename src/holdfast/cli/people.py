"""`answer`, `correct`, `goal` and `cancel`: a person's word into a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from holdfast.cli import advance, allowing, answers
from holdfast.cli.given import speaker
from holdfast.cli.options import DONE, AsJson, By, Db, RunId, WordId, command, examples, in_store, wrong
from holdfast.cli.text import one_line, put, put_json, say

if TYPE_CHECKING:
    from holdfast.app import Holdfast


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("answer", epilog=ANSWER_EXAMPLES)(answer)
    app.command("correct", epilog=CORRECT_EXAMPLES)(correct)
    app.command("goal", epilog=GOAL_EXAMPLES)(goal)
    app.command("cancel", epilog=CANCEL_EXAMPLES)(cancel)


ANSWER_EXAMPLES = examples(
    "holdfast answer order-7 approve",
    "holdfast answer order-7 edit amount=20 note=@note.json",
    "holdfast answer order-7 reject 'the customer was refunded by hand'",
    'holdfast answer order-7 refund-2 respond \'{"receipt": "R-221"}\'   # where several are open',
    "holdfast answer trip-3 respond Oslo                # what the agent wants to know",
    "holdfast answer trip-3 respond --option 2          # one of the answers that it prepared",
    "holdfast answer trip-3 edit airport=LGA            # what it guessed is not so; this is",
    "holdfast answer order-7 cancel --by ann",
    "holdfast answer order-7 approve --standing 7d --same-args   # and to the same for a week",
)


def answer(
    id: RunId,
    words: Annotated[
        list[str],
        typer.Argument(metavar="ANSWER", help="See above; before it the interrupt, where several are open.", show_default=False),
    ],
    by: By = None,
    note: Annotated[
        str, typer.Option("--note", metavar="TEXT", help="Why; it is kept with the answer.", show_default=False)
    ] = "",
    option: Annotated[
        int | None,
        typer.Option("--option", metavar="N", min=1, help="With respond: the N-th of the prepared answers.", show_default=False),
    ] = None,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="With respond, in a fork: the result that its source has on record.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Also where somebody else has it in hand.")] = False,
    standing: Annotated[
        str | None,
        typer.Option(
            "--standing", metavar="TIME", help="With approve: yes to calls like it, until then, too.", show_default=False
        ),
    ] = None,
    same_args: Annotated[bool, typer.Option("--same-args", help="With --standing: only with the same arguments.")] = False,
    amount_max: Annotated[
        float | None,
        typer.Option("--amount-max", metavar="N", help="With --standing: only up to this amount.", show_default=False),
    ] = None,
    uses: Annotated[
        int | None, typer.Option("--uses", metavar="N", min=1, help="With --standing: no more often.", show_default=False)
    ] = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Answer what a run asks.

    \b
    ANSWER is one of
      approve               yes
      edit NAME=VALUE ...   yes, with these arguments; of guesses: this is so instead
      reject "WHY"          no
      respond VALUE         this is the result, or what the agent wants to know
      cancel                end the run
    `holdfast show ID` says what is asked, and what each of them means there.

    Values are read as for `run --input`: JSON where it is a number, true, false, a list, an object or a quoted text, else
    text. A result is JSON. An answer holds once: the second is refused, and so is one that comes too late.

    With --standing 7d the same tool of the same agent is approved in advance, as `holdfast allow` does it.
    """
    from holdfast.core.events import DecisionName

    decisions = get_args(DecisionName)
    at = next((place for place in (0, 1) if len(words) > place and words[place] in decisions), None)
    if at is None:
        wrong(
            f"{' '.join(words)!r} holds no answer", f"it is one of {', '.join(decisions)}, after the interrupt where one is named"
        )
    interrupt = words[0] if at else None
    decision, rest = words[at], words[at + 1 :]
    if option is not None and (decision != "respond" or rest):
        wrong("--option is an answer by itself", f"{command(db, 'answer', id, *words[:at], 'respond', '--option', str(option))}")
    if recorded and (decision != "respond" or rest or option is not None):
        wrong("--recorded is an answer by itself", f"{command(db, 'answer', id, *words[:at], 'respond', '--recorded')}")
    wanted = advance.Wanted.of(decision, standing, same_args, amount_max, uses)
    meant, said = (None, "") if decision == "respond" else _meant(decision, rest)
    if said and note:
        wrong("the reason is given twice", "either reject 'WHY' or --note")

    async def go(app: Holdfast) -> int:
        value = await answers.given(app, id, interrupt, rest, option, recorded) if decision == "respond" else meant
        who = await speaker(app, by, db)
        approval = await wanted.given(app, id, interrupt, who, note) if wanted is not None else None
        answered = await app.inbox.decide(
            id, decision, who.name, interrupt=interrupt, value=value, note=note or said, force=force
        )  # fmt: skip
        if json:
            record = {"run_id": id, "interrupt": answered, "decision": decision}
            put_json([record | ({"standing": approval.id} if approval is not None else {})])
        else:
            put(f"{id}  {answered}: {decision}")
        if approval is not None:
            await app.journal.grant(approval)
            if not json:
                allowing.told(approval, json, db)
        await say_next(app, id, db)
        return DONE

    return in_store(db, go)


def _meant(decision: str, rest: list[str]) -> tuple[Any, str]:
    """The value and the reason that an answer carries."""
    from holdfast import loading

    if decision == "edit":
        if not rest:
            wrong("edit needs the arguments to change", "edit NAME=VALUE ...")
        pairs = [loading.pair(word, "edit") for word in rest]
        if len(dict(pairs)) < len(pairs):
            wrong("an argument is given twice")
        return dict(pairs), ""
    if decision == "reject":
        return None, " ".join(rest)
    if rest:
        wrong(f"{decision} takes nothing more, and {' '.join(rest)!r} stands behind it", "give reasons with --note")
    return None, ""


CORRECT_EXAMPLES = examples(
    "holdfast correct trip-3 airport=LGA",
    "holdfast correct trip-3 'nights=2' budget=300 --by ann",
    "holdfast correct trip-3 traveller=@traveller.json",
)


def correct(
    id: RunId,
    facts: Annotated[list[str], typer.Argument(metavar="NAME=VALUE ...", help="What is so.", show_default=False)],
    by: By = None,
    word_id: WordId = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Tell a run what is so.

    What it believed of that is replaced. Exactly what rests on it is invalidated: what was concluded from it, and steps that
    have not begun and hold a copy of it; steps that are done stay done and are named. No guess of a model or of a memory
    changes it back. `holdfast show ID` says what the run believes.

    Values are read as for `run --input`: JSON where it is a number, true, false, a list, an object or a quoted text, else
    text.
    """
    from holdfast import loading

    pairs = [loading.pair(word, "correct") for word in facts]
    told = dict(pairs)
    if len(told) < len(pairs):
        wrong("a fact is given twice")

    async def go(app: Holdfast) -> int:
        for name, value in told.items():
            # Each is a word of its own, so each needs an id of its own.
            one_id = word_id if word_id is None or len(told) == 1 else f"{word_id}:{name}"
            await app.correct(id, name, value, by=by, id=one_id)
        if json:
            put_json([{"run_id": id, "told": told}])
        else:
            put(f"{id}  told: {one_line(', '.join(told))}")
        await say_next(app, id, db)
        return DONE

    return in_store(db, go)


GOAL_EXAMPLES = examples(
    "holdfast goal trip-3 'To Boston instead, by train'", "holdfast goal trip-3 --input nights=3 --note 'the fair is longer'"
)


def goal(
    id: RunId,
    text: Annotated[str, typer.Argument(metavar="[TEXT]", help="The new goal, in words.", show_default=False)] = "",
    input: Annotated[
        list[str], typer.Option("--input", metavar="NAME=VALUE", help="An input that changes.", show_default=False)
    ] = [],  # noqa: B006 — typer copies it.
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why; the model is told.", show_default=False)] = "",
    by: By = None,
    word_id: WordId = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Give a run another goal.

    For runs that a model plans. What is done stays done, what is under way ends, and nothing new begins before the model has
    looked at its plan again.
    """
    from holdfast import loading

    inputs = dict(loading.pair(word, "goal --input") for word in input)

    async def go(app: Holdfast) -> int:
        await app.change_goal(id, text, inputs, by=by, note=note, id=word_id)
        if json:
            put_json([{"run_id": id, "goal": text, "inputs": inputs}])
        else:
            put(f"{id}  has another goal")
        await say_next(app, id, db)
        return DONE

    return in_store(db, go)


CANCEL_EXAMPLES = examples(
    "holdfast cancel order-7", "holdfast cancel order-7 --by ann --reason 'ordered twice'", "holdfast cancel order-7 --undo"
)


def cancel(
    id: RunId,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept.", show_default=False)] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take back what was done, as far as its tools can.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="What is done stays done.")] = False,
    ask: Annotated[bool, typer.Option("--ask", help="Ask a person which of both.")] = False,
    by: By = None,
    word_id: WordId = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Ask a run to end.

    Effects at hand are finished, nothing new begins. What becomes of what is done, the agent's on_stop says, unless --undo,
    --keep or --ask does.
    """
    from holdfast.core.events import OnStop

    said: dict[OnStop, bool] = {"undo": undo, "keep": keep, "ask": ask}
    wishes = [wish for wish, given in said.items() if given]
    if len(wishes) > 1:
        wrong(f"{' and '.join(f'--{wish}' for wish in wishes)} cannot both be meant", "give one of them, or none")
    on_stop = wishes[0] if wishes else None

    async def go(app: Holdfast) -> int:
        from holdfast.views import ON_STOP

        await app.cancel(id, by=by, reason=reason, on_stop=on_stop, id=word_id)
        if json:
            put_json([{"run_id": id, "decision": "cancel"} | ({"on_stop": on_stop} if on_stop else {})])
        else:
            put(f"{id}  asked to end" + (f", {ON_STOP[on_stop]}" if on_stop else ""))
        await say_next(app, id, db)
        return DONE

    return in_store(db, go)


async def say_next(app: Holdfast, run_id: str, db: str) -> None:
    """Say who takes the word, or how somebody can be made to."""
    from holdfast.cli.following import served_agents
    from holdfast.runner.clock import SystemClock
    from holdfast.views import run_line

    row = await app.journal.row(run_id)
    if row is None:
        return
    line = run_line(row, await served_agents(app), SystemClock().now())
    if line.note:
        again = command(db, "run", "FILE", "--id", run_id)
        say(f"no live worker has the agent {line.agent}: go on with {again}, or start {command(db, 'work', 'FILE')}")
    else:
        say(f"a worker takes it from here: {command(db, 'watch', run_id)}")
