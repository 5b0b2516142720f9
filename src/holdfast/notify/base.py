"""What tells people something, and who is told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from holdfast.errors import HoldfastError
from holdfast.journal.people import Notice, Person


class NotifyError(HoldfastError):
    """A channel could not send a notice.

    transient: whether it is tried again. retry_after_seconds: what the other side asked for; the next try waits at least so long.
    """

    def __init__(self, what: str, *, transient: bool = True, retry_after_seconds: float | None = None, hint: str | None = None):
        super().__init__(what, hint=hint)
        self.transient = transient
        self.retry_after_seconds = retry_after_seconds


class Channel(Protocol):
    """A way to tell people something. A notice may come more than once, each time with the same id."""

    @property
    def name(self) -> str:
        """Unique among the channels of a store, and the same in every process: what was sent is remembered under it."""

    async def send(self, notice: Notice, to: tuple[Person, ...]) -> str | None:
        """Send it to those who are known and meant. What is to be remarked on it (nobody had an address), or None.

        Raises NotifyError where it was not sent, or nobody knows. Whatever else it raises counts as that, and is tried again.
        It is cancelled when it takes too long; what blocks goes into a thread (`notify/threads.py`).
        """


def addressees(notice: Notice, people: Iterable[Person]) -> tuple[Person, ...]:
    """Those of the people who are told: whoever has a name or a role that the notice names, and everybody where it names none;
    without those who decide about other tenants only."""
    return tuple(person for person in people if _is_meant(notice, person) and _is_of_tenant(notice, person))


def _is_meant(notice: Notice, person: Person) -> bool:
    return not notice.who or not {person.name, *person.roles}.isdisjoint(notice.who)


def _is_of_tenant(notice: Notice, person: Person) -> bool:
    return not person.tenants or notice.tenant in person.tenants
