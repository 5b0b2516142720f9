"""The third policy: what the record of the first one suggests, and who takes it up.

A suggestion is never acted on by itself. Here the lab plays whoever is responsible: it takes the record of the weeks before
the first rubber-stamp alarm, as what was approved unread is no evidence, and of the thresholds that this record gives the
highest one below which people had objected to no more than `BEARABLE_USD` together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.figures import Cut, Suggestion, Tolerance, suggestions
from holdfast.journal.people import Judged
from holdfast.labs.approvals.living import Lived
from holdfast.labs.approvals.story import APPROVER

BEARABLE_USD = 500.0
TOLERANCE = Tolerance()
SECOND = "policy-2.yaml"


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """whole: what the whole record suggests; careful: that of the rows that were decided before the alarm, of which there are
    `rows`. cut: the threshold that is taken. policy_file: the text of the third policy."""

    whole: Sequence[Suggestion]
    careful: Sequence[Suggestion]
    rows: int
    cut: Cut | None
    policy_file: str


def propose(lived: Lived) -> Proposal:
    """The third policy, from what was lived through under the first one."""
    rows = before_the_alarm(lived)
    careful = suggestions(rows, TOLERANCE)
    cut = _chosen(careful)
    return Proposal(
        whole=suggestions(lived.judged, TOLERANCE), careful=careful, rows=len(rows), cut=cut, policy_file=_written(cut)
    )


def before_the_alarm(lived: Lived) -> list[Judged]:
    """What was decided before the time that the first rubber-stamp alarm is about; all of it where there was none."""
    stamped = [alarm.since for _, alarm in lived.alarms if alarm.kind == "rubber_stamp"]
    until = min(stamped, default=float("inf"))
    return [row for row in lived.judged if row.decided_at is not None and row.decided_at < until]


def _chosen(found: Sequence[Suggestion]) -> Cut | None:
    cuts = [cut for suggestion in found for cut in suggestion.cuts]
    borne = [cut for cut in cuts if cut.chance <= TOLERANCE.chance_max and (cut.let_through_amount or 0.0) <= BEARABLE_USD]
    return max(borne, key=lambda cut: cut.threshold, default=None)


def _written(cut: Cut | None) -> str:
    """A policy file. What is not asked is looked at now and then: of what nobody looks at, nothing is learned. Where there is no
    threshold to be had, the second policy stays."""
    if cut is None:
        return (Path(__file__).parent / SECOND).read_text(encoding="utf-8")
    lines = [
        "# What the record of the first policy suggests.",
        "name: payouts",
        'version: "3"',
        f"who: {APPROVER}",
        "rules:",
        f"  - {{name: above the threshold, then: always, when: amount > {cut.threshold:g}}}",
        f"  - {{name: now and then, then: sample {TOLERANCE.rate_min:.0%}}}",
    ]
    return "\n".join(lines) + "\n"
