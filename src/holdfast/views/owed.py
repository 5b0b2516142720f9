"""What the world still owes a run, in words: what, by whom, since when and until when, what settles it, what follows if not.

Who owes it, its handle and its items are names that the other side gave: they are cut here, and made harmless where they
are printed.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from holdfast.core.contract import AtDeadline, Contract
from holdfast.core.pending import About, Found, Pending, can_look, look_wait
from holdfast.core.state import State
from holdfast.views.words import FIELD_MAX, cut, listed, moment, span

AT_DEADLINE: dict[AtDeadline, str] = {
    "ask": "a person is asked",
    "fail": "it counts as failed",
    "repeat": "it is made again under a new key",
    "give_up": "it is given up and flagged",
}


class OwedView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is owed to a step. about: its `result`; the `rest` of what was done in part; or that what was done can
    be seen (`sight`). what: that in words. items: the parts that are owed. since, until, due_at, looked_at: seconds since the
    epoch; looks: how often it was looked for, and due_at when it is next. settled_by: what may settle it, each in a few
    words. at_deadline: what follows where nothing does. found: the last look's answer. child: the run that owes it.
    interrupt: what a person is asked about it."""

    step: str
    tool: str
    about: About
    what: str
    by: str
    since: float
    until: float
    settled_by: tuple[str, ...] = ()
    at_deadline: str = ""
    items: tuple[str, ...] = ()
    handle: str = ""
    child: str = ""
    looks: int = 0
    looked_at: float | None = None
    due_at: float | None = None
    found: str = ""
    message: str = ""
    interrupt: str = ""


def owed(state: State) -> tuple[OwedView, ...]:
    """All that a run is owed, or was when it ended, the first deadline first."""
    return tuple(owed_view(state, one) for one in sorted(state.pending.values(), key=lambda one: (one.until, one.step)))


def owed_view(state: State, one: Pending) -> OwedView:
    """One thing that a run is owed."""
    # Nothing settles what is owed to a run that has ended.
    contract = None if state.ended else state.contracts.get(one.tool)
    looked_for = contract is not None and can_look(contract) and not one.child
    return OwedView(
        step=one.step, tool=one.tool, about=one.about, what=_what(one), by=_by(one), since=one.since, until=one.until,
        settled_by=() if state.ended else _settled_by(one, contract),
        at_deadline=AT_DEADLINE[contract.at_deadline] if contract else "", items=one.items, handle=one.handle, child=one.child,
        looks=one.looks, looked_at=one.looked_at or None, due_at=min(one.due_at, one.until) if looked_for else None,
        found=_FOUND[one.found], message=one.message, interrupt=one.interrupt or "",
    )  # fmt: skip


_FOUND: dict[Found, str] = {"none": "", "came": "it came", "failed": "it will not come", "not_yet": "not there yet"}


def _what(one: Pending) -> str:
    if one.about == "result":
        return f"the result of {one.step}"
    if one.about == "rest":
        return f"{listed(one.items)} of {one.step}" if one.items else f"the rest of {one.step}"
    return f"that {one.step} can be seen"


def _by(one: Pending) -> str:
    return f"run {one.child}" if one.child else one.by or "the other side"


def _settled_by(one: Pending, contract: Contract | None) -> tuple[str, ...]:
    """What may settle it: the end of a child, a look on its schedule, a callback, a signal."""
    ways = []
    if one.child:
        ways.append("its end")
    elif contract is not None and can_look(contract):
        ways.append(f"{'poll' if contract.poll else 'probe'} every {span(look_wait(contract, one.looks))}")
    if contract is not None and contract.callback and one.about != "sight":
        ways.append("callback")
    if one.about != "sight" and not one.child:
        ways.append(f"signal {cut(one.signal or one.step, FIELD_MAX)}")
    return tuple(ways)


def owed_words(one: OwedView) -> str:
    """One line: `the result of seat is owed by airline until … (poll every 30s, callback)`."""
    ways = f" ({', '.join(one.settled_by)})" if one.settled_by else ""
    if one.about == "sight":
        return f"{one.step} is done, and must be seen by {moment(one.until)}{ways}"
    verb = "are" if one.about == "rest" and len(one.items) > 1 else "is"
    return f"{one.what} {verb} owed by {cut(one.by, FIELD_MAX)} until {moment(one.until)}{ways}"


# --- over all runs of a store -------------------------------------------------------------------------------------


class OwedRow(Protocol):
    """What a store lists of something that is owed; `journal.base.Owed` is one."""

    @property
    def run_id(self) -> str: ...
    @property
    def step(self) -> str: ...
    @property
    def tool(self) -> str: ...
    @property
    def about(self) -> str: ...
    @property
    def by(self) -> str: ...
    @property
    def since(self) -> float: ...
    @property
    def until(self) -> float: ...
    @property
    def due_at(self) -> float: ...


class OwedLine(msgspec.Struct, frozen=True, kw_only=True):
    """Something that some run is owed. due_at: when it is looked for next; None where only word from outside settles it
    before its deadline. overdue: its deadline is over, and no worker has looked yet."""

    run_id: str
    step: str
    tool: str
    about: str
    by: str
    since: float
    until: float
    due_at: float | None = None
    overdue: bool = False


def owed_line(row: OwedRow, now: float) -> OwedLine:
    """One row of what is owed over all runs."""
    return OwedLine(
        run_id=row.run_id, step=row.step, tool=row.tool, about=row.about, by=row.by, since=row.since, until=row.until,
        due_at=row.due_at if 0 < row.due_at < row.until else None, overdue=row.until <= now,
    )  # fmt: skip


ABOUT: dict[str, str] = {"result": "its result", "rest": "the rest of it", "sight": "that it can be seen"}
