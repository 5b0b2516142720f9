"""When a tool may not be called now: circuit breakers and rate limits, as arithmetic.

A gate belongs to a tool and is shared by all runs of a store. Each store keeps one small record per tool, asks `admit` in
the transaction that writes the intents, and tells `heard` in the one that writes the outcomes; so a gate holds across
workers and costs no commit of its own.

A rate is exact: in no stretch of `per_seconds` are there more calls than it allows. Whoever is refused is told a time of
their own to come back, one behind the other, so that a crowd does not come back all at once and again.

A circuit is closed, open, or half-open: after so many failures in a row nobody calls the tool for a while; then one call is
let through, and its outcome closes the circuit or opens it again. A `retry_after` closes the gate for as long.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from holdfast.core.contract import Breaker, Rate

Outcome = Literal["ok", "failed", "limited", "other"]
Why = Literal["circuit", "rate"]
# How long a call that was let through to find out is waited for before another one is.
TRIAL_SECONDS = 60.0


class GateState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a tool's gate. sent: when the last calls were made, the oldest first, as many as the rate allows.
    hint: the last time that somebody refused was told. failures: when the last failures in a row were. open_until: the
    circuit is open until then (0: closed). trial_until: a call is under way to find out, and is waited for until then.
    """

    sent: tuple[float, ...] = ()
    hint: float = 0.0
    failures: tuple[float, ...] = ()
    open_until: float = 0.0
    trial_until: float = 0.0


def admit(
    state: GateState, now: float, *, calls: int, rate: Rate | None, breaker: Breaker | None
) -> tuple[GateState, tuple[float, Why] | None]:
    """Whether so many calls may be made now: the new state, and None or when to ask again and why."""
    raise NotImplementedError


def heard(state: GateState, now: float, *, outcome: Outcome, breaker: Breaker | None, retry_after_seconds: float | None) -> GateState:
    """The state after a call has ended. `failed`: it counts against the tool; `limited`: the other side asked for patience;
    `other`: it says nothing about the tool's health (the arguments were wrong)."""
    raise NotImplementedError
