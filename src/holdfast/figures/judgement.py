"""What the record of a store says of people's judgement, as verbs.

    await app.judgement.figures(by="tool", since=time.time() - 30 * 86400)
    await app.judgement.what_if(policy)

Filters are the fields of `journal.people.JudgedFilter`, as keywords. Nothing is called, and nothing is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from holdfast.core.policy import Check, Policy
from holdfast.errors import UsageError
from holdfast.figures.alarms import USUAL as USUAL_ALARMS
from holdfast.figures.alarms import Alarm, Thresholds, alarms
from holdfast.figures.counting import By, Figure, figures
from holdfast.figures.suggesting import USUAL, Suggestion, Tolerance, suggestions
from holdfast.figures.what_if import WhatIf, what_if
from holdfast.journal.base import Journal
from holdfast.journal.people import InboxFilter, Judged, JudgedFilter, OpenInterrupt

# More than any inbox holds: a figure of a part of the queue would be wrong.
OPEN_MAX = 10_000_000


class Clock(Protocol):
    """now: seconds since the epoch."""

    def now(self) -> float: ...


class Judgement:
    """See the module's text. UsageError for a filter that there is not."""

    def __init__(self, journal: Journal, clock: Clock):
        self._journal = journal
        self._clock = clock

    async def figures(self, by: By = "rule", **filters: Any) -> list[Figure]:
        """How often people were asked, what they said, and how long it took: by rule, tool, policy or person."""
        rows, waiting = await self._rows(filters)
        return figures(rows, waiting, self._clock.now(), by=by)

    async def suggestions(self, tolerance: Tolerance = USUAL, **filters: Any) -> list[Suggestion]:
        """Thresholds and sampling rates that the record speaks for, each with what it would have let through."""
        return suggestions(await self._judged(filters), tolerance)

    async def alarms(self, thresholds: Thresholds = USUAL_ALARMS, **filters: Any) -> list[Alarm]:
        """Where approvals are worth nothing any more, or the queue grows."""
        rows, waiting = await self._rows(filters)
        return alarms(rows, waiting, self._clock.now(), thresholds)

    async def what_if(self, policy: Policy, checks: Mapping[str, Check] | None = None, **filters: Any) -> WhatIf:
        """What another policy would have ruled on what was ruled, beside what people decided. checks: what its functions are to
        have said; without that, what they rule on cannot be worked out."""
        return what_if(policy, await self._judged(filters), checks)

    async def _rows(self, filters: dict[str, Any]) -> tuple[list[Judged], list[OpenInterrupt]]:
        shared = {name: filters[name] for name in ("policy", "rule", "tool", "agent", "tenant", "run_id") if name in filters}
        rows = await self._judged(filters)
        return rows, await self._journal.inbox(InboxFilter(limit=OPEN_MAX, answered=None, **shared), self._clock.now())

    async def _judged(self, filters: dict[str, Any]) -> list[Judged]:
        names = JudgedFilter.__struct_fields__
        for name in filters:
            if name not in names:
                raise UsageError(f"there is no filter {name[:40]!r} of what was ruled", hint=f"it is one of {', '.join(names)}")
        try:
            return await self._journal.judged(msgspec.convert(filters, JudgedFilter))
        except msgspec.ValidationError as error:
            raise UsageError(f"what was ruled cannot be filtered so: {error}") from error
