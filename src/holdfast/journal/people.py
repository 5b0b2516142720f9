"""What a store keeps for people: what they are asked, what was decided, who they are, and what they are to be told.

Most of it is derived from the journals of the runs: what is open, and what was ruled and decided, goes into the commit that
carries the events (`Batch.opened`, `closed`, `judged`, `decided`, `notices`). Who has what in hand, who saw what, who the people
are, and what they approve in advance, is the store's own.

Times are seconds since the epoch and come from the caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Protocol

import msgspec

from holdfast.core.facts import same_value

# How much is listed where it is not said.
INBOX_MAX = 100
JUDGED_MAX = 1_000_000
NOTICES_MAX = 1000
# How long somebody has a question to themselves who took it in hand.
CLAIM_SECONDS = 900.0
# What is listed of a value whose JSON has more bytes is how many they are; see `listed`.
VALUE_BYTES_LISTED = 2_000

InboxOrder = Literal["due", "oldest", "amount"]


class OpenInterrupt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that a person is asked, as the store lists it.

    kind, about, question, options (decisions that may be given), who, not_by, people, amount: as in `Asked`. args: too, but long
    values are cut (see `listed`); the journal has them whole. rule: that asks, or the word for what does; policy: `name@version`.
    approvals: who approved so far. due_at: when the ladder goes on; expires_at: when the default holds. contract: the digest of
    what the tool promises. standing: whether a standing approval may answer. claimed_by, claimed_until: who has it in hand.
    comments: how many. answered_by: whose answer waits for a worker; of several people the names, joined by `, `, of those whose
    answers wait.
    """

    run_id: str
    interrupt: str
    kind: str
    about: str
    agent: str
    question: str
    digest: str
    asked_at: float
    expires_at: float
    tenant: str = ""
    priority: int = 0
    tool: str = ""
    step: str = ""
    args: dict[str, Any] = {}
    options: tuple[str, ...] = ()
    rule: str = ""
    policy: str = ""
    amount: float | None = None
    who: tuple[str, ...] = ()
    not_by: tuple[str, ...] = ()
    people: int = 1
    approvals: tuple[str, ...] = ()
    rung: int = 0
    due_at: float | None = None
    contract: str = ""
    standing: bool = False
    comments: int = 0
    claimed_by: str = ""
    claimed_until: float = 0.0
    answered_by: str = ""


class InboxFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of the inbox; what is None is not looked at. who: of these roles and names at least one may decide it (or
    anybody may), and `person` did not refuse it before nor approve it already. asked_before: by then. due_before: the ladder, or
    the end, is due by then. claimed: whether somebody has it in hand. search: a text that is in the question, the step or the id
    of the run, whatever its case. answered: False for what still wants an answer (of several people: as long as those whose
    answers wait, and those who approved, are too few; with `person`: not theirs already), True for what has been answered and
    waits for a worker to take it, None for both. after: (run, interrupt) of the last one on the page before."""

    kind: str | None = None
    about: str | None = None
    rule: str | None = None
    policy: str | None = None
    tool: str | None = None
    agent: str | None = None
    tenant: str | None = None
    run_id: str | None = None
    who: tuple[str, ...] | None = None
    person: str | None = None
    amount_min: float | None = None
    amount_max: float | None = None
    asked_before: float | None = None
    due_before: float | None = None
    claimed: bool | None = None
    answered: bool | None = False
    search: str | None = None
    order: InboxOrder = "due"
    after: tuple[str, str] | None = None
    limit: int = INBOX_MAX


class Judged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A ruling that was made, and what came of it, as the store lists them. entry: of the event that carries it, in the run's
    journal. document: what the policy looked at, see `core/proposed.py`; long values are cut, see `listed`. asked: whether a
    person was. interrupt: under which.

    decision: of the person (`expired`, `withdrawn` where there was none); empty while it is open, and where nobody was asked.
    by: who decided (all who approved). edited: the arguments that they gave instead, cut like the document. seen_at, decided_at:
    when the last of them was first shown it, and decided. standing: the id of the approval given in advance.
    """

    run_id: str
    entry: int
    at: float
    agent: str
    rule: str
    verdict: str
    asked: bool
    about: str = "call"
    kind: str = ""
    tenant: str = ""
    step: str = ""
    tool: str = ""
    policy: str = ""
    draw: float | None = None
    rate: float | None = None
    amount: float | None = None
    document: dict[str, Any] = {}
    interrupt: str = ""
    decision: str = ""
    by: tuple[str, ...] = ()
    edited: dict[str, Any] | None = None
    note: str = ""
    seen_at: float | None = None
    decided_at: float | None = None
    bulk: bool = False
    standing: str = ""


