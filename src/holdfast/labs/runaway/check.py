"""Is the world as it must be? What was charged and what was done is read in the ledger; the journals are asked how each run was
left, what it counted as spent, and what it knows to have done."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from holdfast.core import events as e
from holdfast.core.events import Entry
from holdfast.core.evolve import fold
from holdfast.core.state import State
from holdfast.labs.runaway.story import AT_ONCE, BOUNDS, BUDGET, NAMES
from holdfast.labs.services.ledger import LedgerRow


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What there is to look at. in_flight: calls under way when the worker was killed in the middle of a picture. were_killed:
    SIGKILL ended it there, and while a model was asked. model: the real one that was asked; None for the scripts."""

    ledger: Sequence[LedgerRow]
    histories: Mapping[str, Sequence[Entry]]
    in_flight: int
    were_killed: bool
    model: str | None = None


def done(ledger: Sequence[LedgerRow], name: str) -> list[LedgerRow]:
    """What the office did for a run."""
    return [row for row in ledger if row["subject"] == name]


def charged(ledger: Sequence[LedgerRow], name: str) -> Decimal:
    """What a run was charged, by those who charged it: its pictures, and the answers of its script."""
    rows = [row for row in ledger if row["subject"] in (name, f"scripted:{name}")]
    return sum((Decimal(row["detail"].get("usd", "0")) for row in rows), Decimal(0))


def answers(ledger: Sequence[LedgerRow], name: str) -> int:
    """How many answers of its script were charged."""
    return sum(row["subject"] == f"scripted:{name}" for row in ledger)


def state_of(seen: Seen, name: str) -> State | None:
    entries = seen.histories.get(name)
    return fold(entries) if entries else None


def known(entries: Sequence[Entry]) -> list[str]:
    """The ids of what a run knows to have been done, as they stand in the results of its steps."""
    values = [step.value for step in fold(entries).steps.values() if step.phase == "done"]
    return [value["id"] for value in values if isinstance(value, dict) and "id" in value]


def check(seen: Seen) -> list[str]:
    """Everything that is not as it must be, a sentence each; empty when all is well."""
    problems = [f"{name}: {problem}" for name in NAMES for problem in _problems(seen, name)]
    if seen.model is None:
        problems += [] if seen.were_killed else ["a worker was not killed between what was reserved and what was settled"]
        problems += [] if seen.in_flight == AT_ONCE else [f"{seen.in_flight} calls were in flight, where {AT_ONCE} must be"]
    payers = {*NAMES, *(f"scripted:{name}" for name in NAMES)}
    strangers = sorted({row["subject"] for row in seen.ledger} - payers)
    return problems + [f"the ledger has something for {stranger}, who is none of them" for stranger in strangers]


def _problems(seen: Seen, name: str) -> list[str]:
    state = state_of(seen, name)
    if state is None or not state.ended:
        return ["it did not end"]
    problems = _money_problems(seen, name, state)
    rows = done(seen.ledger, name)
    twice = [what for what, count in Counter(_what(row) for row in rows).items() if count > 1]
    problems += [f"{what} was done twice" for what in twice]
    ids, kept = [row["detail"]["id"] for row in rows], known(seen.histories[name])
    problems += [f"{made} is in the ledger, and the run does not know of it" for made in ids if made not in kept]
    problems += [f"{made} is said to be done, and is not in the ledger" for made in kept if made not in ids]
    return problems if seen.model is not None else problems + _story_problems(seen, name, state)


def _money_problems(seen: Seen, name: str, state: State) -> list[str]:
    paid, limit = charged(seen.ledger, name), Decimal(BUDGET)
    problems = [] if paid <= limit else [f"${paid} were charged, and the limit is ${limit}"]
    if state.spent.cost_usd > limit:
        problems.append(f"${state.spent.cost_usd} were counted, and the limit is ${limit}")
    if paid > state.spent.cost_usd:
        problems.append(f"${paid} were charged, and only ${state.spent.cost_usd} counted")
    if state.reserved:
        problems.append(f"something is still held of its budget, for {', '.join(state.reserved)}")
    return problems


def _story_problems(seen: Seen, name: str, state: State) -> list[str]:
    """Where scripts think, it is known how each must end."""
    problems = []
    bound, end = BOUNDS[name], seen.histories[name][-1].event
    reason = end.reason if isinstance(end, e.RunFailed) else ""
    problems += [f"it ended with {reason!r}, which does not say {why!r}" for why in bound.why if why not in reason]
    counted = Counter(row["service"] for row in done(seen.ledger, name))
    problems += [
        f"{counted[service]} rows of {service} in the ledger, where {number} must be"
        for service, number in bound.kept.items()
        if counted[service] != number
    ]
    paid = charged(seen.ledger, name)
    if name != "spends" and paid != state.spent.cost_usd:
        problems.append(f"${paid} were charged, and ${state.spent.cost_usd} counted, though nothing was lost")
    if name == "spends" and counted["pictures"] < AT_ONCE:
        problems.append(f"{counted['pictures']} pictures were made, fewer than were in flight at once")
    return problems


def _what(row: LedgerRow) -> str:
    detail = {part: value for part, value in row["detail"].items() if part not in ("id", "usd", "size")}
    return f"{row['service']} {row['action']} ({', '.join(detail.values())})"
