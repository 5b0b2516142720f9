"""What the monitors found, as a gauge: what fails in silence is to be seen where everything else is watched."""

from __future__ import annotations

from holdfast.journal.base import Journal
from holdfast.monitors import Settings, Watch, tripped
from holdfast.telemetry import names
from holdfast.telemetry.counts import Counts


class Monitored:
    """A reader of the store (see `gauges.Reader`) that keeps what it read of ended runs, so that each look is a short one."""

    __name__ = "the monitors"

    def __init__(self, settings: Settings | None = None):
        self._settings = settings or Settings()
        self._watch: Watch | None = None

    async def __call__(self, journal: Journal, counts: Counts, now: float) -> None:
        """Look once, and set how often each monitor tripped."""
        self._watch = self._watch or Watch(journal)
        report = await self._watch.look(now, self._settings)
        counts.set(names.MONITORS, {(name,): float(number) for name, number in tripped(report.findings).items()})
