"""The driver of the lab `morning_after`: a settlement fails at night; in the morning it is understood, and forked to its end.

`check` decides how it ended. Payments are counted in the bank's own ledger.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from holdfast import Agent, Holdfast
from holdfast.core.evolve import fold
from holdfast.labs.morning_after.check import Seen, check, fork_of, payments, wrong_step
from holdfast.labs.morning_after.story import MORNING, NIGHT, REASON, TREASURER, WRONG, Story, story_of
from holdfast.labs.persisting import Kill, see_through
from holdfast.labs.reasoning import model_of
from holdfast.labs.services import Services, start_services
from holdfast.labs.services.bank import LIMIT_EUR, RATES
from holdfast.labs.telling import timeline
from holdfast.labs.workshop import STORE, Workshop
from holdfast.loading import agent_of
from holdfast.replaying import Replayed, as_ruled_by, replay_run

FILES = ("agents.py",)
_HERE = Path(__file__).parent


def run(*, directory: Path | None, seed: int, keep: bool, model: str | None = None) -> int:
    """Run the lab and print it; 0 when world and runs are as they must be, else 1. model: what thinks in place of the script.
    UsageError for one that cannot be asked here."""
    thinks, story = model_of(model), story_of(seed)
    with Workshop(_HERE, FILES, directory=directory, keep=keep, model=thinks) as shop:
        shop.title("morning_after", seed, thinks=True)
        _introduce(shop, story)
        with start_services("morning_after", shop.world, seed=seed) as services:
            deaths = _night(shop, story, services)
            paid_at_night, before = len(payments(services.ledger())), len(services.requests())
            _understand(shop, story)
            as_recorded, as_of_today = _walked(shop)
            asked_meanwhile = len(services.requests()) - before
            deaths += _morning(shop, story, services)
            seen = Seen(
                ledger=services.ledger(),
                requests=shop.requests_of(services),
                histories=shop.histories(),
                as_recorded=as_recorded,
                as_of_today=as_of_today,
                asked_meanwhile=asked_meanwhile,
                paid_at_night=paid_at_night,
                deaths=deaths,
                model=thinks,
            )
        if MORNING in seen.histories:
            shop.heading("Both side by side")
            shop.run("diff", NIGHT, MORNING, "--db", STORE)
        _timelines(shop, seen)
        _world(shop, story, seen)
        problems = check(story, seen)
        shop.keep = shop.keep or bool(problems)
        return shop.verdict(_CLAIMS if thinks is None else _CLAIMS_OF_A_MODEL, problems)


_CLAIMS = (
    "Read from the bank's ledger: each partner was paid once, what was owed to the cent, and the day was closed once. What was "
    "paid at night was not paid again, nor sent again: no key of the night went out after the fork. The night was explained and "
    "walked again without a request to anybody; by the agent of the morning the first ruling that is another one is the payment "
    "of the wrong amount. Each payment of the morning was approved. Two workers were killed with SIGKILL between a payment and "
    "its record, one at night and one in the morning.",
)
_CLAIMS_OF_A_MODEL = (
    "Read from the bank's ledger: nobody was paid twice, and the day was closed once at most. The night was explained and walked "
    "again without a request to anybody.",
)


# --- the story ----------------------------------------------------------------------------------------------------


def _introduce(shop: Workshop, story: Story) -> None:
    shop.heading("The world: a bank on loopback, in a process of its own; and who thinks")
    thinks = "a script, which pays what it is told" if shop.model is None else shop.model
    rate, per = RATES["JPY"]
    shop.say(
        f"  invoices  of the day {story.day}: {', '.join(story.owed)}, in four currencies",
        f"  rates     euros for one unit; but the yen, in which {WRONG} is paid, is quoted for a hundred ({rate} for {per})",
        f"  payments  drop a request whose key they have seen, and refuse what is over EUR {LIMIT_EUR:,}",
        "",
        "  night     the tool `convert` reads each rate as if it were for one. Nobody is asked.",
        "  morning   the tool is right, and a policy asks about what is over EUR 20,000.",
        "",
        f"What thinks: {thinks}. Both agents are in agents.py, which is with the store in {shop.directory}",
    )


def _night(shop: Workshop, story: Story, services: Services) -> int:
    """The run that fails; how many of its workers were killed."""
    shop.heading(f"{NIGHT}: it pays, and fails")
    kill = Kill(
        service="payments",
        subject=story.subject(story.killed),
        words=f"{story.killed} is paid; the answer has not left the bank",
    )
    command = ("run", "agents.py:night", "--input", f"day={story.day}", "--id", NIGHT, "--db", STORE, "--lease", "1")
    return see_through(shop, services, command, kills=[kill] if shop.model is None else (), answer=lambda: None)


def _understand(shop: Workshop, story: Story) -> None:
    shop.heading("In the morning: why, and what would be ruled today")
    shop.run("show", NIGHT, "--why", "--db", STORE)
    shop.note("did it do what its rules say? It is walked again from its record; nothing is called")
    shop.run("replay", NIGHT, "--db", STORE)
    step = wrong_step(shop.histories()[NIGHT])
    if step is not None:
        shop.note("it did. So it is what it was told: where did the amount come from?")
        shop.run("show", NIGHT, "--step", step, "--db", STORE)
    shop.note("`rate` is for `per` yen: the tool is wrong. It is put right, and a policy asks about what is large")
    shop.run("replay", NIGHT, "--agent", "agents.py:morning", "--db", STORE)


def _walked(shop: Workshop) -> tuple[Replayed, Replayed]:
    """The night walked again in this process: as it was, and as if it had been the agent of the morning."""

    async def walk(instead: Agent | None) -> Replayed:
        async with Holdfast(shop.db) as app:
            return await replay_run(app.journal, NIGHT, instead=as_ruled_by(instead) if instead is not None else None)

    return asyncio.run(walk(None)), asyncio.run(walk(agent_of(f"{_HERE / 'agents.py'}:morning")))


def _morning(shop: Workshop, story: Story, services: Services) -> int:
    """The fork, from before the step that went wrong, until it has ended; how many of its workers were killed."""
    night = shop.histories()[NIGHT]
    step = wrong_step(night)
    if step is None or fold(night).ended != "failed":
        shop.note("nothing failed, so there is nothing to fork")
        return 0
    shop.heading(f"{MORNING}: from before {step}, with the tool as it is now")
    shop.run("fork", NIGHT, "--list", "--db", STORE)
    words = ("--before", step, "--id", MORNING, "--reason", REASON, "--by", TREASURER, "--lease", "1")
    shop.run("fork", NIGHT, "--agent", "agents.py:morning", *words, "--db", STORE)
    kill = Kill(service="payments", subject=story.subject(WRONG), words=f"{WRONG} is paid; the answer has not left the bank")
    command = ("run", "agents.py:morning", "--id", MORNING, "--db", STORE, "--lease", "1")
    _answer(shop)
    kills = [kill] if shop.model is None else ()
    return see_through(shop, services, command, kills=kills, answer=lambda: _answer(shop))


def _answer(shop: Workshop) -> None:
    """The treasurer, who looks at each payment. In this lab it is the driver, and the journal says so."""
    for asked in fold(shop.histories()[MORNING]).interrupts.values():
        if asked.about == "doubt":
            shop.note("the treasurer lets it go out again: the bank drops what it has seen")
        shop.run("answer", MORNING, asked.interrupt, "approve", "--by", TREASURER, "--db", STORE)


# --- what is shown of it ------------------------------------------------------------------------------------------


def _timelines(shop: Workshop, seen: Seen) -> None:
    shop.heading(f"{NIGHT}, entry by entry")
    timeline(shop, seen.histories[NIGHT])
    if (fork := fork_of(seen.histories.get(MORNING, ()))) is not None:
        shop.heading(f"{MORNING}, entry by entry, from where it is a fork")
        timeline(shop, seen.histories[MORNING][fork.entry :])


def _world(shop: Workshop, story: Story, seen: Seen) -> None:
    shop.heading("The world: the bank's own ledger")
    rows: list[Sequence[object]] = [("partner", "owed", "paid", "when", "requests")]
    for partner, eur in story.owed.items():
        made = [row for row in payments(seen.ledger) if row["subject"] == story.subject(partner)]
        numbers = [payments(seen.ledger).index(row) for row in made]
        when = ", ".join("at night" if number < seen.paid_at_night else "in the morning" for number in numbers)
        keys = {row["key"] for row in made}
        sent = sum(row["path"] == "/payments" and row["key"] in keys for row in seen.requests)
        rows.append((partner, f"EUR {eur}", " + ".join(f"EUR {row['detail']['eur']}" for row in made) or "nothing", when, sent))
    shop.table(rows)
