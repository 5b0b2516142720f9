"""Intent without outcome: what follows when nobody knows whether a call happened.

A call is in doubt when its outcome is unknown: the worker died, the call timed out, the connection broke, or the tool
said so. What may be done then follows from what the tool promised, and from nothing else. It is a table: every
combination of the columns meets exactly one row, each row has a label, and a test walks all combinations.

Columns
    safety      what the tool promises
    key         `alive`: a repeat sent now would still be recognised; `expired`: it might not; only `keyed` looks at it
    probe       whether the tool can be asked
    verdict     what it last said about this doubt: none yet, happened, not_happened, not_yet, cannot_tell
    settled     whether that probe was made when a lost request could no longer land (`settles_within`)
    window      whether there is still time to probe
    repeats     whether the call may be made once more (a call that kills its worker each time must end)

The doubt, not the last attempt, is what is settled: a lost attempt followed by one that failed for certain leaves the
lost one in doubt, and the table is asked again before anything is sent, retried or given up.

Actions: `repeat` the call under the same key; `probe`; `take` the probe's result; `fail`: it did not happen, for certain,
and what follows is a matter of strategy (`diagnosis`); `ask` a person.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from holdfast.core.contract import Safety
from holdfast.core.events import Verdict

Action = Literal["repeat", "probe", "take", "fail", "ask"]
Look = Literal["none"] | Verdict
ANY: None = None


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """One call in doubt, as the table sees it."""

    safety: Safety
    key: Literal["alive", "expired"]
    probe: bool
    verdict: Look
    settled: bool
    window: bool
    repeats: bool


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table; a column that is None (ANY) matches everything."""

    label: str
    action: Action
    reason: str
    safety: tuple[Safety, ...]
    key: tuple[str, ...] | None = ANY
    probe: bool | None = ANY
    verdict: tuple[Look, ...] | None = ANY
    settled: bool | None = ANY
    window: bool | None = ANY
    repeats: bool | None = ANY

    def matches(self, doubt: Doubt) -> bool:
        """Whether every column of the row holds for this doubt."""
        return (
            doubt.safety in self.safety
            and (self.key is None or doubt.key in self.key)
            and (self.probe is None or doubt.probe is self.probe)
            and (self.verdict is None or doubt.verdict in self.verdict)
            and (self.settled is None or doubt.settled is self.settled)
            and (self.window is None or doubt.window is self.window)
            and (self.repeats is None or doubt.repeats is self.repeats)
        )


def _probing(prefix: str, safety: Safety, key: tuple[str, ...] | None, told: str) -> tuple[Row, ...]:
    """The rows of a tool that can be asked, for `reconcilable` and for `keyed` past the life of its key."""
    common = {"safety": (safety,), "key": key, "probe": True}
    rows: list[tuple[str, Action, str, dict[str, object]]] = [
        ("first", "probe", f"{told}; it is asked whether the call happened", {"verdict": ("none",), "window": ANY}),
        ("happened", "take", "the probe found the call done; its result is taken", {"verdict": ("happened",)}),
        ("no", "repeat", "the probe found nothing, and nothing can still land", {"verdict": ("not_happened",), "settled": True, "repeats": True}),
        ("no-often", "fail", "the probe found nothing, and there is no attempt left", {"verdict": ("not_happened",), "settled": True, "repeats": False}),
        ("no-early", "probe", "the probe found nothing, but a lost request may still land", {"verdict": ("not_happened",), "settled": False}),
        ("not-yet", "probe", "the probe cannot see it yet", {"verdict": ("not_yet",), "window": True}),
        ("not-yet-late", "ask", "the probe could not see it in the time that it has", {"verdict": ("not_yet",), "window": False}),
        ("cannot-tell", "ask", "the probe cannot tell", {"verdict": ("cannot_tell",)}),
    ]  # fmt: skip
    return tuple(
        msgspec.convert({"label": f"{prefix}-{label}", "action": action, "reason": reason, **common, **columns}, Row)
        for label, action, reason, columns in rows
    )


TABLE: tuple[Row, ...] = (
    Row(label="read", action="repeat", safety=("read",), repeats=True, reason="a read changes nothing; it is done again"),
    Row(label="read-often", action="fail", safety=("read",), repeats=False, reason="there is no attempt left"),
    Row(label="idempotent", action="repeat", safety=("idempotent",), repeats=True, reason="twice leaves the world as once; it is done again"),
    Row(label="idempotent-often", action="ask", safety=("idempotent",), repeats=False, reason="there is no attempt left, and one of them may have happened"),
    Row(label="keyed-alive", action="repeat", safety=("keyed",), key=("alive",), repeats=True, reason="the other side drops repeats of this key; it is sent again under the same key"),
    Row(label="keyed-often", action="ask", safety=("keyed",), key=("alive",), repeats=False, reason="there is no attempt left, and one of them may have happened"),
    *_probing("keyed-expired", "keyed", ("expired",), "the other side may have forgotten the key"),
    Row(label="keyed-expired-blind", action="ask", safety=("keyed",), key=("expired",), probe=False, reason="the other side may have forgotten the key, and cannot be asked"),
    *_probing("reconcilable", "reconcilable", ANY, "the call is in doubt"),
    Row(label="reconcilable-blind", action="ask", safety=("reconcilable",), probe=False, reason="the tool has no probe any more"),
    Row(label="irreversible", action="ask", safety=("irreversible",), reason="it can neither be repeated nor looked up; only a person can tell"),
)  # fmt: skip


def rule(doubt: Doubt) -> Row:
    """The one row that holds for a call in doubt."""
    matching = [row for row in TABLE if row.matches(doubt)]
    assert len(matching) == 1, f"{doubt} meets {[row.label for row in matching]}"
    return matching[0]
