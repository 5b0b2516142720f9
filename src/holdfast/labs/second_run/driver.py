"""The driver of the lab `second_run`: the same guest, the same town, a week later.

`check` decides how it ended. Bookings are counted in the ledger of the hotel. The second run's clock is a week ahead
(`holdfast.labs.ahead`); its store is the same.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from holdfast.core.evolve import fold
from holdfast.labs.persisting import Kill, see_through
from holdfast.labs.reasoning import model_of
from holdfast.labs.second_run.check import Seen, asked, basis, bookings, calls, check, recalled
from holdfast.labs.second_run.story import FIRST, LATER, RUNS, SECOND, Story, story_of
from holdfast.labs.services import Services, start_services
from holdfast.labs.services.ledger import RequestRow
from holdfast.labs.telling import timeline
from holdfast.labs.workshop import STORE, Workshop
from holdfast.views import span

FILES = ("agents.py",)
_HERE = Path(__file__).parent


def run(*, directory: Path | None, seed: int, keep: bool, model: str | None = None) -> int:
    """Run the lab and print it; 0 when world and runs are as they must be, else 1. model: what thinks in place of the script.
    UsageError for one that cannot be asked here."""
    thinks, story = model_of(model), story_of(seed)
    with Workshop(_HERE, FILES, directory=directory, keep=keep, model=thinks) as shop:
        shop.title("second_run", seed, thinks=True)
        _introduce(shop, story)
        with start_services("second_run", shop.world, seed=seed) as services:
            shop.heading(f"{FIRST}: {story.guest} is here for the first time")
            was_killed = _book(shop, story, services, FIRST)
            looked_up = {FIRST: _requests(shop, services)}
            shop.heading(f"{SECOND}: {story.guest} comes back after a week")
            services.change_price(story.guest, story.town, story.price_later)
            shop.note(f"a room in {story.town} costs ${story.price_later} by now, and not ${story.price} any more")
            shop.run("memory", "list", "--thread", story.thread, "--db", STORE, ahead=LATER)
            was_killed = _book(shop, story, services, SECOND) or was_killed
            looked_up[SECOND] = _requests(shop, services)[len(looked_up[FIRST]) :]
            seen = Seen(
                ledger=services.ledger(),
                looked_up=looked_up,
                histories=shop.histories(),
                was_killed=was_killed,
                model=thinks,
            )
        for run_id in RUNS:
            shop.heading(f"{run_id}, entry by entry")
            timeline(shop, seen.histories.get(run_id, ()))
        _side_by_side(shop, story, seen)
        problems = check(story, seen)
        shop.keep = shop.keep or bool(problems)
        return shop.verdict(_CLAIMS if thinks is None else _CLAIMS_OF_A_MODEL, problems)


_CLAIMS = (
    "Read from the ledger of the hotel and the log of the services: each run has booked once, at the price of its day, with what "
    "the guest has said once. The second run asked nothing, and looked up nothing but the price. It knew from which run each "
    "memory comes, and how old it is. The price of last week was too old: the script wanted to book at it, and was not let. A "
    "worker was killed with SIGKILL between a booking and its record.",
)
_CLAIMS_OF_A_MODEL = (
    "Read from the ledger of the hotel: each run has booked once, at the price of its day, with what the guest has said once. "
    "The second run asked for nothing that the first one had asked for.",
)


# --- the story ----------------------------------------------------------------------------------------------------


def _introduce(shop: Workshop, story: Story) -> None:
    shop.heading("The world: a hotel and a list of offices on loopback, in a process of their own; and who thinks")
    thinks = "a script, which believes whatever it is told of" if shop.model is None else shop.model
    shop.say(
        "  offices  have an address; the tool says that it holds for 30 days",
        "  prices   change; the tool says that one holds for 2 hours",
        "  hotel    drops a request whose key it has seen, and takes the price of the day alone",
        f"  guest    {story.guest}, who says how many beds, and which cost centre pays, when asked",
        "",
        f"What thinks: {thinks}. Both runs are in the thread `{story.thread}`.",
        f"agents.py and the store are in {shop.directory}",
    )


def _book(shop: Workshop, story: Story, services: Services, run_id: str) -> bool:
    """A run from its start to its end; whether its worker was killed in the middle of its booking."""
    inputs = ("--input", f"guest={story.guest}", "--input", f"town={story.town}", "--thread", story.thread)
    command = ("run", "agents.py:rooms", *inputs, "--id", run_id, "--db", STORE, "--lease", "1")
    kill = Kill(service="bookings", subject=story.guest, words="the room is booked; the answer has not left the hotel")
    kills = [kill] if shop.model is None and run_id == story.killed_run else []
    ahead = LATER if run_id == SECOND else ""
    deaths = see_through(shop, services, command, kills=kills, answer=lambda: _answer(shop, story, run_id, ahead), ahead=ahead)
    return deaths > 0


def _answer(shop: Workshop, story: Story, run_id: str, ahead: str) -> None:
    """The guest. In this lab it is the driver, and the journal says so."""
    for asked_for in fold(shop.histories()[run_id]).interrupts.values():
        name = asked_for.asks.name if asked_for.asks is not None else ""
        known = name in story.answers
        words = ("respond", json.dumps(story.answers[name])) if known else ("reject", "I cannot say")
        shop.run("answer", run_id, asked_for.interrupt, *words, "--by", story.guest, "--db", STORE, ahead=ahead)


def _requests(shop: Workshop, services: Services) -> list[RequestRow]:
    return [row for row in shop.requests_of(services) if row["path"] != "/models"]


# --- what is shown of it ------------------------------------------------------------------------------------------


def _side_by_side(shop: Workshop, story: Story, seen: Seen) -> None:
    shop.heading("Side by side")
    rows: list[Sequence[object]] = [("", *RUNS)]
    rows.append(("asked", *(", ".join(asked(seen, name)) or "nothing" for name in RUNS)))
    for tool in ("find_office", "look_up_price", "book_room"):
        rows.append((f"calls of {tool}", *(str(calls(seen, name)[tool]) or "0" for name in RUNS)))
    for number, row in enumerate(bookings(seen)):
        rows.append((f"booked by {RUNS[number]}" if number < len(RUNS) else "", *_in_column(number, f"${row['detail']['usd']}")))
    shop.table(rows)
    shop.heading(f"What {SECOND} remembered, and what came of it")
    found: list[Sequence[object]] = [("name", "value", "by", "in run", "age", "believed", "used by")]
    for one in recalled(seen, SECOND):
        if one.name in ("guest", "town"):
            continue  # The goal says these itself.
        by, _, run_id = basis(seen, one.name).partition(" in run ")
        age = span(seen.histories[SECOND][0].at - one.at)
        used = "nothing" if one.stale else ", ".join(one.used_by) or "nothing"
        found.append((one.name, one.value, by, run_id.split(",")[0], age, "no, too old" if one.stale else "yes", used))
    shop.table(found)


def _in_column(number: int, text: str) -> tuple[str, ...]:
    return tuple(text if column == number else "" for column in range(len(RUNS)))
