"""What each failure of a provider becomes: read off the table by which it is mapped, and the one by which it is ruled on."""

from __future__ import annotations

from holdfast.core.routing import AFTER, AFTER_CONTEXT, After
from holdfast.reasoners.llm_failures import TABLE, Row

THEN: dict[After, str] = {
    "again": "again, after a wait that grows",
    "later": "not for an hour",
    "out": "not in this run any more",
    "shorter": "again at once, with half the context",
}


def model_rows() -> list[tuple[str, ...]]:
    """One row a failure: what happens, what the library raises, what it counts as, what is spent, and when that model is asked
    again."""
    return [
        (row.when, f"`{row.raised}`" if row.raised else "nothing", f"`{row.kind}`", _spent(row), THEN[_after(row)])
        for row in TABLE
    ]


def _spent(row: Row) -> str:
    if row.charged:
        return "what was reserved"
    return "nothing" if row.raised else "what was counted"


def _after(row: Row) -> After:
    return (AFTER_CONTEXT if row.context else AFTER[row.kind])[0]
