"""What is compared, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec

from holdfast.core.contract import Contract
from holdfast.core.events import Entry
from holdfast.core.models import ZERO

# How a step ended, or that it did not: what the sentence about two runs is made from.
Ending = Literal["planned", "done", "part", "failed", "skipped", "unknown", "undone", "open"]
Aligned = Literal["id", "call", "order"]


class StepSide(msgspec.Struct, frozen=True, kw_only=True):
    """One step of one side. args: as the plan has them; called: of its call, None where there was none. strategy: the rest of
    the planned step, as JSON, without what is as by default. call: a digest of what makes its call the same one. outcome: how it
    stands in people's words; reason: why, where it did not go as planned. approvals: what people were asked and said, and what
    policies ruled. seconds: from its first call to its end. pending: what it is owed. last: the last entry about it."""

    id: str
    tool: str
    args: dict[str, Any] = {}
    called: dict[str, Any] | None = None
    strategy: dict[str, Any] = {}
    call: str = ""
    ending: Ending = "planned"
    outcome: str = ""
    reason: str = ""
    attempts: int = 0
    result: Any = None
    settled_by: str = ""
    approvals: tuple[str, ...] = ()
    seconds: float | None = None
    cost: Decimal = ZERO
    pending: tuple[str, ...] = ()
    last: int = 0


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """A run, or a plan, to be compared. name: as it was asked for. facts: what is to be compared of it as a whole, by name; only
    what both sides have is. contracts: None for a plan, which has none. entries: of a run, up to the point that was asked for.
    source, source_entry, mode: of a fork, where it comes from. seconds: from its start to its last entry."""

    name: str
    kind: Literal["run", "plan"]
    run_id: str = ""
    steps: tuple[StepSide, ...] = ()
    facts: dict[str, Any] = {}
    contracts: dict[str, Contract] | None = None
    entries: Sequence[Entry] = ()
    status: str = ""
    reason: str = ""
    result: Any = None
    source: str = ""
    source_entry: int = 0
    mode: str = ""
    seconds: float = 0.0


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that differs. part: of what (`args`, `outcome`, `limits`, …); path: where in it, as `items[2].price`, empty for
    the whole. kind: `added` is in B only, `left_out` in A only. before, after: the values of A and B; of a long one a part of its
    JSON as text, from where they begin to differ, and before_characters, after_characters say how long the whole is. more:
    so many more differences of this part are not listed."""

    part: str
    path: str = ""
    kind: Literal["changed", "added", "left_out", "more"] = "changed"
    before: Any = None
    after: Any = None
    before_characters: int = 0
    after_characters: int = 0
    more: int = 0


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A step of A and the step of B that it was aligned with, or one of either alone. a, b: their names, empty where there is
    none. aligned_by: their names, what they call, or their tools in order. moved: it comes at another place among the others.
    taken_over: what happened to it is in the part that both journals share. a_outcome, b_outcome: how each stands, in words."""

    kind: Literal["same", "changed", "added", "left_out"]
    a: str = ""
    b: str = ""
    tool: str = ""
    aligned_by: Aligned | Literal[""] = ""
    moved: bool = False
    taken_over: bool = False
    a_outcome: str = ""
    b_outcome: str = ""
    changes: tuple[Change, ...] = ()


class SideView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is said of a side beside what differs. source, entry, mode: of a fork."""

    name: str
    kind: Literal["run", "plan"]
    run_id: str = ""
    status: str = ""
    reason: str = ""
    source: str = ""
    entry: int = 0
    mode: str = ""
    steps: int = 0
    entries: int = 0
    seconds: float = 0.0


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two sides, and what differs. sentence: what a person needs first. same: nothing that counts differs. same_entries: so many
    first entries of both journals say the same, times and keys aside; taken_over: of a fork and its source, or of two forks of
    one, how many of them are one record. next_a, next_b: the first entries that differ, in words. run: what differs of the
    whole. steps: in the order of A, those of B alone where they come in B. counts: pairs of each kind, and those moved."""

    sentence: str
    same: bool
    a: SideView
    b: SideView
    same_entries: int = 0
    taken_over: int = 0
    next_a: str = ""
    next_b: str = ""
    run: tuple[Change, ...] = ()
    steps: tuple[Pair, ...] = ()
    counts: dict[str, int] = {}
