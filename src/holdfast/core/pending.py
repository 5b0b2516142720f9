"""What the world still owes: pending operations, and what follows for each of them.

A pending operation is opened by an outcome and belongs to its step:

    result   the call was deferred; its result is to come. The step waits for it, and what needs the step waits too.
    rest     a part was done; the rest is to come. The step counts as done with its part, and the run goes on.
    sight    it was done, and those who look may not see it yet. The step is done; nobody may take it for not done.

While one is open, a call that would repeat it is suppressed. It is settled by whatever comes first: a callback, a signal, a
look (poll or probe), the end of a child run, or a person. At its deadline there is one last look; then the contract's
`at_deadline` decides. Like the recovery table, what follows is a table in which every case meets exactly one row.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from holdfast.core.contract import AtDeadline, Contract
from holdfast.core.events import Failure

About = Literal["result", "rest", "sight"]
Action = Literal["settle", "look", "wait", "fail", "repeat", "give_up", "ask"]
Found = Literal["none", "came", "failed", "not_yet"]
ANY: None = None


class Pending(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that is owed to a step.

    items: what is owed, where it has parts with names. by: who owes it. since, until: seconds since the epoch. looks: how
    often it was looked for; looking: the fence of an open look; looked_at: when the last one was made; due_at: when the next
    one is. left: what is still to come of what was found. found, value, failure: what the last look, a callback or a signal
    brought. interrupt: the question about a rest or a sight that a person was asked.
    """

    step: str
    tool: str
    key: str
    about: About
    since: float
    until: float
    args: dict[str, Any] = {}
    items: tuple[str, ...] = ()
    by: str = ""
    handle: str = ""
    signal: str = ""
    child: str = ""
    looks: int = 0
    looking: int | None = None
    looked_at: float = 0.0
    due_at: float = 0.0
    found: Found = "none"
    left: tuple[str, ...] = ()
    settled_by: Literal["", "probe", "callback", "signal", "child"] = ""
    value: Any = None
    failure: Failure | None = None
    message: str = ""
    interrupt: str | None = None


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """One pending operation, as the table sees it.

    found: what was last heard of it. late: its deadline is over. looks: `due` where it is to be looked for now, `later`, or
    `never` where nobody can, or where the last look was made after the deadline. repeats: it may be made once more.
    """

    about: About
    found: Found
    late: bool
    looks: Literal["due", "later", "never"]
    at_deadline: AtDeadline
    repeats: bool


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table; a column that is None (ANY) matches everything."""

    label: str
    action: Action
    reason: str
    about: tuple[About, ...] | None = ANY
    found: tuple[Found, ...] = ("none", "not_yet")
    late: bool | None = True
    looks: tuple[str, ...] = ("never",)
    at_deadline: AtDeadline | None = ANY
    repeats: bool | None = ANY

    def matches(self, wait: Wait) -> bool:
        """Whether every column of the row holds for this operation."""
        return (
            (self.about is None or wait.about in self.about)
            and wait.found in self.found
            and (self.late is None or wait.late is self.late)
            and wait.looks in self.looks
            and (self.at_deadline is None or wait.at_deadline == self.at_deadline)
            and (self.repeats is None or wait.repeats is self.repeats)
        )


_ANY_LOOK = ("due", "later", "never")
TABLE: tuple[Row, ...] = (
    Row(label="came", action="settle", found=("came",), late=ANY, looks=_ANY_LOOK, reason="what was owed is there"),
    Row(label="failed", action="fail", found=("failed",), late=ANY, looks=_ANY_LOOK, reason="the other side says that it will not come"),
    Row(label="look", action="look", late=False, looks=("due",), reason="it is time to look for it"),
    Row(label="wait", action="wait", late=False, looks=("later", "never"), reason="it is not due yet"),
    Row(label="last-look", action="look", looks=("due", "later"), reason="its time is over; it is looked for once more"),
    Row(label="late-ask", action="ask", at_deadline="ask", reason="it has not come in the time it had"),
    Row(label="late-fail", action="fail", at_deadline="fail", reason="it has not come in the time it had, and counts as failed"),
    Row(label="late-give-up", action="give_up", at_deadline="give_up", reason="it has not come in the time it had, and is waited for no more"),
    Row(label="late-repeat", action="repeat", at_deadline="repeat", repeats=True, about=("result", "sight"), reason="it has not come in the time it had; the call is made once more, on purpose"),
    Row(label="late-repeated", action="ask", at_deadline="repeat", repeats=False, about=("result", "sight"), reason="it has not come, though the call was made again as often as it may be"),
    Row(label="late-rest", action="ask", at_deadline="repeat", about=("rest",), reason="the rest has not come in the time it had, and a part cannot be made again whole"),
)  # fmt: skip


def rule(wait: Wait) -> Row:
    """The one row that holds for a pending operation."""
    matching = [row for row in TABLE if row.matches(wait)]
    assert len(matching) == 1, f"{wait} meets {[row.label for row in matching]}"
    return matching[0]


def can_look(contract: Contract) -> bool:
    """Whether anybody can be asked for what a tool owes."""
    return contract.poll or contract.probe


def look_wait(contract: Contract, looks: int) -> float:
    """Seconds from one look to the next, the first one included: it doubles up to its maximum."""
    first, longest = contract.poll_seconds, contract.poll_seconds_max
    if not contract.poll:
        first, longest = contract.probe_seconds, max(contract.probe_window_seconds / 8, contract.probe_seconds)
    return min(first * 2.0 ** min(looks, 30), max(longest, first))


def as_wait(pending: Pending, contract: Contract, now: float, repeats: int) -> Wait:
    """The operation as the table sees it. repeats: how often its call was made again on purpose."""
    late = now >= pending.until
    looks: Literal["due", "later", "never"] = "later"
    seen = pending.looking is None and pending.looked_at >= pending.until  # A look that a crash took has seen nothing.
    if not can_look(contract) or pending.child or (late and seen):
        looks = "never"
    elif late or pending.due_at <= now:
        looks = "due"
    return Wait(
        about=pending.about,
        found=pending.found,
        late=late,
        looks=looks,
        at_deadline=contract.at_deadline,
        repeats=repeats < contract.repeats_max,
    )
