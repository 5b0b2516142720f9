"""What a monitor found, and how the time that it looks at is parted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from holdfast.monitors.digest import RunDigest

Level = Literal["warning", "broken"]
# So many pieces of evidence are kept of a finding that is about many runs.
EVIDENCE_MAX = 10


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a finding can be seen: in which run, step and entry of its journal, as far as it is one of these, and what stands
    there."""

    what: str
    run: str = ""
    step: str = ""
    entry: int | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A monitor tripped.

    monitor: its name. about: the run, tool, agent or whatever else it is about. level: broken where something says that it is
    done and is not, or is stuck; warning where somebody should look. measured, threshold: the number that decided, and the one
    that it was held against; None where none did. since, until: the time that was looked at. agent: whose. run: the one it is
    about, where it is one. id: the same for the same thing found again: of a run for good, of a tool for each window.
    """

    monitor: str
    about: str
    level: Level
    what: str
    evidence: tuple[Evidence, ...]
    since: float
    until: float
    id: str
    measured: float | None = None
    threshold: float | None = None
    agent: str = ""
    tool: str = ""
    run: str = ""


class Unjudged(msgspec.Struct, frozen=True, kw_only=True):
    """What a monitor cannot judge yet, and why."""

    monitor: str
    about: str
    why: str


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The time that is looked at, from since until now, and the past that it is held against, from past to since."""

    past: float
    since: float
    until: float

    def holds(self, at: float | None) -> bool:
        """Whether something is of the time that is looked at."""
        return at is not None and self.since <= at <= self.until

    def is_past(self, at: float | None) -> bool:
        """Whether something is of the past."""
        return at is not None and self.past <= at < self.since

    def name(self) -> str:
        """The same for all windows that end in the same stretch of their own length: what goes on is told once in it."""
        length = max(self.until - self.since, 1.0)
        return f"{int(self.until // length)}"


def recent(runs: Iterable[RunDigest], window: Window) -> list[RunDigest]:
    """Those that completed in the window, the oldest first."""
    return sorted((run for run in runs if run.is_completed and window.holds(run.ended_at)), key=_order)


def earlier(runs: Iterable[RunDigest], window: Window) -> list[RunDigest]:
    """Those that completed before it."""
    return sorted((run for run in runs if run.is_completed and window.is_past(run.ended_at)), key=_order)


def _order(run: RunDigest) -> tuple[float, str]:
    return (run.ended_at or 0.0, run.run_id)
