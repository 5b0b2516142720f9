"""What a batch asks of gates, apart from any store."""

from __future__ import annotations

from typing import Any

from holdfast.core.contract import Breaker, Rate
from holdfast.core.gates import GateState
from holdfast.journal.base import Batch, Gated, Head, Heard
from holdfast.journal.gating import Gating, gating

NOW = 1000.0
RATE = Rate(calls=2, per_seconds=60.0)
BREAKER = Breaker(failures_max=2, within_seconds=60.0, open_seconds=30.0)
FULL = GateState(sent=(NOW - 50, NOW - 40))


def said(known: dict[str, GateState] | None = None, **parts: Any) -> Gating:
    """What comes of it, for a store that knows these gates."""
    return gating(Batch(run_id="r", fence=1, head=Head(0, b""), at=NOW, events=(), **parts), (known or {}).get)


def calls(count: int, tool: str = "mail") -> Gated:
    """So many calls of a tool with both gates."""
    return Gated(tool=tool, calls=count, rate=RATE, breaker=BREAKER)


def test_a_batch_without_such_tools_asks_nothing() -> None:
    """No gate is even looked up."""
    assert said() == Gating()


def test_only_states_that_change_are_given_back() -> None:
    """A tool that is well and has no rate costs no write."""
    well = Gated(tool="fax", calls=9, breaker=BREAKER)
    assert said(gated=(well, calls(1)), heard=(Heard(tool="fax", outcome="ok", breaker=BREAKER),)) == Gating(
        passed={"mail": GateState(sent=(NOW,))}
    )


def test_calls_of_one_tool_are_counted_together() -> None:
    """However they are listed."""
    assert said(gated=(calls(1), calls(1))).passed == {"mail": GateState(sent=(NOW, NOW))}
    assert said(gated=(calls(2), calls(1))).free == {"tool:mail": 2}


def test_outcomes_are_heard_in_order_and_before_the_calls() -> None:
    """Two failures in one batch open the circuit for the call beside them."""
    failed, went_well = Heard(tool="mail", outcome="failed", breaker=BREAKER), Heard(tool="mail", outcome="ok", breaker=BREAKER)
    assert said(heard=(failed, failed), gated=(calls(1),)).held == {"mail": (NOW + 30, "circuit")}
    assert said(heard=(failed, went_well, failed), gated=(calls(1),)).held == {}


def test_each_tool_that_may_not_be_called_is_told_and_stands_in_line() -> None:
    """The line is kept also where nothing else of the batch is."""
    found = said({"mail": FULL, "fax": FULL}, gated=(calls(1), calls(5, "fax"), calls(1, "sms")))
    assert found.held == {"mail": (NOW + 10, "rate"), "fax": (NOW + 10, "rate")}
    assert {tool: state.hint for tool, state in found.told.items()} == {"mail": NOW + 10, "fax": NOW + 10}


def test_what_was_heard_is_not_kept_with_a_refusal() -> None:
    """It is not written yet, and comes again."""
    found = said({"mail": FULL}, heard=(Heard(tool="mail", outcome="failed", breaker=BREAKER),), gated=(calls(1),))
    assert found.told == {"mail": GateState(sent=FULL.sent, hint=NOW + 10)}
    assert found.passed == {"mail": GateState(sent=FULL.sent, failures=(NOW,))}
