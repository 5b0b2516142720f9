"""What came of an evaluation in a few numbers: by case, and in all; and what went wrong, each thing once."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Literal

import msgspec

from holdfast.evaluation.results import CaseRun, Results
from holdfast.figures.interval import Interval, wilson


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One case, or (case empty) all. runs: that count; held: as expected; wrong: journal and ledger disagree; unfinished: to be
    done again. rate, interval: of those that held, with 95 % (Wilson); None of nothing. The rest are sums and medians over the
    runs."""

    case: str
    runs: int
    held: int
    wrong: int
    unfinished: int
    rate: float | None
    interval: Interval | None
    cost_usd: Decimal
    tokens: int
    questions: float
    calls: float
    seconds: float


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that did not hold, of all runs of a case in which it did not. run_id, store: of the first of them; repeats: of
    all."""

    case: str
    kind: Literal["wrong", "failed", "unheard"]
    what: str
    repeats: tuple[int, ...]
    run_id: str
    store: str


def summaries(results: Results) -> list[Summary]:
    """By case, in the order of the file; the last one is of all."""
    cases = dict.fromkeys([*results.header.cases, *(run.case for run in results.runs)])
    return [*(_summary(case, [run for run in results.runs if run.case == case]) for case in cases), _summary("", results.runs)]


def _summary(case: str, runs: Sequence[CaseRun]) -> Summary:
    counted = [run for run in runs if run.outcome != "unfinished"]
    held = sum(run.held for run in counted)
    return Summary(
        case=case,
        runs=len(counted),
        held=held,
        wrong=sum(run.outcome == "wrong" for run in counted),
        unfinished=len(runs) - len(counted),
        rate=held / len(counted) if counted else None,
        interval=wilson(held, len(counted)),
        cost_usd=sum((run.cost_usd for run in runs), Decimal(0)),
        tokens=sum(run.tokens for run in runs),
        questions=_middle([run.questions for run in counted]),
        calls=_middle([run.calls for run in counted]),
        seconds=_middle([run.seconds for run in counted]),
    )


def _middle(values: Sequence[float]) -> float:
    return median(values) if values else 0.0


def problems(results: Results, case: str | None = None) -> list[Problem]:
    """What did not hold, each thing once for a case: where journal and ledger disagree first."""
    found: dict[tuple[str, Literal["wrong", "failed", "unheard"], str], list[CaseRun]] = {}
    for run in results.counted:
        if case is None or run.case == case:
            for text in run.disagreements:
                found.setdefault((run.case, "wrong", text), []).append(run)
            for text in run.unmet:
                found.setdefault((run.case, "failed", text), []).append(run)
            for text in run.unheard:
                found.setdefault((run.case, "unheard", text), []).append(run)
    order = ("wrong", "failed", "unheard")
    return [
        Problem(
            case=name, kind=kind, what=what, repeats=tuple(run.repeat for run in runs), run_id=runs[0].run_id,
            store=str(Path(results.folder) / runs[0].store),
        )
        for (name, kind, what), runs in sorted(found.items(), key=lambda one: order.index(one[0][1]))
    ]  # fmt: skip
