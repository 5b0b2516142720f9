"""Is the world as it must be? Effects are counted in the ledger; the journals are asked how the runs were left."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.core.events import CallUnknown, Entry
from holdfast.core.evolve import fold
from holdfast.core.state import State
from holdfast.labs.onboarding.story import Hire, Story
from holdfast.labs.services.ledger import LedgerRow, RequestRow

SERVICES = ("mailbox", "vpn", "orders", "mail", "background")
STEPS = ("mailbox", "background", "vpn", "laptop", "welcome")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What there is to look at. was_killed: SIGKILL ended the first worker while an answer was held back. was_late: the late
    background check was brought back, and taken, while no worker was there."""

    ledger: Sequence[LedgerRow]
    requests: Sequence[RequestRow]
    histories: Mapping[str, Sequence[Entry]]
    was_killed: bool
    was_late: bool


def effects(ledger: Sequence[LedgerRow], hire: Hire) -> Counter[str]:
    """How often each service did something for a hire."""
    return Counter(row["service"] for row in ledger if row["subject"] in (hire.user, hire.address))


def deliveries(ledger: Sequence[LedgerRow], hire: Hire) -> Counter[str]:
    """How often a hire's background check was brought back: `delivered` and `refused`."""
    return Counter(row["action"] for row in ledger if row["service"] == "callbacks" and row["subject"] == hire.user)


def deliveries_expected(story: Story, hire: Hire) -> dict[str, int]:
    """How often it must have been."""
    return {"delivered": int(hire != story.silent), "refused": int(hire == story.twice)}


def check(story: Story, seen: Seen) -> list[str]:
    """Everything that is not as it must be, a sentence each; empty when all is well."""
    problems = [] if seen.was_killed else ["the worker was not killed between an effect and its answer"]
    problems += [] if seen.was_late else ["the late background check was not brought back while no worker was there"]
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
    brought = deliveries(seen.ledger, hire)
    problems += [
        f"{brought[action]} background checks {action}, where {number} must be"
        for action, number in deliveries_expected(story, hire).items()
        if brought[action] != number
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
    problems = _open_problems(story, hire, state)
    if not state.order:
        return problems
    if hire == story.lost:
        laptop = state.steps["laptop"]
        if laptop.settled_by != "probe" or not any(isinstance(entry.event, CallUnknown) for entry in entries):
            problems.append("the lost answer was not settled by asking the shop")
    if hire != story.silent and state.steps["background"].settled_by != "callback":
        problems.append("the background check was not settled by what was brought back")
    return problems


def _open_problems(story: Story, hire: Hire, state: State) -> list[str]:
    """Whether the run has ended; or, where something cannot be had, whether a person is asked about that and nothing else is
    left undone."""
    missing = {story.down: ("laptop", "failure"), story.silent: ("background", "owed")}.get(hire)
    if missing is None:
        return [] if state.ended == "completed" else [f"it is {state.ended or 'not ended'}, and must be completed"]
    step, about = missing
    asked = [(question.step, question.about) for question in state.interrupts.values()]
    problems = [] if asked == [(step, about)] else [f"a person must be asked about the {step}; open is {asked or 'nothing'}"]
    undone = [name for name in state.order if name != step and state.steps[name].phase != "done"]
    problems += [f"{name} is not done, although only the {step} is out of reach" for name in undone]
    if tuple(state.order) != STEPS:
        problems.append(f"its plan has the steps {', '.join(state.order) or 'none'}")
    return problems
