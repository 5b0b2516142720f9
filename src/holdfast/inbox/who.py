"""Who may decide what. The same rule for a list, for an answer that is sent, and once more where the run takes it.

A question names roles or people (`who`); where it names none it is for everybody who is known. Where the directory is empty
everybody is known, and nobody has a role. Who refused the same before is not asked again, and nobody is two of several people.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from holdfast.journal.people import Person


class Speaker(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who says something. roles: of the directory. known: whether the directory has them, or is empty. tenants: whose
    runs they decide about (empty: all)."""

    name: str
    roles: tuple[str, ...] = ()
    known: bool = True
    tenants: tuple[str, ...] = ()


class Addressed(Protocol):
    """A question, as far as it says for whom it is: `events.Asked`, and `OpenInterrupt` of a store."""

    @property
    def who(self) -> tuple[str, ...]: ...
    @property
    def not_by(self) -> tuple[str, ...]: ...


class _Anybody(msgspec.Struct, frozen=True):
    who: tuple[str, ...] = ()
    not_by: tuple[str, ...] = ()


# What is for everybody who is known.
ANYBODY: Addressed = _Anybody()


def speaker_of(people: Iterable[Person], name: str) -> Speaker:
    """What the directory says of somebody."""
    everybody = {person.name: person for person in people}
    if name not in everybody:
        return Speaker(name=name, known=not everybody)
    return Speaker(name=name, roles=everybody[name].roles, tenants=everybody[name].tenants)


def may_decide(asked: Addressed, approvals: Iterable[str], speaker: Speaker, tenant: str) -> str | None:
    """Why somebody may not decide this, as a sentence; None where they may. approvals: who approved it already. tenant: of the
    run."""
    if (why := has_say(asked, speaker, tenant)) is not None:
        return why
    if speaker.name in asked.not_by:
        return f"{speaker.name} refused the same before, and is not asked again"
    if speaker.name in approvals:
        return f"{speaker.name} approved it already, and it needs somebody else as well"
    return None


def has_say(asked: Addressed, speaker: Speaker, tenant: str) -> str | None:
    """Why a question is nothing for somebody, whatever they said of it before; None where it is for them."""
    if not speaker.known:
        return f"nobody knows {speaker.name or 'who this is'}"
    if speaker.tenants and tenant not in speaker.tenants:
        return f"{speaker.name} decides nothing for the tenant {tenant or '(none)'}"
    if asked.who and not {speaker.name, *speaker.roles} & set(asked.who):
        return f"{speaker.name} may not decide it; it is for {', '.join(asked.who)}"
    return None
