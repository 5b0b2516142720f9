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
from holdfast.core.events import Failure, Verdict

About = Literal["result", "rest", "sight"]
Action = Literal["settle", "look", "wait", "fail", "repeat", "give_up", "ask"]
Found = Literal["none", "came", "failed", "not_yet", "cannot_tell"]
ANY: None = None


class Pending(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that is owed to a step.

    items: what is owed, where it has parts with names. by: who owes it. since, until: seconds since the epoch. looks: how
    often it was looked for; looking: the fence of an open look; looked_at: when the last one was made; due_at: when the next
    one is. found, value, failure: what the last look, a callback or a signal brought. asked: a person was asked.
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
    settled_by: Literal["", "probe", "callback", "signal", "child"] = ""
    value: Any = None
    failure: Failure | None = None
    message: str = ""
    interrupt: str | None = None