class Decided(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of a question; it completes the `Judged` of the same run and interrupt. See there."""

    interrupt: str
    decision: str
    at: float
    by: tuple[str, ...] = ()
    edited: dict[str, Any] | None = None
    note: str = ""
    seen_at: float | None = None
    bulk: bool = False
    standing: str = ""


class JudgedFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rulings are wanted; what is None is not looked at. since, until: by when they were made (the end is not in it)."""

    policy: str | None = None
    rule: str | None = None
    tool: str | None = None
    agent: str | None = None
    tenant: str | None = None
    run_id: str | None = None
    since: float | None = None
    until: float | None = None
    limit: int = JUDGED_MAX


class StandingApproval(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A yes in advance. tool: of whose calls; args: arguments that they must have, by name (others may be any); agent, run_id,
    tenant: only of these, where given; amount_max: only up to it. until: when it ends. contract: what the tool promises (its
    digest), where it was given for that. by, roles: who gave it, and who they were then; who they are when it is to answer
    counts, see `PeopleStore.grant`. uses_max: how often; uses: how often so far. revoked_at, revoked_by: where it is taken
    back."""

    id: str
    tool: str
    by: str
    at: float
    until: float
    args: dict[str, Any] = {}
    agent: str = ""
    run_id: str = ""
    tenant: str | None = None
    amount_max: float | None = None
    contract: str = ""
    roles: tuple[str, ...] = ()
    note: str = ""
    uses_max: int | None = None
    uses: int = 0
    revoked_at: float | None = None
    revoked_by: str = ""


class Person(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who may decide. roles: which questions are theirs. mail: where they are told. tenants: whose runs they decide
    about (empty: all)."""

    name: str
    roles: tuple[str, ...] = ()
    mail: str = ""
    tenants: tuple[str, ...] = ()


NoticeKind = Literal[
    "asked", "reminded", "escalated", "handed_off", "expired", "withdrawn", "failed", "cancelled", "flagged", "found"
]  # fmt: skip


class Notice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that people are to be told. id: the same however often it is sent. what: why. who: roles or names; empty: all who
    are told anything. body: what is said, without secrets."""

    id: str
    what: NoticeKind
    run_id: str
    at: float
    agent: str = ""
    tenant: str = ""
    interrupt: str = ""
    who: tuple[str, ...] = ()
    body: dict[str, Any] = {}


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that one channel is to send now, for the `tries`-th time."""

    notice: Notice
    channel: str
    tries: int


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a notice on a channel. sent_at: None while it is tried again (at next_at) and where it was given up (next_at
    is None)."""

    notice: Notice
    channel: str
    tries: int
    sent_at: float | None = None
    next_at: float | None = None
    error: str = ""


class PeopleStore(Protocol):
    """The part of `Journal` that is for people."""

    async def inbox(self, wanted: InboxFilter, now: float) -> list[OpenInterrupt]:
        """What is open and wanted, in order. A claim that is over is none."""

    async def inbox_count(self, wanted: InboxFilter, now: float) -> int:
        """How many there are, whatever the limit and the page."""

    async def open_interrupt(self, run_id: str, interrupt: str) -> OpenInterrupt | None:
        """One of them."""

    async def claim_interrupt(self, run_id: str, interrupt: str, by: str, now: float, until: float) -> OpenInterrupt | None:
        """Let somebody have it to themselves until then, where nobody else has it in hand: the row as it is afterwards, whoever
        has it; None where it is not open. Who has it can prolong it, and gives it back with `until` in the past."""

    async def saw(self, run_id: str, interrupt: str, by: str, at: float) -> None:
        """Somebody was shown it; the first time is kept. Nothing where it is not open."""

    async def seen_at(self, run_id: str, interrupt: str, by: str) -> float | None:
        """When somebody was first shown it."""

    async def judged(self, wanted: JudgedFilter) -> list[Judged]:
        """Rulings and what came of them, the oldest first."""

    async def grant(self, approval: StandingApproval) -> int:
        """Keep a standing approval, and let it answer what is open and covered by it; how many. One with an id that is known
        takes the place of what was said under it; how often that was used, and that it was revoked, stays.

        Now and whenever something is opened later, it answers as far as who gave it may decide at that time: where the directory
        is not empty they must be in it, and their roles and tenants are those that it has then. The answer carries these roles.
        """

    async def revoke(self, approval_id: str, by: str, at: float) -> StandingApproval | None:
        """Take one back: it answers nothing from now on. What it is now (as before, where it was revoked already), or None where
        there is none."""

    async def standing_approvals(self, now: float | None = None) -> list[StandingApproval]:
        """All, the latest first; now: only those that may answer then, by people who are known."""

    async def people(self) -> list[Person]:
        """All who are known, by name. Where there are none, everybody may decide."""

    async def put_person(self, person: Person) -> None:
        """Keep somebody in place of whoever has the name."""

    async def remove_person(self, name: str) -> bool:
        """Forget somebody; what they decided stays. Whether they were there."""

    async def tell(self, notices: Iterable[Notice]) -> None:
        """Keep notices that no commit of a run carries; one with an id that is known is not told again."""

    async def claim_notices(self, channel: str, now: float, lease_seconds: float, limit: int) -> list[Sending]:
        """Notices that this channel is to send now; nobody else is given them before the lease is over. A notice that the channel
        has not sent and that is older than a day is not sent any more, unless what it is about is still open."""

    async def settle_notice(
        self, notice_id: str, channel: str, *, sent_at: float | None = None, next_at: float | None = None, error: str = ""
    ) -> None:
        """Say what became of it: sent, to be tried again, or (neither) given up."""

    async def notices(self, run_id: str | None = None, limit: int = NOTICES_MAX) -> list[Sent]:
        """What was to be told, the latest first, with what became of it on each channel; without one, `channel` is empty."""


def covers(approval: StandingApproval, asked: OpenInterrupt, now: float) -> bool:
    """Whether a standing approval answers a question: about a call, of one person, that lets it, and that is within its scope. An
    argument that is cut is never the one that was named.

    The roles of the approval are taken as they stand in it; `journal.inbox.covered` looks them up in the directory before.
    """
    return (
        asked.about == "call"
        and asked.kind == "approval"
        and asked.standing
        and asked.people == 1
        and approval.revoked_at is None
        and now < approval.until
        and (approval.uses_max is None or approval.uses < approval.uses_max)
        and approval.tool == asked.tool
        and approval.agent in ("", asked.agent)
        and approval.run_id in ("", asked.run_id)
        and approval.tenant in (None, asked.tenant)
        and approval.contract in ("", asked.contract)
        and approval.by not in asked.not_by
        and (not asked.who or bool({approval.by, *approval.roles} & set(asked.who)))
        and (approval.amount_max is None or (asked.amount is not None and asked.amount <= approval.amount_max))
        and all(_is_same(asked.args, name, value) for name, value in approval.args.items())
    )


def _is_same(args: dict[str, Any], name: str, value: Any) -> bool:
    return name in args and not is_cut(args[name]) and same_value(args[name], value)


def standing_answer(approval: StandingApproval, asked: OpenInterrupt) -> dict[str, Any]:
    """The body of the message by which a standing approval answers a question."""
    return {
        "interrupt": asked.interrupt, "digest": asked.digest, "decision": "approve", "by": approval.by, "value": None,
        "note": approval.note, "roles": list(approval.roles), "standing": approval.id,
    }  # fmt: skip


# --- long values ------------------------------------------------------------------------------------------------------


def listed(values: dict[str, Any]) -> dict[str, Any]:
    """Named values as a store lists them: one whose JSON has more than VALUE_BYTES_LISTED bytes is `{"cut": BYTES}`. The others
    stay, so that they can be compared and conditions over them hold as before."""
    return {name: _cut(value) for name, value in values.items()}


def is_cut(value: Any) -> bool:
    """Whether something stands for a long value, or could: then nobody can tell what it was."""
    if not isinstance(value, dict) or value.keys() != {"cut"}:
        return False
    return type(value["cut"]) is int and value["cut"] > VALUE_BYTES_LISTED


def _cut(value: Any) -> Any:
    size = len(msgspec.json.encode(value))
    return {"cut": size} if size > VALUE_BYTES_LISTED else value
