"""What is found, for those who are told of it: channels, metrics, doctor."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.journal.people import Notice
from holdfast.monitors.catalog import NAMES, PARKED_PAST_DEADLINE
from holdfast.monitors.findings import Finding, Level
from holdfast.views import health

SHOWN_MAX = 5


def notices(found: Iterable[Finding], now: float) -> list[Notice]:
    """A notice for each finding. Its id is the finding's, so a store that knows it does not tell it again."""
    return [
        Notice(id=f"monitor/{one.id}", what="found", run_id=one.run, at=now, agent=one.agent, body=_body(one)) for one in found
    ]


def _body(one: Finding) -> dict[str, object]:
    said: dict[str, object] = {
        "reason": f"{one.about}: {one.what}",
        "monitor": one.monitor,
        "level": one.level,
        "about": one.about,
        "tool": one.tool,
        "measured": one.measured,
        "threshold": one.threshold,
        "since": one.since,
        "until": one.until,
        "evidence": [
            {"what": seen.what, "run": seen.run, "step": seen.step, "entry": seen.entry} for seen in one.evidence[:SHOWN_MAX]
        ],
    }
    return {name: value for name, value in said.items() if value not in (None, "", [])}


def tripped(found: Iterable[Finding]) -> dict[str, int]:
    """How many findings each monitor has; 0 for those that are quiet, so that a gauge goes back."""
    counts = dict.fromkeys(NAMES, 0)
    for one in found:
        counts[one.monitor] += 1
    return counts


def for_doctor(found: Iterable[Finding], hint: str = "holdfast monitors") -> tuple[health.Finding, ...]:
    """What was found as findings of `holdfast doctor`: one for each monitor and level, however many runs it is about. What waits
    past its time is left out, for doctor says that of the store itself. hint: the command that shows all of it."""
    groups: dict[tuple[str, Level], list[Finding]] = {}
    for one in found:
        if one.monitor != PARKED_PAST_DEADLINE.name:
            groups.setdefault((one.monitor, one.level), []).append(one)
    return tuple(
        health.Finding(level=level, name=monitor, what=f"{ones[0].about}: {ones[0].what}{_more(len(ones) - 1)}", hint=hint)
        for (monitor, level), ones in groups.items()
    )


def _more(count: int) -> str:
    return f" (and {count} more like it)" if count else ""
