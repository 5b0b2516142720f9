"""Is the world as it must be? Effects are counted in the ledger; the journals are asked how the runs were left."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.core.events import CallUnknown, Entry
from holdfast.core.evolve import fold
from holdfast.core.state import State
from holdfast.labs.onboarding.story import Hire, Story
from holdfast.labs.services.ledger import LedgerRow, RequestRow

SERVICES = ("mailbox", "vpn", "orders", "mail")
STEPS = ("mailbox", "vpn", "laptop", "welcome")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What there is to look at. was_killed: SIGKILL ended the first worker while an answer was held back."""

    ledger: Sequence[LedgerRow]
    requests: Sequence[RequestRow]
    histories: Mapping[str, Sequence[Entry]]
    was_killed: bool


def effects(ledger: Sequence[LedgerRow], hire: Hire) -> Counter[str]:
    """How often each service did something for a hire."""
    return Counter(row["service"] for row in ledger if row["subject"] in (hire.user, hire.address))


def check(story: Story, seen: Seen) -> list[str]:
    """Everything that is not as it must be, a sentence each; empty when all is well."""
    problems = [] if seen.was_killed else ["the worker was not killed between an effect and its answer"]
    for hire in story.hires:
        problems += [f"{hire.name}: {problem}" for problem in _world_problems(story, hire, seen)]
        problems += [f"{hire.run_id}: {problem}" for problem in _run_problems(story, hire, seen)]
    known = {name for hire in story.hires for name in (hire.user, hire.address)}
    strangers = sorted({row["subject"] for row in seen.ledger} - known)
    problems += [f"the ledger has something for {stranger}, who is no hire" for stranger in strangers]
    return problems


def _world_problems(story: Story, hire: Hire, seen: Seen) -> list[str]:
    expected = dict.fromkeys(SERVICES, 1) | ({"orders": 0} if hire == story.down else {})
    counted = effects(seen.ledger, hire)
    problems = [
        f"{counted[service]} rows of {service} in the ledger, where {expected[service]} must be"
        for service in SERVICES
        if counted[service] != expected[service]
    ]
    if hire == story.lost and not _was_lost(seen, hire):
        problems.append("the answer to the order was not lost, so nothing is shown about that")
    return problems


def _was_lost(seen: Seen, hire: Hire) -> bool:
    """Whether the order is in the ledger and its request was never answered."""
    orders = {row["n"] for row in seen.ledger if row["service"] == "orders" and row["subject"] == hire.user}
    return any(row["effect"] in orders and row["status"] is None for row in seen.requests)


def _run_problems(story: Story, hire: Hire, seen: Seen) -> list[str]:
    entries = seen.histories.get(hire.run_id)
    if not entries:
        return ["there is no such run"]
    state = fold(entries)
    if hire == story.down:
        return _blocked_problems(state)
    problems = [] if state.ended == "completed" else [f"it is {state.ended or 'not ended'}, and must be completed"]
    if hire == story.lost and state.order:
        laptop = state.steps["laptop"]
        if laptop.settled_by != "probe" or not any(isinstance(entry.event, CallUnknown) for entry in entries):
            problems.append("the lost answer was not settled by asking the shop")
    return problems


def _blocked_problems(state: State) -> list[str]:
    asked = [(question.step, question.about) for question in state.interrupts.values()]
    problems = (
        [] if asked == [("laptop", "failure")] else [f"a person must be asked about the laptop; open is {asked or 'nothing'}"]
    )
    undone = [name for name in state.order if name != "laptop" and state.steps[name].phase != "done"]
    problems += [f"{name} is not done, although only the laptop is out of reach" for name in undone]
    if tuple(state.order) != STEPS:
        problems.append(f"its plan has the steps {', '.join(state.order) or 'none'}")
    return problems
