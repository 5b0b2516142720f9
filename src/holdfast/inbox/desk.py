"""The inbox of a store: what people are asked in all runs, and what they do about it.

    await app.inbox.list(by="ann", tool="pay", order="amount")
    shown = await app.inbox.show("order-7", by="ann")
    await app.inbox.decide("order-7", "approve", "ann", note="she called")

Every verb that decides needs to know who says it. Who may is looked up in the directory of the store; where that is empty anybody
may, but for questions that name somebody.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from holdfast.core.events import Entry
from holdfast.core.evolve import fold
from holdfast.core.state import State
from holdfast.errors import AnswerRefused, HoldfastError, UsageError
from holdfast.inbox import bulk as many
from holdfast.inbox.answers import answer
from holdfast.inbox.bulk import Bulk, LeftOut
from holdfast.inbox.granting import Scope, granted
from holdfast.inbox.speech import BY_MAX, name_of, which
from holdfast.inbox.who import Speaker, may_decide, speaker_of
from holdfast.inbox.words import comment
from holdfast.journal.base import Journal
from holdfast.journal.people import CLAIM_SECONDS, InboxFilter, OpenInterrupt, Person, StandingApproval
from holdfast.views.interrupts import Shown, shown
from holdfast.views.words import moment

CLAIM_SECONDS_MAX = 7 * 86400.0
BULK_LIMIT = 500


class Clock(Protocol):
    """now: seconds since the epoch."""

    def now(self) -> float: ...


class Inbox:
    """What people are asked, in all runs of a store. Filters are the fields of `journal.people.InboxFilter`, as keywords."""

    def __init__(self, journal: Journal, clock: Clock):
        self._journal = journal
        self._clock = clock

    # --- looking --------------------------------------------------------------------------------------------------

    async def list(self, *, by: str | None = None, **filters: Any) -> builtins.list[OpenInterrupt]:
        """What is open and wants an answer, the most urgent first. by: only what this person may decide. UsageError for a filter
        that it has not; with `answered=True` it is what waits for a worker instead, with None both."""
        wanted = _wanted(filters)
        if by is None:
            return await self._journal.inbox(wanted, self._clock.now())
        return await self._of_person(await self._speaker(by), wanted)

    async def count(self, *, by: str | None = None, **filters: Any) -> int:
        """How many are open, whatever the limit and the page."""
        wanted, now = _wanted(filters), self._clock.now()
        if by is None:
            return await self._journal.inbox_count(wanted, now)
        speaker = await self._speaker(by)
        if not speaker.known:
            return 0
        counts = [await self._journal.inbox_count(one, now) for one in _by_tenant(_for_person(wanted, speaker), speaker)]
        return sum(counts)

    async def show(self, run_id: str, interrupt: str | None = None, *, by: str | None = None) -> Shown:
        """Something that a run asks, with all that a person needs to judge it. interrupt: needed only when several are open. by:
        who is shown it; that they saw it is kept. AnswerRefused where nothing is open, or that is not."""
        entries, state = await self._read(run_id)
        asked, now = which(state, interrupt), self._clock.now()
        row = await self._journal.open_interrupt(run_id, asked.interrupt)
        claimed_by, claimed_until = (row.claimed_by, row.claimed_until) if row is not None else ("", 0.0)
        if by is not None:
            await self._journal.saw(run_id, asked.interrupt, name_of(by, "who is shown it", run_id), now)
        return shown(state, entries, asked, now, claimed_by=claimed_by, claimed_until=claimed_until)

    # --- taking in hand -------------------------------------------------------------------------------------------

    async def claim(self, run_id: str, interrupt: str, by: str, seconds: float = CLAIM_SECONDS) -> OpenInterrupt:
        """Take a question in hand, so that nobody else decides it meanwhile; who has it prolongs it. AnswerRefused where they may
        not decide it, where another one has it (it says who, and until when), where it is answered, and where it is not open."""
        if not 0 < seconds <= CLAIM_SECONDS_MAX:
            raise UsageError(f"{seconds} seconds", run_id=run_id, hint="a question is had in hand for up to a week")
        speaker = await self._speaker(by, run_id)
        row = await self._open(run_id, interrupt)
        _check_row(row, speaker)
        if (why := many.answered_already(row, speaker)) is not None:
            raise AnswerRefused(f"{row.interrupt}: {why}", run_id=run_id, step=row.step or None)
        now = self._clock.now()
        return _held(await self._journal.claim_interrupt(run_id, interrupt, speaker.name, now, now + seconds), row, speaker.name)

    async def release(self, run_id: str, interrupt: str, by: str) -> OpenInterrupt:
        """Give a question back. AnswerRefused where another one has it in hand, and where it is not open."""
        speaker = await self._speaker(by, run_id)
        row, now = await self._open(run_id, interrupt), self._clock.now()
        if not _in_hand(row, now):
            return row
        _check_hand(row, speaker.name, now)
        await self._journal.claim_interrupt(run_id, interrupt, speaker.name, now, now - 1)
        return msgspec.structs.replace(row, claimed_by="", claimed_until=0.0)

    # --- deciding -------------------------------------------------------------------------------------------------

    async def decide(
        self, run_id: str, decision: str, by: str, *, interrupt: str | None = None, value: Any = None, note: str = "",
        force: bool = False,
    ) -> str:  # fmt: skip
        """Answer what a run asks; returns the interrupt's id. AnswerRefused where it cannot be taken, or not from them.

        decision: approve, edit (value: arguments to change), reject, respond (value: the result) or cancel. force: also where
        somebody else has it in hand.
        """
        speaker = await self._speaker(by, run_id)
        return await self._decide(run_id, decision, speaker, interrupt=interrupt, value=value, note=note, force=force)

    async def decide_many(
        self, decision: str, by: str, *, note: str = "", confirm: str | None = None, limit: int = BULK_LIMIT, **filters: Any
    ) -> Bulk:
        """Say approve, reject or cancel to all that wants an answer and the filters let through; the first time nothing happens.

        What comes back says what would be decided, and what not and why; with its `confirm` it is carried out. AnswerRefused, and
        nothing is decided, where the inbox has changed since. One that cannot be decided does not hold up the others.
        limit: of questions that are looked at, in order.
        """
        many.check(decision, limit)
        speaker = await self._speaker(by)
        wanted, now = _wanted({**filters, "limit": limit}), self._clock.now()
        rows = await self._journal.inbox(wanted, now)
        chosen, left = many.parted(rows, decision, speaker, now)
        more = max(await self._journal.inbox_count(wanted, now) - len(rows), 0) if len(rows) == limit else 0
        found = many.summed(chosen, decision, left, more, speaker)
        if confirm is None:
            return found
        many.check_same(confirm, found)
        failed = [error for row in chosen if (error := await self._one_of_many(row, decision, speaker, note)) is not None]
        return msgspec.structs.replace(
            found, confirm="", carried_out=True, done=len(chosen) - len(failed), failed=tuple(failed)
        )  # fmt: skip

    async def _one_of_many(self, row: OpenInterrupt, decision: str, speaker: Speaker, note: str) -> LeftOut | None:
        try:
            await self._decide(row.run_id, decision, speaker, interrupt=row.interrupt, note=note, digest=row.digest, bulk=True)
        except HoldfastError as error:
            return LeftOut(run_id=row.run_id, interrupt=row.interrupt, why=error.what)
        return None

    async def _decide(
        self, run_id: str, decision: str, speaker: Speaker, *, interrupt: str | None, value: Any = None, note: str = "",
        force: bool = False, digest: str | None = None, bulk: bool = False,
    ) -> str:  # fmt: skip
        """digest: of what was shown, where that was before now."""
        _, state = await self._read(run_id)
        asked, now = which(state, interrupt), self._clock.now()
        if digest is not None and asked.digest != digest:
            raise AnswerRefused(f"{asked.interrupt}: what was shown has changed since", run_id=run_id)
        row = await self._journal.open_interrupt(run_id, asked.interrupt)
        if row is not None and not force:
            _check_hand(row, speaker.name, now)
        message = answer(
            state, decision, by=speaker.name, now=now, interrupt=asked.interrupt, value=value, note=note, roles=speaker.roles,
            known=speaker.known, tenants=speaker.tenants, bulk=bulk,
            seen_at=await self._journal.seen_at(run_id, asked.interrupt, speaker.name),
        )  # fmt: skip
        await self._journal.send(run_id, message)
        return asked.interrupt

    async def comment(self, run_id: str, text: str, by: str, *, interrupt: str | None = None, id: str | None = None) -> str:
        """Remark on what a run asks, or asked; it decides nothing. Returns the interrupt's id. id: the same comment with the same
        id is made once."""
        _, state = await self._read(run_id)
        message = comment(state, interrupt, text, by=by, now=self._clock.now(), id=id)
        await self._journal.send(run_id, message)
        return str(message.body["interrupt"])

    # --- approving in advance -------------------------------------------------------------------------------------

    async def allow(
        self, tool: str, by: str, *, until: float | str, args: dict[str, Any] | None = None, agent: str = "", run_id: str = "",
        tenant: str | None = None, amount_max: float | None = None, uses_max: int | None = None, note: str = "",
        like: tuple[str, str] | None = None,
    ) -> StandingApproval:  # fmt: skip
        """Approve calls of a tool in advance, and those that are asked about now.

        until: seconds from now, or a text such as `7d`; a year at the most. args: arguments that a call must have. agent, run_id,
        tenant, amount_max, uses_max: only calls of these, up to so much, so often. like: (run, interrupt) of an open question
        that it is given for: only for its tool as it is now, and its agent; `tool` may be empty then. It answers what `by` may
        decide, where one person is enough and the rule lets it. AnswerRefused where they may not give it.
        """
        scope = Scope(
            tool=tool, args=args or {}, agent=agent, run_id=run_id, tenant=tenant, amount_max=amount_max, uses_max=uses_max
        )  # fmt: skip
        row = await self._open(*like) if like is not None else None
        approval = granted(scope, await self._speaker(by), row, until, note, self._clock.now())
        await self._journal.grant(approval)
        return approval

    async def revoke(self, id: str, by: str) -> StandingApproval:
        """Take a standing approval back: it answers nothing from now on. UsageError where there is none."""
        speaker = await self._speaker(by)
        if not speaker.known:
            raise AnswerRefused(f"nobody knows {speaker.name}", hint="only people of the directory take it back")
        revoked = await self._journal.revoke(id, speaker.name, self._clock.now())
        if revoked is None:
            raise UsageError(f"there is no standing approval {id[:60]!r}", hint="`holdfast allowed --all` lists them")
        return revoked

    async def standing(self, *, active: bool = False) -> builtins.list[StandingApproval]:
        """All standing approvals, the latest first. active: only those that may answer something now."""
        return await self._journal.standing_approvals(self._clock.now() if active else None)

    # --- the directory --------------------------------------------------------------------------------------------

    async def people(self) -> builtins.list[Person]:
        """All who are known, by name. Where there are none, anybody may decide what names nobody."""
        return await self._journal.people()

    async def put_person(
        self, name: str, roles: Iterable[str] = (), *, mail: str = "", tenants: Iterable[str] = ()
    ) -> Person:  # fmt: skip
        """Let somebody be known, in place of whoever had the name. roles: which questions are theirs. mail: where they are told.
        tenants: whose runs they decide about (none: all). UsageError for what is no name, and where a name would be a role."""
        person = Person(name=name, roles=tuple(dict.fromkeys(roles)), mail=mail, tenants=tuple(dict.fromkeys(tenants)))
        _check_person(person, await self._journal.people())
        await self._journal.put_person(person)
        return person

    async def remove_person(self, name: str) -> bool:
        """Forget somebody; what they decided stays. Whether they were there."""
        return await self._journal.remove_person(name)

    # --- what the others stand on ---------------------------------------------------------------------------------

    async def speaker(self, by: str, run_id: str = "") -> Speaker:
        """What the directory says of somebody. AnswerRefused where nobody is named."""
        return await self._speaker(by, run_id)

    async def _speaker(self, by: str, run_id: str = "") -> Speaker:
        return speaker_of(await self._journal.people(), name_of(by, "a word", run_id))

    async def _read(self, run_id: str) -> tuple[builtins.list[Entry], State]:
        entries = (await self._journal.read(run_id)).entries
        return entries, fold(entries)

    async def _open(self, run_id: str, interrupt: str) -> OpenInterrupt:
        """A row of the inbox; AnswerRefused, with what became of it, where there is none."""
        row = await self._journal.open_interrupt(run_id, interrupt)
        if row is None:
            _, state = await self._read(run_id)
            asked = which(state, interrupt)
            raise AnswerRefused(f"{asked.interrupt} is not in the inbox", run_id=run_id, hint="its run has ended")
        return row

    async def _of_person(self, speaker: Speaker, wanted: InboxFilter) -> builtins.list[OpenInterrupt]:
        """What somebody may decide, page by page until there is enough of it."""
        if not speaker.known:
            return []
        wanted, found = _for_person(wanted, speaker), builtins.list[OpenInterrupt]()
        while len(found) < wanted.limit:
            page = await self._journal.inbox(wanted, self._clock.now())
            found += [row for row in page if not speaker.tenants or row.tenant in speaker.tenants]
            if len(page) < wanted.limit:
                break
            wanted = msgspec.structs.replace(wanted, after=(page[-1].run_id, page[-1].interrupt))
        return found[: wanted.limit]


# --- filters ----------------------------------------------------------------------------------------------------------


def _wanted(filters: dict[str, Any]) -> InboxFilter:
    names = InboxFilter.__struct_fields__
    for name in filters:
        if name not in names:
            raise UsageError(f"the inbox has no filter {name[:40]!r}", hint=f"it has {', '.join(names)}, and by")
    who = filters.get("who")
    try:
        wanted = msgspec.convert({**filters, **({"who": (who,)} if isinstance(who, str) else {})}, InboxFilter)
    except msgspec.ValidationError as error:
        raise UsageError(f"the inbox cannot be filtered so: {error}") from error
    if wanted.limit < 1:
        raise UsageError(f"the limit is {wanted.limit}", hint="it is at least 1")
    return wanted


def _for_person(wanted: InboxFilter, speaker: Speaker) -> InboxFilter:
    if wanted.who is not None or wanted.person is not None:
        raise UsageError("`by` says whose inbox it is, and so do `who` and `person`", hint="give one of them")
    wanted = msgspec.structs.replace(wanted, who=(speaker.name, *speaker.roles), person=speaker.name)
    only = len(speaker.tenants) == 1 and wanted.tenant is None
    return msgspec.structs.replace(wanted, tenant=speaker.tenants[0]) if only else wanted


def _by_tenant(wanted: InboxFilter, speaker: Speaker) -> Iterable[InboxFilter]:
    """The same for each tenant that somebody decides for."""
    if not speaker.tenants:
        return (wanted,)
    tenants = [name for name in speaker.tenants if wanted.tenant in (None, name)]
    return [msgspec.structs.replace(wanted, tenant=name) for name in tenants]


# --- who has it, and who may ------------------------------------------------------------------------------------------


def _in_hand(row: OpenInterrupt, now: float) -> bool:
    return bool(row.claimed_by) and row.claimed_until > now


def _check_hand(row: OpenInterrupt, by: str, now: float) -> None:
    if _in_hand(row, now) and row.claimed_by != by:
        raise _in_others_hands(row)


def _held(after: OpenInterrupt | None, before: OpenInterrupt, by: str) -> OpenInterrupt:
    """What was claimed; AnswerRefused where somebody was faster."""
    if after is None:
        raise AnswerRefused(f"{before.interrupt} is not open any more", run_id=before.run_id)
    if after.claimed_by != by:
        raise _in_others_hands(after)
    return after


def _in_others_hands(row: OpenInterrupt) -> AnswerRefused:
    what = f"{row.interrupt}: {row.claimed_by} has it in hand until {moment(row.claimed_until)}"
    return AnswerRefused(
        what,
        run_id=row.run_id,
        step=row.step or None,
        hint="wait, or ask them; `holdfast answer … --force` decides it all the same",
    )


def _check_row(row: OpenInterrupt, speaker: Speaker) -> None:
    if (why := may_decide(row, row.approvals, speaker, row.tenant)) is not None:
        raise AnswerRefused(f"{row.interrupt}: {why}", run_id=row.run_id, step=row.step or None)


def _check_person(person: Person, people: Iterable[Person]) -> None:
    for word in (person.name, *person.roles, *person.tenants):
        if not word or word != word.strip() or len(word) > BY_MAX or not word.isprintable():
            hint = f"it has 1 to {BY_MAX} printable characters, and no space around them"
            raise UsageError(f"{word[:40]!r} is no name of a person, a role or a tenant", hint=hint)
    others = [other for other in people if other.name != person.name]
    # A question names roles and people alike, so whoever had the name of a role would have what is for all of that role.
    if person.name in person.roles or any(person.name in other.roles for other in others):
        raise UsageError(f"{person.name} is a role, and cannot be somebody's name", hint="give the person another name")
    for other in others:
        if other.name in person.roles:
            raise UsageError(f"{other.name} is a person, and cannot be a role", hint="give the role another name")
