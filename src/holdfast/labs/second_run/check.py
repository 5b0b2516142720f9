"""Is the world as it must be? Bookings are read in the ledger, what was looked up in the log of the services; the journals are
asked what each run asked, remembered and used."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.core import events as e
from holdfast.core.events import Entry
from holdfast.core.evolve import fold
from holdfast.labs.second_run.story import FIRST, RUNS, SECOND, Story
from holdfast.labs.services.ledger import LedgerRow, RequestRow
from holdfast.views.memory import RecalledView, recalled_views

WEEK_SECONDS = 7 * 86_400.0


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What there is to look at. looked_up: the requests of each run, without those of models. was_killed: SIGKILL ended a worker
    in the middle of a booking. model: the real one that was asked; None for the script."""

    ledger: Sequence[LedgerRow]
    looked_up: Mapping[str, Sequence[RequestRow]]
    histories: Mapping[str, Sequence[Entry]]
    was_killed: bool
    model: str | None = None


def bookings(seen: Seen) -> list[LedgerRow]:
    return [row for row in seen.ledger if row["service"] == "bookings"]


def asked(seen: Seen, run_id: str) -> list[str]:
    """The names of what a run asked a person for."""
    events = (entry.event for entry in seen.histories.get(run_id, ()))
    found = (event.asks for event in events if isinstance(event, e.Asked))
    return [question.name for question in found if question is not None]


def calls(seen: Seen, run_id: str) -> Counter[str]:
    """How often a run called each tool."""
    events = (entry.event for entry in seen.histories.get(run_id, ()))
    return Counter(event.tool for event in events if isinstance(event, e.CallIntended))


def recalled(seen: Seen, run_id: str) -> list[RecalledView]:
    entries = seen.histories.get(run_id, ())
    return recalled_views(entries, fold(entries)) if entries else []


def basis(seen: Seen, name: str) -> str:
    """Where a memory of the second run comes from, as it was told: `told by ann in run rooms-1`."""
    events = (entry.event for entry in seen.histories.get(SECOND, ()))
    found = (fact.basis for event in events if isinstance(event, e.MemoryRecalled) for fact in event.facts if fact.name == name)
    return next(found, "")


def check(story: Story, seen: Seen) -> list[str]:
    """Everything that is not as it must be, a sentence each; empty when all is well."""
    problems = [f"{name}: it is not completed" for name in RUNS if not _is_completed(seen, name)]
    problems += _booking_problems(story, seen)
    again = sorted(set(asked(seen, FIRST)) & set(asked(seen, SECOND)))
    problems += [f"{SECOND}: {name} was asked again" for name in again]
    problems += _memory_problems(story, seen)
    return problems if seen.model is not None else problems + _story_problems(story, seen)


def _is_completed(seen: Seen, run_id: str) -> bool:
    entries = seen.histories.get(run_id, ())
    return len(entries) > 0 and isinstance(entries[-1].event, e.RunCompleted)


def _booking_problems(story: Story, seen: Seen) -> list[str]:
    """One for each run, at the price of its day, with what the guest answered once."""
    rows = bookings(seen)
    if len(rows) != len(RUNS):
        return [f"{len(rows)} bookings in the ledger, where {len(RUNS)} must be"]
    problems = []
    for run_id, row, usd in zip(RUNS, rows, (story.price, story.price_later), strict=True):
        expected = {
            "town": story.town,
            "near": story.address,
            "beds": str(story.beds),
            "usd": usd,
            "cost_centre": story.centre,
        }
        problems += [
            f"{run_id}: {name} is {row['detail'][name]}, where {value} must be"
            for name, value in expected.items()
            if row["detail"][name] != value
        ]
    refused = [row["path"] for rows in seen.looked_up.values() for row in rows if row["status"] == 409]
    return problems + (["a booking was tried at a price of another day"] if refused else [])


def _memory_problems(story: Story, seen: Seen) -> list[str]:
    """The second run knows what the first one learned, from where, and how old it is; what is too old it does not believe."""
    found = {one.name: one for one in recalled(seen, SECOND)}
    problems = [f"{FIRST}: it remembers something, and nobody was there before"] if recalled(seen, FIRST) else []
    for name, value in {**story.answers, f"office_{story.town}": story.address}.items():
        one = found.get(name)
        if one is None or one.value != value or one.stale:
            problems.append(f"{SECOND}: it does not remember {name} as it was")
        elif f"run {FIRST}" not in one.by or _age(seen, one) < WEEK_SECONDS:
            problems.append(f"{SECOND}: it does not know where {name} comes from, or how old it is")
        elif not one.used_by:
            problems.append(f"{SECOND}: nothing rests on {name}")
    price = found.get(f"price_{story.town}")
    if price is None or not price.stale:
        problems.append(f"{SECOND}: it believes the price of last week")
    return problems


def _age(seen: Seen, one: RecalledView) -> float:
    """How old a memory was when the second run began; in seconds."""
    return seen.histories[SECOND][0].at - one.at


def _story_problems(story: Story, seen: Seen) -> list[str]:
    """Where the script thinks, it is known what it asks and looks up."""
    problems = [] if seen.was_killed else ["a worker was not killed in the middle of a booking"]
    if set(asked(seen, FIRST)) != set(story.answers) or asked(seen, SECOND):
        problems.append(f"asked was {asked(seen, FIRST)}, and then {asked(seen, SECOND)}")
    looked = {
        run_id: [row["path"].split("?")[0] for row in rows if row["method"] == "GET"] for run_id, rows in seen.looked_up.items()
    }
    if sorted(looked.get(FIRST, ())) != ["/offices", "/prices"] or looked.get(SECOND) != ["/prices"]:
        problems.append(f"looked up was {looked}, where the second run must look up the price alone")
    refused = [
        step for step in fold(seen.histories[SECOND]).steps.values() if step.tool == "book_room" and step.phase == "skipped"
    ]
    if not any("is not believed any more" in step.reason for step in refused):
        problems.append(f"{SECOND}: the script did not try to book at the price of last week, so nothing is shown about that")
    return problems
