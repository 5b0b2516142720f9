"""Is the world as it must be? Seats, bookings and payments are counted in the ledger; the journal is asked what a person was
shown and said before the money went, what was guessed, and what fell when it was corrected."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.core import events as e
from holdfast.core.approval import bound_revision, shown_digest
from holdfast.core.events import Entry
from holdfast.core.evolve import fold
from holdfast.core.state import State
from holdfast.labs.flight.agents import TRAVELLER
from holdfast.labs.flight.story import GUESSED, HABITS, TRIP, WANTED, Story
from holdfast.labs.services.ledger import LedgerRow, RequestRow

FOUND, FITTING, SHOWN = 47, 18, 3
"""How many flights there are, how many of them go to the airport that is guessed, and how many a person is shown."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What there is to look at. deaths: how often SIGKILL ended a worker. model: the real one that was asked; None for the
    scripts."""

    ledger: Sequence[LedgerRow]
    requests: Sequence[RequestRow]
    histories: Mapping[str, Sequence[Entry]]
    deaths: int
    model: str | None = None

    @property
    def entries(self) -> Sequence[Entry]:
        return self.histories.get(TRIP, ())

    @property
    def events(self) -> list[e.AnyEvent]:
        return [entry.event for entry in self.entries]


@dataclass(frozen=True, kw_only=True)
class Approved:
    """A booking that went out, and the yes that it went out on. asked, answered: None where there was none. digest: of the call,
    as it went out."""

    call: e.CallIntended
    digest: str
    asked: e.Asked | None = None
    answered: e.Answered | None = None


def rows_of(ledger: Sequence[LedgerRow], service: str, action: str) -> list[LedgerRow]:
    return [row for row in ledger if (row["service"], row["action"]) == (service, action)]


def approvals(entries: Sequence[Entry]) -> list[Approved]:
    """Each booking that went out, in order, with the last yes before it that was for that very call: what the person was shown
    has its digest."""
    found: list[Approved] = []
    asked: dict[str, e.Asked] = {}
    given: dict[str, e.Answered] = {}
    for at, entry in enumerate(entries):
        match entry.event:
            case e.Asked(about="call", tool="book_flight") as event:
                asked[event.interrupt] = event
            case e.Answered(decision="approve") as event if event.interrupt in asked:
                given[event.interrupt] = event
            case e.CallIntended(tool="book_flight") as event:
                state = fold(entries[:at])
                digests = {name: _digest(state, event, asked[name]) for name in given}
                name = next((name for name in reversed(given) if asked[name].digest == digests[name]), "")
                found.append(Approved(call=event, digest=digests.get(name, ""), asked=asked.get(name), answered=given.get(name)))
            case _:
                pass
    return found


def _digest(state: State, call: e.CallIntended, asked: e.Asked) -> str:
    """What a question about this call would have to be bound to."""
    return shown_digest(call.tool, call.args, state.contracts[call.tool], asked.ruling, bound_revision(state))


def corrections(events: Sequence[e.AnyEvent]) -> list[tuple[int, e.FactsInvalidated]]:
    """What fell because a person said that the airport is another, and where in the journal."""
    found = [(at, event) for at, event in enumerate(events) if isinstance(event, e.FactsInvalidated)]
    return [(at, event) for at, event in found if "airport" in event.because]


def resting(events: Sequence[e.AnyEvent], fact: str) -> list[str]:
    """The steps that were called and rest on a fact, by the references in the plans: to the fact, or to a step that does."""
    called = {event.step for event in events if isinstance(event, e.CallIntended)}
    found: list[str] = []
    for event in events:
        for step in event.plan.steps if isinstance(event, e.PlanAdopted) else ():
            roots = [".".join(ref.split(".")[:2]) for ref in _references(step.args)]
            if any(root in (f"facts.{fact}", *(f"steps.{name}" for name in found)) for root in roots):
                found.append(step.id)
    return [name for name in found if name in called]


def _references(form: Any) -> Iterator[str]:
    if isinstance(form, Mapping):
        if isinstance(form.get("$ref"), str):
            yield form["$ref"]
        form = list(form.values())
    for part in form if isinstance(form, (list, tuple)) else ():
        yield from _references(part)


def confirmed_before_booking(events: Sequence[e.AnyEvent], fact: str) -> str:
    """Who said that a guess is so before the first booking went out; empty where nobody did."""
    asked: set[str] = set()
    for event in events:
        match event:
            case e.CallIntended(tool="book_flight"):
                return ""
            case e.Asked(about="fact") if fact in event.facts:
                asked.add(event.interrupt)
            case e.Answered(decision="approve" | "edit") if event.interrupt in asked:
                return event.by
            case _:
                pass
    return ""


def shortlists(events: Sequence[e.AnyEvent]) -> list[dict[str, Any]]:
    """The results of all shortlists, in order."""
    done = (event for event in events if isinstance(event, e.CallSucceeded) and event.step.startswith("shortlist"))
    return [event.value for event in done]


# --- what is wrong ------------------------------------------------------------------------------------------------


def check(story: Story, seen: Seen) -> list[str]:
    """Everything that is not as it must be, a sentence each; empty when all is well."""
    problems = lasting_problems(story, seen)
    return problems if seen.model is not None else problems + _story_problems(story, seen)


def lasting_problems(story: Story, seen: Seen) -> list[str]:
    """What must be so whoever thinks, whatever order the person answers in, and wherever a worker is killed."""
    problems = [
        f"{name}: it is not completed"
        for name in (HABITS, TRIP)
        if name not in seen.histories or not isinstance(seen.histories[name][-1].event, e.RunCompleted)
    ]
    return problems + _world_problems(seen) + _approval_problems(seen) + _belief_problems(story, seen)


def _world_problems(seen: Seen) -> list[str]:
    """One booking, at the right airport, and its money; and no seat that is held for nobody."""
    booked = rows_of(seen.ledger, "bookings", "booked")
    captured = rows_of(seen.ledger, "payments", "captured")
    problems = [] if len(booked) == 1 else [f"{len(booked)} bookings in the ledger, where 1 must be"]
    problems += [f"a flight to {row['detail']['airport']} is booked" for row in booked if row["detail"]["airport"] != WANTED]
    money = [Counter((row["detail"]["booking"], row["detail"]["usd"]) for row in rows) for rows in (booked, captured)]
    if money[0] != money[1]:
        problems.append(f"booked is {_dollars(booked)}, and captured {_dollars(captured)}")
    released = Counter(row["detail"]["id"] for row in rows_of(seen.ledger, "seats", "released"))
    held = [row["detail"] for row in rows_of(seen.ledger, "seats", "held")]
    return problems + [f"the seat {one['id']} to {one['airport']} is still held" for one in held if released[one["id"]] != 1]


def _dollars(rows: Sequence[LedgerRow]) -> str:
    return ", ".join(f"${row['detail']['usd']}" for row in rows) or "nothing"


def _approval_problems(seen: Seen) -> list[str]:
    """No booking goes out without a yes to that very call, each yes is good for one, and what is paid is what it was for."""
    sent = approvals(seen.entries)
    problems = [f"{one.call.step} went out, and nobody had said yes to that call" for one in sent if one.answered is None]
    said = [one.answered for one in sent if one.answered is not None]
    problems += [f"{one.by} said yes, and has no say in it" for one in said if TRAVELLER not in one.roles]
    asked = [one.asked for one in sent if one.asked is not None]
    problems += [f"{one.interrupt} was not asked by the policy for its amount" for one in asked if not _is_by_amount(one)]
    # A second attempt goes out on a word of its own: that it did not happen the first time.
    used = Counter(one.asked.interrupt for one in sent if one.asked is not None and one.call.attempt == 1)
    problems += [f"the yes to {name} was used {count} times" for name, count in used.items() if count > 1]
    approved = [str(one.args["usd"]) for one in asked]
    paid = [row["detail"]["usd"] for row in rows_of(seen.ledger, "payments", "captured")]
    if paid and paid[-1:] != approved[-1:]:
        problems.append(f"paid is ${paid[-1]}, and approved was {f'${approved[-1]}' if approved else 'nothing'}")
    return problems


def _is_by_amount(asked: e.Asked) -> bool:
    ruling = asked.ruling
    return ruling is not None and ruling.policy.startswith("travel@") and ruling.looked == {"amount": asked.args["usd"]}


def _belief_problems(story: Story, seen: Seen) -> list[str]:
    """What was inferred is to be seen as that; a correction takes down what rests on it, and nothing else."""
    if not seen.entries:
        return []
    origin, end = fold(seen.entries).facts.get("origin"), seen.events[-1]
    problems = []
    if origin is None or (origin.source, origin.value) != ("inferred", story.origin):
        problems.append("from where it goes was inferred, and that is not to be seen")
    elif not confirmed_before_booking(seen.events, "origin"):
        problems.append("nobody was asked whether what was inferred is so before the booking")
    elif not origin.confirmed_by and "origin" not in (end.guessed if isinstance(end, e.RunCompleted) else ()):
        problems.append("nobody confirmed what was inferred, and the end does not say so")
    for at, fell in corrections(seen.events):
        rest = resting(seen.events[:at], "airport")
        if sorted(fell.outdated) != sorted(rest):
            problems.append(f"with the airport fell {', '.join(fell.outdated)}, where {', '.join(rest)} rest on it")
        problems += [f"with the airport fell the fact {name}" for name in fell.facts]
    return problems


def _story_problems(story: Story, seen: Seen) -> list[str]:
    """Where scripts think, all seven things must have come about."""
    events = seen.events
    problems = [] if seen.deaths == 2 else [f"{seen.deaths} workers were killed in the middle of an effect, where 2 must be"]
    guessed = {event.question.name: event.question.guess for event in events if isinstance(event, e.Inferred)}
    if guessed != {"origin": story.origin, "airport": GUESSED}:
        problems.append(f"guessed was {guessed}")
    recalled = [fact for event in events if isinstance(event, e.MemoryRecalled) for fact in event.facts]
    if not any((fact.name, fact.value, fact.source) == ("airport", GUESSED, "remembered") for fact in recalled):
        problems.append("the airport of the last flights is not remembered")
    failed = {(event.step.partition("_")[0], event.failure.kind) for event in events if isinstance(event, e.CallFailed)}
    if ("search", "transient") not in failed:
        problems.append("no search was lost")
    if ("booking", "conflict") not in failed:
        problems.append("no booking was refused because the seat was gone")
    listed = [(one["found"], one["fitting"], len(one["best"])) for one in shortlists(events)]
    if listed[:1] != [(FOUND, FITTING, SHOWN)]:
        problems.append(f"found, fitting and shown were {listed[:1]}, where {FOUND}, {FITTING} and {SHOWN} must be")
    if len(corrections(events)) != 1:
        problems.append(f"the airport was corrected {len(corrections(events))} times, where 1 must be")
    return problems + _question_problems(story, seen)


def _question_problems(story: Story, seen: Seen) -> list[str]:
    asked = [event for event in seen.events if isinstance(event, e.Asked)]
    options = [len(event.asks.options) for event in asked if event.asks is not None]
    problems = [] if SHOWN in options else [f"a person was shown {options} options, and never {SHOWN}"]
    amounts = [event.args["usd"] for event in asked if event.about == "call"]
    if amounts[-2:] != [story.wanted["usd"], story.booked["usd"]]:
        problems.append(f"approvals were asked for {amounts}, where that of the flight that is gone and of the next must be")
    kinds = ["question", "fact", "call", *(["doubt"] if seen.deaths else [])]
    return problems + [f"nobody was asked about a {kind}" for kind in kinds if kind not in {event.about for event in asked}]
