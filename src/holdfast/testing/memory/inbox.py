"""What people are asked, in memory: what each method of `Journal` that is about it does to what is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import msgspec

from holdfast.errors import AnswerRefused
from holdfast.journal import inbox as rules
from holdfast.journal.base import Batch, Message
from holdfast.journal.people import (
    Decided,
    InboxFilter,
    Judged,
    JudgedFilter,
    OpenInterrupt,
    Person,
    StandingApproval,
)

_Key = tuple[str, str]
_EQUAL = ("kind", "about", "rule", "policy", "tool", "agent", "tenant", "run_id")
_EQUAL_JUDGED = ("policy", "rule", "tool", "agent", "tenant", "run_id")


class _Directory(Protocol):
    """Who the people are."""

    def people(self) -> list[Person]: ...


class _Runs(Protocol):
    """What is needed of the store that has the runs."""

    writes: int

    @property
    def notices(self) -> _Directory: ...
    def send(self, run_id: str, message: Message) -> int: ...
    def messages(self, run_id: str) -> list[Message]: ...


def as_written(batch: Batch) -> Batch:
    """A batch with what it says of questions as a store reads it back. What cannot be written is an error here, before anything
    of the batch is."""
    if not (batch.opened or batch.judged or batch.decided):
        return batch
    return msgspec.structs.replace(
        batch,
        opened=_read_back(batch.opened, tuple[OpenInterrupt, ...]),
        judged=_read_back(batch.judged, tuple[Judged, ...]),
        decided=_read_back(batch.decided, tuple[Decided, ...]),
    )


def _read_back(value: Any, kind: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value), type=kind)


class Inbox:
    """What is open, what was judged and what is approved in advance, of a store; each method is one transaction."""

    def __init__(self, store: _Runs):
        self._store = store
        self._open: dict[_Key, OpenInterrupt] = {}
        # What is open no more, and since when.
        self._left: dict[_Key, tuple[OpenInterrupt, float]] = {}
        self._seen: dict[tuple[str, str, str], float] = {}
        self._judged: dict[tuple[str, int], Judged] = {}
        self._approvals: dict[str, StandingApproval] = {}

    # --- what a batch says ----------------------------------------------------------------------------------------

    def follow(self, batch: Batch) -> None:
        for asked in batch.opened:
            key = batch.run_id, asked.interrupt
            self._open[key] = rules.as_opened(asked, batch.run_id, self._open.get(key))
        for interrupt in batch.commented:
            if (found := self._open.get((batch.run_id, interrupt))) is not None:
                self._open[batch.run_id, interrupt] = msgspec.structs.replace(found, comments=found.comments + 1)
        if batch.closed:
            self._close(batch.run_id, batch.closed, batch.at)
        for ruling in batch.judged:
            self._judged.setdefault((batch.run_id, ruling.entry), msgspec.structs.replace(ruling, run_id=batch.run_id))
        for decided in batch.decided:
            self._decide(batch.run_id, decided)

    def _decide(self, run_id: str, decided: Decided) -> None:
        about = [key for key, one in self._judged.items() if key[0] == run_id and one.interrupt == decided.interrupt != ""]
        if about:
            self._judged[max(about)] = rules.decided(self._judged[max(about)], decided)

    def end(self, run_id: str, at: float) -> None:
        """Nothing of a run is open any more."""
        self._close(run_id, [interrupt for run, interrupt in self._open if run == run_id], at)

    def _close(self, run_id: str, interrupts: Iterable[str], at: float) -> None:
        for key in ((run_id, interrupt) for interrupt in interrupts):
            if key in self._open:
                self._left[key] = self._open.pop(key), at
                self._seen = {who: first for who, first in self._seen.items() if who[:2] != key}
                self._left = {k: left for k, left in self._left.items() if left[1] >= at - rules.LEFT_SECONDS}

    def oldest(self) -> float | None:
        """When the oldest of what is open was asked."""
        return min((asked.asked_at for asked in self._open.values()), default=None)

    def drop(self, run_id: str) -> None:
        """Forget all that is about a run."""
        self._open = {key: asked for key, asked in self._open.items() if key[0] != run_id}
        self._left = {key: left for key, left in self._left.items() if key[0] != run_id}
        self._seen = {who: at for who, at in self._seen.items() if who[0] != run_id}
        self._judged = {key: one for key, one in self._judged.items() if key[0] != run_id}

    def answer_opened(self, batch: Batch) -> None:
        """Answer what a batch opened and is still open, as far as it is covered."""
        for opened in batch.opened:
            asked = self._open.get((batch.run_id, opened.interrupt))
            if asked is not None:
                oldest_first = sorted(self._approvals.values(), key=lambda approval: (approval.at, approval.id))
                approval = rules.first_that_covers(oldest_first, asked, batch.at, self._directory())
                if approval is not None:
                    self._answer(approval, asked, batch.at)

    def _answer(self, approval: StandingApproval, asked: OpenInterrupt, at: float) -> bool:
        try:
            self._store.send(asked.run_id, rules.answer(approval, asked, at))
        except AnswerRefused:
            return False
        kept = self._approvals[approval.id]
        self._approvals[approval.id] = msgspec.structs.replace(kept, uses=kept.uses + 1)
        return True

    def _directory(self) -> Mapping[str, Person] | None:
        """The people by name; None where nobody is known."""
        return {person.name: person for person in self._store.notices.people()} or None

    # --- reading --------------------------------------------------------------------------------------------------

    def listed(self, wanted: InboxFilter, now: float) -> list[OpenInterrupt]:
        found = sorted(self._wanted(wanted, now), key=lambda asked: rules.place(asked, wanted.order))
        stood = self._stood(wanted.after) if wanted.after is not None else None
        if stood is not None:
            after = rules.place(stood, wanted.order)
            found = [asked for asked in found if rules.place(asked, wanted.order) > after]
        return found[: max(wanted.limit, 0)]

    def count(self, wanted: InboxFilter, now: float) -> int:
        return len(self._wanted(wanted, now))

    def _wanted(self, wanted: InboxFilter, now: float) -> list[OpenInterrupt]:
        rows = (rules.as_of(asked, now) for asked in self._open.values() if self._is_as_answered(asked, wanted))
        return [self._heard(asked) for asked in rows if _is_wanted(asked, wanted)]

    def _is_as_answered(self, asked: OpenInterrupt, wanted: InboxFilter) -> bool:
        if wanted.answered is None:
            return True
        slots = [word.slot for word in self._waiting(asked)]
        if not wanted.answered and wanted.person is not None and f"{asked.interrupt}:{wanted.person}" in slots:
            return False
        return rules.is_answered(asked, slots) == wanted.answered

    def _waiting(self, asked: OpenInterrupt) -> list[Message]:
        words = self._store.messages(asked.run_id)
        return [word for word in words if word.kind == "answer" and rules.is_for(asked, word.slot)]

    def _heard(self, asked: OpenInterrupt) -> OpenInterrupt:
        return rules.answered(asked, [word.body for word in self._waiting(asked)])

    def _stood(self, key: _Key) -> OpenInterrupt | None:
        """What stands there, or stood there until lately."""
        return self._open[key] if key in self._open else self._left[key][0] if key in self._left else None

    def one(self, run_id: str, interrupt: str) -> OpenInterrupt | None:
        found = self._open.get((run_id, interrupt))
        return self._heard(found) if found is not None else None

    def claim(self, run_id: str, interrupt: str, by: str, now: float, until: float) -> OpenInterrupt | None:
        found = self._open.get((run_id, interrupt))
        if found is None:
            return None
        self._store.writes += 1
        self._open[run_id, interrupt] = rules.claimed(found, by, now, until)
        return self.one(run_id, interrupt)

    def saw(self, run_id: str, interrupt: str, by: str, at: float) -> None:
        if (run_id, interrupt) in self._open and (run_id, interrupt, by) not in self._seen:
            self._store.writes += 1
            self._seen[run_id, interrupt, by] = at

    def seen_at(self, run_id: str, interrupt: str, by: str) -> float | None:
        return self._seen.get((run_id, interrupt, by))

    def judged(self, wanted: JudgedFilter) -> list[Judged]:
        found = [ruling for _, ruling in sorted(self._judged.items()) if _is_wanted_judged(ruling, wanted)]
        return sorted(found, key=lambda ruling: ruling.at)[: max(wanted.limit, 0)]

    # --- standing approvals ---------------------------------------------------------------------------------------

    def grant(self, approval: StandingApproval) -> int:
        approval = _read_back(approval, StandingApproval)
        self._approvals[approval.id] = rules.replaced(approval, self._approvals.get(approval.id))
        self._store.writes += 1
        oldest_first, people = sorted(self._open.values(), key=lambda asked: rules.place(asked, "oldest")), self._directory()
        answered = 0
        for asked in oldest_first:
            covering = rules.covered(self._approvals[approval.id], asked, approval.at, people)
            answered += covering is not None and self._answer(covering, asked, approval.at)
        return answered

    def revoke(self, approval_id: str, by: str, at: float) -> StandingApproval | None:
        found = self._approvals.get(approval_id)
        if found is not None and found.revoked_at is None:
            self._store.writes += 1
            found = self._approvals[approval_id] = msgspec.structs.replace(found, revoked_at=at, revoked_by=by)
        return found

    def approvals(self, now: float | None) -> list[StandingApproval]:
        found = sorted(self._approvals.values(), key=lambda approval: (approval.at, approval.id), reverse=True)
        if now is None:
            return found
        people = self._directory()
        return [approval for approval in found if rules.may_answer(approval, now) and rules.is_given(approval, people)]


def _is_wanted(asked: OpenInterrupt, wanted: InboxFilter) -> bool:
    """Whether an open interrupt is what is looked for; a claim that is over is none already."""
    amount = asked.amount
    return (
        all(getattr(wanted, name) in (None, getattr(asked, name)) for name in _EQUAL)
        and (wanted.amount_min is None or (amount is not None and amount >= wanted.amount_min))
        and (wanted.amount_max is None or (amount is not None and amount <= wanted.amount_max))
        and (wanted.asked_before is None or asked.asked_at <= wanted.asked_before)
        and (wanted.due_before is None or rules.due(asked) <= wanted.due_before)
        and wanted.claimed in (None, asked.claimed_by != "")
        and (wanted.person is None or wanted.person not in rules.barred(asked))
        and (wanted.who is None or not asked.who or not set(wanted.who).isdisjoint(asked.who))
        and (wanted.search is None or wanted.search.casefold() in rules.words(asked))
    )


def _is_wanted_judged(ruling: Judged, wanted: JudgedFilter) -> bool:
    return (
        all(getattr(wanted, name) in (None, getattr(ruling, name)) for name in _EQUAL_JUDGED)
        and (wanted.since is None or ruling.at >= wanted.since)
        and (wanted.until is None or ruling.at < wanted.until)
    )
