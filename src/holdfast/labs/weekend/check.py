"""Is the world as it must be? Bookings are counted in the ledger; the journals are asked how the runs were left."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from holdfast.core import events as e
from holdfast.core.events import Entry
from holdfast.core.evolve import fold
from holdfast.labs.services.ledger import LedgerRow, RequestRow
from holdfast.labs.weekend.story import BUDGET_USD, SCRIPT, Story, Weekend

EFFECTS = ("hotels booked", "hotels cancelled", "trains booked")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What there is to look at. flights_tried: requests for a flight while each weekend was planned, by run id. were_killed:
    SIGKILL ended the worker in the middle of the first weekend's booking, and while the third one's room was given back."""

    ledger: Sequence[LedgerRow]
    requests: Sequence[RequestRow]
    histories: Mapping[str, Sequence[Entry]]
    flights_tried: Mapping[str, int]
    were_killed: bool


def effects(ledger: Sequence[LedgerRow], weekend: Weekend) -> Counter[str]:
    """How often each thing was done for a guest."""
    return Counter(f"{row['service']} {row['action']}" for row in ledger if row["subject"] == weekend.guest)


def check(story: Story, seen: Seen) -> list[str]:
    """Everything that is not as it must be, a sentence each; empty when all is well."""
    problems = [] if seen.were_killed else ["a worker was not killed between an effect and its answer"]
    for weekend in story.weekends:
        problems += [f"{weekend.guest}: {problem}" for problem in _world_problems(story, weekend, seen)]
        look = _cancelled_problems if weekend == story.third else _completed_problems
        problems += [f"{weekend.run_id}: {problem}" for problem in look(story, weekend, seen)]
    if not seen.flights_tried[story.first.run_id]:
        problems.append(f"{story.first.run_id}: nobody tried to fly, so nothing is shown about that")
    problems += [
        f"{weekend.run_id}: {tried} requests for a flight, though the first run found out that there is none"
        for weekend in (story.second, story.third)
        if (tried := seen.flights_tried[weekend.run_id])
    ]
    known = {weekend.guest for weekend in story.weekends}
    problems += [f"the ledger has something for {name}, who goes nowhere" for name in _names(seen.ledger) if name not in known]
    return problems


def check_planned(story: Story, seen: Seen, model: str | None) -> list[str]:
    """As `check`, for the weekend of the first guest as a model planned it. model: the real one that was asked: it may give up,
    but what it books it books once, and what it recommends is booked."""
    weekend = story.planned
    end = _end(seen, weekend)
    problems = [f"{weekend.run_id}: {problem}" for problem in _money_problems(seen, weekend)]
    if model is None:
        problems += [] if seen.were_killed else ["a worker was not killed between an effect and its answer"]
        problems += [f"{weekend.guest}: {problem}" for problem in _world_problems(story, weekend, seen)]
        if not seen.flights_tried[weekend.run_id]:
            problems.append(f"{weekend.run_id}: nobody tried to fly, so nothing is shown about that")
    else:
        counted = effects(seen.ledger, weekend)
        rooms = counted["hotels booked"] - counted["hotels cancelled"]
        bought = {"rooms": rooms, "tickets": counted["trains booked"]}
        problems += [f"{weekend.guest}: {number} {what}, where one is enough" for what, number in bought.items() if number > 1]
    if isinstance(end, e.RunCompleted):
        problems += [f"{weekend.run_id}: {problem}" for problem in _recommendation_problems(story, weekend, seen, end.result)]
    elif model is None or end is None:
        problems.append(f"{weekend.run_id}: it is not completed")
    known = {weekend.guest, SCRIPT}
    return problems + [
        f"the ledger has something for {name}, who goes nowhere" for name in _names(seen.ledger) if name not in known
    ]


def _money_problems(seen: Seen, weekend: Weekend) -> list[str]:
    """What the provider charged for the answers of the script, against what the run counted."""
    entries = seen.histories.get(weekend.run_id)
    if not entries:
        return []
    charged = sum((Decimal(row["detail"]["usd"]) for row in seen.ledger if row["service"] == "models"), Decimal(0))
    counted = fold(entries).spent.cost_usd
    return [] if charged <= counted <= BUDGET_USD else [f"${charged} charged, ${counted} counted, and ${BUDGET_USD} is the limit"]


def _names(ledger: Sequence[LedgerRow]) -> list[str]:
    return sorted({row["subject"] for row in ledger})


def _world_problems(story: Story, weekend: Weekend, seen: Seen) -> list[str]:
    counted = effects(seen.ledger, weekend)
    expected = {"hotels booked": 1, "hotels cancelled": 1 if weekend == story.third else 0, "trains booked": 1}
    problems = [
        f"{counted[effect]} rows of {effect} in the ledger, where {number} must be"
        for effect, number in expected.items()
        if counted[effect] != number
    ]
    towns = {row["detail"]["town"] for row in seen.ledger if row["subject"] == weekend.guest}
    if towns - {story.town}:
        problems.append(f"booked for {', '.join(sorted(towns))}, where all must be for {story.town}")
    return problems


def _completed_problems(story: Story, weekend: Weekend, seen: Seen) -> list[str]:
    end = _end(seen, weekend)
    if not isinstance(end, e.RunCompleted):
        return ["it is not completed"]
    problems = [] if end.skipped == ("activities",) else [f"skipped is {end.skipped}, where it must be activities alone"]
    travel = {"flight": "train"} if weekend == story.first else {"travel": "book_train"}
    if end.replaced != {"hotel": "book_hotel", **travel}:
        problems.append(f"replaced is {end.replaced}")
    return problems + _recommendation_problems(story, weekend, seen, end.result)


def _recommendation_problems(story: Story, weekend: Weekend, seen: Seen, result: Any) -> list[str]:
    """Whether it rests on what was booked, and names what was not as it was wanted."""
    if not isinstance(result, dict):
        return ["there is no recommendation"]
    booked = {row["service"]: row["detail"]["id"] for row in seen.ledger if row["subject"] == weekend.guest}
    named = {"trains": result["ticket"], "hotels": result["room"]}
    problems = [] if named == booked else [f"it recommends {named}, and booked is {booked}"]
    if len(result["replaced"]) != 2 or not result["replaced"][1].startswith(story.full):
        problems.append(f"it says that this was replaced: {result['replaced']}")
    if len(result["skipped"]) != 1:
        problems.append(f"it says that this was skipped: {result['skipped']}")
    return problems


def _cancelled_problems(story: Story, weekend: Weekend, seen: Seen) -> list[str]:
    end = _end(seen, weekend)
    if not isinstance(end, e.RunCancelled):
        return ["it is not cancelled"]
    problems = [] if end.undone == ("hotel",) else [f"taken back is {end.undone}, where it must be the hotel alone"]
    return problems + ([] if end.kept == ("train",) else [f"kept is {end.kept}, where it must be the train alone"])


def _end(seen: Seen, weekend: Weekend) -> object:
    entries = seen.histories.get(weekend.run_id)
    return entries[-1].event if entries else None
