"""The gates of tools in words: whether a circuit is closed, open or half-open, and how much of a rate is known to be used."""

from __future__ import annotations

import msgspec

from holdfast.core.gates import Circuit, GateState, circuit
from holdfast.views.words import moment, span


class GateView(msgspec.Struct, frozen=True, kw_only=True):
    """The gate of a tool. failures: in a row, the latest of them at failed_at. open_until: nobody calls it before then.
    calls: the last ones that are remembered for its rate, the latest at called_at. turned_away_until: the latest time that
    somebody who found it closed was told to come back at. words: all that in one line."""

    tool: str
    circuit: Circuit
    words: str
    failures: int = 0
    failed_at: float | None = None
    open_until: float | None = None
    calls: int = 0
    called_at: float | None = None
    turned_away_until: float | None = None


def gate_view(tool: str, gate: GateState, now: float) -> GateView:
    """What is known of a tool's gate at `now`."""
    stands = circuit(gate, now)
    return GateView(
        tool=tool, circuit=stands, words="; ".join(filter(None, (_circuit_words(gate, stands, now), _rate_words(gate, now)))),
        failures=len(gate.failures), failed_at=max(gate.failures, default=None),
        open_until=gate.open_until if stands == "open" else None, calls=len(gate.sent), called_at=max(gate.sent, default=None),
        turned_away_until=gate.hint if gate.hint > now else None,
    )  # fmt: skip


def _circuit_words(gate: GateState, stands: Circuit, now: float) -> str:
    failed = f"{len(gate.failures)} failures in a row" if len(gate.failures) != 1 else "1 failure"
    if stands == "open":
        why = f" after {failed}" if gate.failures else ""
        return f"nobody calls it until {moment(gate.open_until)} (in {span(gate.open_until - now)}){why}"
    if stands == "half_open":
        if gate.trial_until > now:
            return f"one call is under way to find out, and is waited for until {moment(gate.trial_until)}"
        return "the next call finds out whether it works again"
    return failed if gate.failures else ""


def _rate_words(gate: GateState, now: float) -> str:
    calls = f"{len(gate.sent)} {'calls' if len(gate.sent) != 1 else 'call'} remembered" if gate.sent else ""
    last = f", the last {span(max(now - gate.sent[-1], 0.0))} ago" if gate.sent else ""
    later = f"those who were turned away come back by {moment(gate.hint)}" if gate.hint > now else ""
    return "; ".join(filter(None, (calls + last, later)))
