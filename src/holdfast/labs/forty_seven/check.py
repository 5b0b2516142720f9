"""Is the world as it must be? Mails are counted in the ledger; the journals are asked what each wake-up came to."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from holdfast.core import events as e
from holdfast.core.events import Entry
from holdfast.labs.forty_seven.story import WAKE_UPS, Customer, Story, run_id
from holdfast.labs.services.ledger import LedgerRow, RequestRow

CameTo = Literal["mailed", "suppressed", "nothing to do", "unclear"]
"""What a wake-up came to: `nothing to do` where the CRM showed an answer or a mail."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What there is to look at. naive: the ledger of the world that the plain function was let loose upon. were_killed: SIGKILL
    ended a worker in the middle of a mail, and another one while mails were out and not to be seen."""

    ledger: Sequence[LedgerRow]
    naive: Sequence[LedgerRow]
    requests: Sequence[RequestRow]
    histories: Mapping[str, Sequence[Entry]]
    were_killed: bool


def mails(ledger: Sequence[LedgerRow], customer: Customer) -> list[LedgerRow]:
    """The mails that went to a customer, whoever sent them."""
    return [row for row in ledger if row["service"] == "mail" and row["subject"] == customer.name]


def came_to(entries: Sequence[Entry]) -> CameTo:
    """What a wake-up came to."""
    kinds = {type(entry.event) for entry in entries}
    if e.FollowUpSuppressed in kinds:
        return "suppressed"
    if any(isinstance(entry.event, e.CallIntended) and entry.event.step.startswith("mail") for entry in entries):
        return "mailed"
    return "nothing to do" if e.RunCompleted in kinds else "unclear"


def wake_ups(story: Story, seen: Seen, customer: Customer) -> Counter[CameTo]:
    """What the wake-ups of a customer came to."""
    return Counter(came_to(seen.histories.get(run_id(number, customer), ())) for number in range(1, WAKE_UPS + 1))


def reused(entries: Sequence[Entry]) -> int:
    """How often a step of a run took the result of another one, instead of doing the same again."""
    return sum(isinstance(entry.event, e.ReuseRuled) for entry in entries)


def suppressed(entries: Sequence[Entry]) -> int:
    """How often a step of a run was not made, as it would have repeated what was owed."""
    return sum(isinstance(entry.event, e.FollowUpSuppressed) for entry in entries)


def check(story: Story, seen: Seen) -> list[str]:
    """Everything that is not as it must be, a sentence each; empty when all is well."""
    problems = [] if seen.were_killed else ["a worker was not killed in the middle of a mail, or while one was not to be seen"]
    for customer in story.everybody:
        problems += [f"{customer.name}: {problem}" for problem in _world_problems(story, customer, seen)]
    for customer in story.customers:
        problems += [f"{customer.name}: {problem}" for problem in _wake_up_problems(story, customer, seen)]
    problems += _turns_problems(story, seen)
    problems += _asked_problems(story, seen)
    if not any(came_to(entries) == "suppressed" for name, entries in seen.histories.items() if name.startswith("wake-")):
        problems.append("no wake-up was suppressed, so nothing is shown about that")
    problems += [
        f"{name}: it is not completed"
        for name, entries in seen.histories.items()
        if not isinstance(entries[-1].event, e.RunCompleted)
    ]
    return problems


def _world_problems(story: Story, customer: Customer, seen: Seen) -> list[str]:
    sent, expected = mails(seen.ledger, customer), story.mails_expected(customer)
    problems = [] if len(sent) == expected else [f"{len(sent)} mails in the ledger, where {expected} must be"]
    if len({row["key"] for row in sent}) != len(sent):
        problems.append("two mails went out under one key, so that one of them was not intended")
    if customer in story.customers:
        naive = len(mails(seen.naive, customer))
        wanted = 0 if customer == story.answered else WAKE_UPS
        problems += [] if naive == wanted else [f"the plain function sent {naive} mails, where {wanted} were to be expected"]
    return problems


def _wake_up_problems(story: Story, customer: Customer, seen: Seen) -> list[str]:
    counted = wake_ups(story, seen, customer)
    problems = [f"{counted['unclear']} wake-ups came to nothing that is known"] if counted["unclear"] else []
    mailed = 0 if customer == story.answered else 1
    if counted["mailed"] != mailed:
        problems.append(f"{counted['mailed']} wake-ups mailed, where {mailed} must have")
    return problems


def _turns_problems(story: Story, seen: Seen) -> list[str]:
    """Of all the mails of the run in turns but one, each must have been suppressed first, or be the same as the first."""
    name = f"turns-{story.in_turns.name}"
    entries = seen.histories.get(name, ())
    problems = [] if suppressed(entries) else [f"{name}: no follow-up was suppressed, so nothing is shown about that"]
    return problems + ([] if reused(entries) == WAKE_UPS - 1 else [f"{name}: {reused(entries)} mails were the same as the first"])


def _asked_problems(story: Story, seen: Seen) -> list[str]:
    """A person must have been asked about the mail to the key account, and about nothing else."""
    asked = [
        (name, entry.event.about, entry.event.tool)
        for name, entries in seen.histories.items()
        for entry in entries
        if isinstance(entry.event, e.Asked)
    ]
    about = [question[1:] for question in asked]
    whose = {name.rpartition("-")[2] for name, *_ in asked}
    if about == [("owed", "write_to_key_account")] and whose == {story.unseen_key.name}:
        return []
    return [f"a person must be asked once, about the mail to {story.unseen_key.name}; asked was {asked or 'nothing'}"]
