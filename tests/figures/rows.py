"""Rows of the record, made by hand."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from holdfast.journal.people import Judged, OpenInterrupt

T0 = 1_700_000_000.0


def ruled(number: int = 0, **of: Any) -> Judged:
    """A ruling of which nobody was asked."""
    fields: dict[str, Any] = {
        "run_id": f"r{number}", "entry": 2, "at": T0 + number, "agent": "refunds", "rule": "large", "verdict": "never", "asked": False,
        "tool": "refund", "step": "pay", "policy": "refunds@1", **of,
    }  # fmt: skip
    return Judged(**fields)


def asked(number: int = 0, decision: str = "", **of: Any) -> Judged:
    """One that was asked, and decided by ann after ten seconds, seen after four."""
    at = of.get("at", T0 + number)
    told: dict[str, Any] = {"by": ("ann",), "seen_at": at + 4, "decided_at": at + 10} if decision else {}
    fields = {
        "verdict": "always",
        "asked": True,
        "interrupt": f"i{number}",
        "kind": "approval",
        "decision": decision,
        **told,
        **of,
    }
    return ruled(number, **fields)


def waiting(number: int = 0, **of: Any) -> OpenInterrupt:
    """Something that is open."""
    fields: dict[str, Any] = {
        "run_id": f"r{number}", "interrupt": f"i{number}", "kind": "approval", "about": "call", "agent": "refunds", "question": "?",
        "digest": "d", "asked_at": T0 + number, "expires_at": T0 + 9e5, "tool": "refund", "rule": "large", "policy": "refunds@1", **of,
    }  # fmt: skip
    return OpenInterrupt(**fields)


_times = st.floats(min_value=0, max_value=4e9) | st.sampled_from([T0, T0 + 1, T0 - 1])
_maybe = st.none() | _times

# Rows as they should never be, too: decided before they were asked, seen after, decided without being asked.
odd_rows = st.builds(
    Judged,
    run_id=st.sampled_from(["r1", "r2"]),
    entry=st.integers(1, 9),
    at=_times,
    agent=st.just("a"),
    rule=st.sampled_from(["", "one", "two"]),
    verdict=st.sampled_from(["block", "always", "sample", "never", "?"]),
    asked=st.booleans(),
    about=st.sampled_from(["call", "plan", "doubt"]),
    kind=st.sampled_from(["", "approval", "question"]),
    step=st.sampled_from(["", "s"]),
    tool=st.sampled_from(["", "t", "u"]),
    policy=st.sampled_from(["", "p@1", "p@2", "@", "p"]),
    draw=st.none() | st.floats(0, 1),
    rate=st.none() | st.floats(0, 1),
    amount=st.none() | st.floats(),
    document=st.sampled_from([{}, {"amount": 5, "args": {}}, {"amount": None}]),
    interrupt=st.sampled_from(["", "i"]),
    decision=st.sampled_from(["", "approve", "edit", "reject", "respond", "cancel", "expired", "withdrawn", "?"]),
    by=st.lists(st.sampled_from(["ann", "bob"]), max_size=3).map(tuple),
    seen_at=_maybe,
    decided_at=_maybe,
    bulk=st.booleans(),
    standing=st.sampled_from(["", "", "s1"]),
)
