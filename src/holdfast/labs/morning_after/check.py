"""Is the world as it must be? Payments are counted in the ledger of the bank; the journals are asked how the runs were left."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.core import events as e
from holdfast.core.events import Entry
from holdfast.core.evolve import fold
from holdfast.labs.morning_after.story import MORNING, NIGHT, WRONG, Story
from holdfast.labs.services.ledger import LedgerRow, RequestRow
from holdfast.replaying import Replayed


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What there is to look at. as_recorded, as_of_today: the night walked again, with its own agent and with the one of the
    morning; asked_meanwhile: requests that reached a service while it was explained and walked. paid_at_night: rows of the ledger
    when the morning began. deaths: workers that were killed. model: who thought in place of the script."""

    ledger: Sequence[LedgerRow]
    requests: Sequence[RequestRow]
    histories: Mapping[str, Sequence[Entry]]
    as_recorded: Replayed | None
    as_of_today: Replayed | None
    asked_meanwhile: int
    paid_at_night: int
    deaths: int
    model: str | None = None


def payments(ledger: Sequence[LedgerRow]) -> list[LedgerRow]:
    return [row for row in ledger if row["service"] == "payments"]


def wrong_step(entries: Sequence[Entry], tool: str = "convert") -> str | None:
    """The step that converts what is owed in yen, or the one that pays it; a model gives them names of its own."""
    for entry in entries:
        event = entry.event
        is_it = isinstance(event, e.CallIntended) and event.tool == tool and {"JPY", WRONG} & set(map(str, event.args.values()))
        if isinstance(event, e.CallIntended) and is_it:
            return event.step
    return None


def fork_of(entries: Sequence[Entry]) -> e.RunForked | None:
    return next((entry.event for entry in entries if isinstance(entry.event, e.RunForked)), None)


def check(story: Story, seen: Seen) -> list[str]:
    """Everything that is not as it must be, a sentence each; empty when all is well."""
    problems = _twice_problems(story, seen)
    if seen.model is None:
        problems += _world_problems(story, seen) + _night_problems(story, seen) + _morning_problems(story, seen)
        if seen.deaths != 2:
            problems.append(f"{seen.deaths} workers were killed between an effect and its record, where 2 must be")
    return problems


def _twice_problems(story: Story, seen: Seen) -> list[str]:
    counted = Counter(row["subject"] for row in payments(seen.ledger))
    problems = [f"{subject} was paid {count} times" for subject, count in counted.items() if count > 1]
    closed = sum(row["service"] == "closings" for row in seen.ledger)
    if closed > 1:
        problems.append(f"the day was closed {closed} times")
    if seen.asked_meanwhile:
        problems.append(f"{seen.asked_meanwhile} requests were made while the night was explained and walked again")
    return problems


def _world_problems(story: Story, seen: Seen) -> list[str]:
    paid = {row["subject"]: row["detail"]["eur"] for row in payments(seen.ledger)}
    problems = [
        f"{partner} was paid {paid.get(story.subject(partner), 'nothing')}, where {eur} was owed"
        for partner, eur in story.owed.items()
        if paid.get(story.subject(partner)) != eur
    ]
    if len(paid) > len(story.owed):
        problems.append("somebody was paid to whom nothing is owed")
    if not any(row["service"] == "closings" for row in seen.ledger):
        problems.append("the day was not closed")
    return problems


def _night_problems(story: Story, seen: Seen) -> list[str]:
    entries = seen.histories.get(NIGHT, ())
    if not entries or fold(entries).ended != "failed":
        return [f"{NIGHT} did not fail"]
    problems = []
    if seen.paid_at_night != len(story.first_part):
        problems.append(f"{seen.paid_at_night} payments were made at night, where {len(story.first_part)} must be")
    if seen.as_recorded is None or not seen.as_recorded.agrees:
        problems.append(f"{NIGHT} walked again does not come to what is recorded")
    found = seen.as_of_today.divergence if seen.as_of_today is not None else None
    step = wrong_step(entries, "pay")
    if found is None or found.step != step:
        problems.append(f"by the agent of the morning it goes another way at {found.step if found else 'no step'}, not at {step}")
    return problems


def _morning_problems(story: Story, seen: Seen) -> list[str]:
    night, entries = seen.histories.get(NIGHT, ()), seen.histories.get(MORNING, ())
    fork = fork_of(entries)
    if fork is None or fold(entries).ended != "completed":
        return [f"{MORNING} is no fork that completed"]
    point = fork.entry
    before = {entry.event.key for entry in night[:point] if isinstance(entry.event, e.CallIntended)}
    after = [entry.event for entry in entries[point:] if isinstance(entry.event, e.CallIntended)]
    problems = [f"{call.step} went out under a key of the night" for call in after if call.key in before]
    done = {name for name, step in fold(night[:point]).steps.items() if step.phase == "done"}
    problems += [f"{call.step} was done at night, and called again" for call in after if call.step in done]
    asked = {entry.event.step for entry in entries[point:] if isinstance(entry.event, e.Asked)}
    contracts = fold(entries).contracts
    problems += [
        f"{call.step} was made, and nobody was asked"
        for call in after
        if contracts[call.tool].safety != "read" and call.step not in asked
    ]
    return problems
