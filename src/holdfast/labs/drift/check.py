"""Is the world as it must be? Rooms, tickets and payments are counted in the ledger; the journal is asked what the payment rested
on and how old that was, and what the run says of what it could not take back."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.core import events as e
from holdfast.core.events import Entry
from holdfast.core.facts import Fact
from holdfast.core.memory import Memory
from holdfast.labs.drift.story import LETTERS, PARTY, TRIP, Story
from holdfast.labs.services.ledger import LedgerRow, RequestRow


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What there is to look at. memories: all of the thread, those that were superseded too. deaths: how often SIGKILL ended a
    worker. model: the real one that was asked; None for the scripts."""

    ledger: Sequence[LedgerRow]
    requests: Sequence[RequestRow]
    histories: Mapping[str, Sequence[Entry]]
    memories: Sequence[Memory]
    deaths: int
    model: str | None = None

    @property
    def entries(self) -> Sequence[Entry]:
        return self.histories.get(TRIP, ())


def rows_of(ledger: Sequence[LedgerRow], service: str, action: str) -> list[LedgerRow]:
    return [row for row in ledger if (row["service"], row["action"]) == (service, action)]


def price_of(story: Story) -> str:
    """The name of the fact."""
    return f"price_{story.town}"


def believed_at_payment(story: Story, entries: Sequence[Entry]) -> tuple[Fact, float] | None:
    """The price that was believed when the payment went out, and how old it was then, in seconds."""
    fact = None
    for entry in entries:
        match entry.event:
            case e.FactsLearned(facts=facts):
                fact = next((one for one in facts if one.name == price_of(story)), fact)
            case e.CallIntended(tool="pay") if fact is not None:
                return fact, entry.at - fact.at
            case _:
                pass
    return None


def drifts(entries: Sequence[Entry]) -> list[str]:
    """The facts that were seen to be other than they were believed to be."""
    return [drift.name for entry in entries if isinstance(entry.event, e.FactsLearned) for drift in entry.event.drifts]


def invalidated(entries: Sequence[Entry]) -> list[e.FactsInvalidated]:
    return [entry.event for entry in entries if isinstance(entry.event, e.FactsInvalidated)]


def asked_to_pay(entries: Sequence[Entry]) -> list[str]:
    """The amounts that a person was asked to approve, in order."""
    asked = (entry.event for entry in entries if isinstance(entry.event, e.Asked))
    return [str(one.args.get("usd")) for one in asked if one.about == "call" and one.tool == "pay"]


def check(story: Story, seen: Seen) -> list[str]:
    """Everything that is not as it must be, a sentence each; empty when all is well."""
    problems = [
        f"{name}: it is not completed"
        for name in (LETTERS, TRIP)
        if name not in seen.histories or not isinstance(seen.histories[name][-1].event, e.RunCompleted)
    ]
    problems += _world_problems(story, seen)
    problems += _belief_problems(story, seen)
    return problems if seen.model is not None else problems + _story_problems(story, seen)


def _world_problems(story: Story, seen: Seen) -> list[str]:
    paid = rows_of(seen.ledger, "payments", "paid")
    if len(paid) != 1:
        return [f"{len(paid)} payments in the ledger, where 1 must be"]
    detail = paid[0]["detail"]
    problems = []
    if (detail["town"], detail["usd"]) != (story.town, story.price_later):
        problems.append(f"paid is ${detail['usd']} in {detail['town']}, where ${story.price_later} in {story.town} must be")
    held = {row["detail"]["id"]: row["detail"] for row in rows_of(seen.ledger, "rooms", "held")}
    if held[detail["room"]]["beds"] != str(PARTY["beds"]):
        problems.append(f"the room that is paid has {held[detail['room']]['beds']} beds")
    back = Counter(row["detail"]["id"] for row in rows_of(seen.ledger, "rooms", "given back"))
    problems += [
        f"the room {name} is held, and neither paid nor given back" for name in held if name not in (*back, detail["room"])
    ]
    problems += [f"the room {name} is paid, and given back" for name in back if name == detail["room"]]
    tickets = Counter(row["detail"]["town"] for row in rows_of(seen.ledger, "trains", "booked"))
    problems += [f"{count} tickets to {town}" for town, count in tickets.items() if count > 1]
    if story.town not in tickets:
        problems.append(f"there is no ticket to {story.town}")
    tries = [row["status"] for row in seen.requests if row["path"] == "/payments" and row["status"] is not None]
    return problems + [f"a payment was refused with {status}" for status in tries if status != 201]


def _belief_problems(story: Story, seen: Seen) -> list[str]:
    """The payment rests on a fresh price; and what was remembered wrongly is put right, for good."""
    problems = []
    found = believed_at_payment(story, seen.entries)
    if found is None or found[0].ttl_seconds is None or found[1] > found[0].ttl_seconds:
        problems.append("the payment rests on a price that was too old")
    party = {memory.holds: memory for memory in seen.memories if memory.name == "party"}
    if True not in party or party[True].value != PARTY or party[True].corrected_by != story.guest:
        problems.append("what is remembered of who travels is not what the guest said")
    if False not in party or party[False].value == PARTY:
        problems.append("it is not to be seen any more what was remembered wrongly")
    return problems


def _story_problems(story: Story, seen: Seen) -> list[str]:
    """Where scripts think, it is known what is done on what is not so any more, and what becomes of it."""
    problems = [] if seen.deaths == 2 else [f"{seen.deaths} workers were killed in the middle of an effect, where 2 must be"]
    held = [(row["detail"]["town"], row["detail"]["beds"]) for row in rows_of(seen.ledger, "rooms", "held")]
    if held != [(story.first, "1"), (story.first, "2"), (story.town, "2")]:
        problems.append(f"held were {held}")
    tickets = [row["detail"]["town"] for row in rows_of(seen.ledger, "trains", "booked")]
    if tickets != [story.first, story.town]:
        problems.append(f"tickets were booked to {tickets}")
    if price_of(story) not in drifts(seen.entries):
        problems.append("nobody saw that the price is another one by now")
    if asked_to_pay(seen.entries)[-2:] != [story.price, story.price_later]:
        problems.append(
            f"approvals were asked for {asked_to_pay(seen.entries)}, where the old price and then the new one must be"
        )
    outdated = [name for event in invalidated(seen.entries) for name in event.outdated]
    problems += [
        f"it is not said that {name} rests on what is not so any more"
        for name in ("room_1", "train_1", "room_2")
        if name not in outdated
    ]
    end = seen.entries[-1].event if seen.entries else None
    result = end.result if isinstance(end, e.RunCompleted) else {"kept": (), "given_back": ()}
    ticket = next((row["detail"]["id"] for row in rows_of(seen.ledger, "trains", "booked")), "")
    if not any(ticket in kept for kept in result["kept"]):
        problems.append(f"it is not said that the ticket {ticket} stays")
    back = [row["detail"]["id"] for row in rows_of(seen.ledger, "rooms", "given back")]
    problems += [
        f"it is not said that {name} was given back" for name in back if not any(name in said for said in result["given_back"])
    ]
    return problems
