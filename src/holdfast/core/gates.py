"""When a tool may not be called now: circuit breakers and rate limits, as arithmetic.

A gate belongs to a tool and is shared by all runs of a store. Each store keeps one small record per tool, asks `admit` in
the transaction that writes the intents, and tells `heard` in the one that writes the outcomes; so a gate holds across
workers and costs no commit of its own.

A rate is exact: in no stretch of `per_seconds` are there more calls than it allows. Whoever is refused is told a time of
their own to come back, one behind the other, so that a crowd does not come back all at once and again.

A circuit is closed, open, or half-open: after so many failures in a row nobody calls the tool for a while; then one call is
let through, and its outcome closes the circuit or opens it again. A `retry_after` opens it for as long, and is no failure;
where the tool has a breaker, one call finds out first after that too.

Times come from the clocks of all workers, and one of them may have been wrong. What lies in the future of `now` must not lock
a tool for as long as that clock was ahead: calls dated more than `per_seconds` ahead are forgotten, and what was opened or
let through in the future counts from now. Outcomes carry no name: one of a call that began before the circuit opened may be
taken for that of the trial.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from holdfast.core.contract import Breaker, Rate

Outcome = Literal["ok", "failed", "limited", "other"]
Why = Literal["circuit", "rate"]
Circuit = Literal["closed", "open", "half_open"]
# How long a call that was let through to find out is waited for before another one is.
TRIAL_SECONDS = 60.0
# How soon to ask again while that call is under way.
TRIAL_LOOK_SECONDS = 1.0
# Those who wait for a circuit come back so far apart: after a minute that is 600 of them, and the next ones start over.
CROWD_SECONDS = 0.1
# Nobody is told a time that is further behind the first one than so many times `per_seconds`; the line starts over there.
LINE_STRETCHES = 10
# The longest that a `retry_after` keeps everybody away; after that one asks again.
PAUSE_SECONDS_MAX = 86400.0


class GateState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a tool's gate. sent: when the last calls were made, the oldest first, as many as the rate allows.
    hint: the last time that somebody refused was told. failures: when the last failures in a row were. opened_at: since when
    the circuit is open; open_until: until when (0: closed). trial_until: a call is under way to find out, and is waited for
    until then.
    """

    sent: tuple[float, ...] = ()
    hint: float = 0.0
    failures: tuple[float, ...] = ()
    opened_at: float = 0.0
    open_until: float = 0.0
    trial_until: float = 0.0


def circuit(state: GateState, now: float) -> Circuit:
    """Whether calls go through. Half-open: the next one that asks is let through, or one is under way, to find out."""
    state = _known(state, now)
    return "open" if now < state.open_until else "half_open" if state.open_until else "closed"


def room(state: GateState, now: float, *, rate: Rate | None, breaker: Breaker | None, turn: float | None = None) -> int | None:
    """How many calls may be made now by whoever was told the time `turn`, or none; None: as many as are wanted."""
    state = _known(state, now)
    by_circuit, by_rate = _circuit_room(state, now, breaker), _turn_room(state, _recent(state.sent, now, rate), now, rate, turn)
    return min((free for free in (by_circuit, by_rate) if free is not None), default=None)


def admit(
    state: GateState, now: float, *, calls: int, rate: Rate | None, breaker: Breaker | None, turn: float | None = None
) -> tuple[GateState, tuple[float, Why] | None]:
    """Whether so many calls may be made now: the new state, and None or when to ask again and why. turn: the time that the
    caller was told when it was refused, if it was.

    While others stand in line for a rate, who comes without a turn goes to its end, and a turn is good for one call: so
    runs that share a rate take turns, however many calls each of them has.

    The new state is to be kept also when they are refused: it knows the time that was told, and the next one is told a
    later one. Where there is room, but for fewer calls (see `room`), that time is `now`.
    """
    before, state, sent = state, _known(state, now), _recent(state.sent, now, rate)
    by_circuit, by_rate = _circuit_room(state, now, breaker), _turn_room(state, sent, now, rate, turn)
    free = min(calls if by_circuit is None else by_circuit, calls if by_rate is None else by_rate)
    if free < calls:
        why: Why = "circuit" if by_circuit == free else "rate"
        if free > 0:
            return before, (now, why)
        if why == "rate" and rate is not None and turn is not None and turn <= now:
            # Its turn has come, and others were faster: it stays at the head of the line.
            first = _when_rate(sent, now, rate)[0]
            return msgspec.structs.replace(state, hint=max(state.hint, first)), (first, why)
        told = _told(state, _when_circuit(state, now) if why == "circuit" or rate is None else _when_rate(sent, now, rate))
        return told, (told.hint, why)
    trial = {} if by_circuit is None else {"trial_until": now + TRIAL_SECONDS}
    closed = {} if by_circuit is not None else {"opened_at": 0.0, "open_until": 0.0, "trial_until": 0.0}
    return msgspec.structs.replace(state, sent=_made(state.sent, now, calls, rate), **trial, **closed), None


def heard(
    state: GateState, now: float, *, outcome: Outcome, breaker: Breaker | None, retry_after_seconds: float | None
) -> GateState:
    """The state after a call has ended. `failed`: it counts against the tool; `limited`: the other side asked for patience;
    `other`: it says nothing about the tool's health (the arguments were wrong)."""
    state = _known(state, now)
    trying = state.trial_until > 0 or 0 < state.open_until <= now
    replace = msgspec.structs.replace
    if outcome == "limited":
        return _paused(state, now, retry_after_seconds, breaker.open_seconds if trying and breaker is not None else None)
    if outcome == "ok":
        # What went well while the circuit is open began before; it does not undo what the other side asked for since.
        return replace(state, failures=()) if now < state.open_until and not trying else _closed(state)
    if outcome == "other" or breaker is None:
        return replace(state, trial_until=0.0)
    if trying:
        return _opened(state, now, breaker.open_seconds)
    return state if now < state.open_until else _failed(state, now, breaker)


# --- the circuit ------------------------------------------------------------------------------------------------------


def _known(state: GateState, now: float) -> GateState:
    """The state as of now: what lies in the future is brought back, a trial or a hint that is over is forgotten."""
    ahead = max(state.opened_at - now, 0.0)
    trial_until = min(state.trial_until, now + TRIAL_SECONDS)
    return msgspec.structs.replace(
        state,
        hint=state.hint if state.hint > now else 0.0,
        opened_at=state.opened_at - ahead,
        open_until=state.open_until - ahead,
        trial_until=trial_until if trial_until > now else 0.0,
    )


def _circuit_room(state: GateState, now: float, breaker: Breaker | None) -> int | None:
    if now < state.open_until:
        return 0
    if not state.open_until or breaker is None:
        return None
    return 0 if state.trial_until else 1


def _when_circuit(state: GateState, now: float) -> tuple[float, float, float]:
    if now < state.open_until:
        return state.open_until, CROWD_SECONDS, TRIAL_SECONDS
    first = min(now + TRIAL_LOOK_SECONDS, state.trial_until)
    return first, CROWD_SECONDS, state.trial_until - first


def _failed(state: GateState, now: float, breaker: Breaker) -> GateState:
    within = breaker.within_seconds
    row = sorted((*(at for at in state.failures if now - within <= at <= now + within), now))[-breaker.failures_max :]
    state = msgspec.structs.replace(state, failures=tuple(row))
    return _opened(state, now, breaker.open_seconds) if len(row) >= breaker.failures_max else state


def _paused(state: GateState, now: float, asked_for: float | None, otherwise: float | None) -> GateState:
    """After the other side asked for patience, for a time that it named or not."""
    # A number from outside may be any: not a number, nothing, or for ever.
    seconds = min(asked_for, PAUSE_SECONDS_MAX) if asked_for is not None and asked_for > 0 else otherwise
    return msgspec.structs.replace(state, trial_until=0.0) if seconds is None else _opened(state, now, seconds)


def _opened(state: GateState, now: float, seconds: float) -> GateState:
    return msgspec.structs.replace(state, opened_at=now, open_until=max(now + seconds, state.open_until), trial_until=0.0)


def _closed(state: GateState) -> GateState:
    return msgspec.structs.replace(state, failures=(), opened_at=0.0, open_until=0.0, trial_until=0.0)


# --- the rate ---------------------------------------------------------------------------------------------------------


def _recent(sent: tuple[float, ...], now: float, rate: Rate | None) -> tuple[float, ...]:
    """The calls that count now."""
    if rate is None:
        return ()
    # Added, not subtracted, as the time to come back is made: a difference of floats may fall short of it for ever.
    return tuple(at for at in sent if at + rate.per_seconds > now and at <= now + rate.per_seconds)


def _made(sent: tuple[float, ...], now: float, calls: int, rate: Rate | None) -> tuple[float, ...]:
    """With the calls that are made now. Kept are as many as the rate allows and not only those that count now: by the clock
    of the next worker, which may be behind, older ones may count too."""
    if rate is None:
        return ()
    return tuple(sorted((*(at for at in sent if at <= now + rate.per_seconds), *(now,) * calls)))[-rate.calls :]


def _rate_room(sent: tuple[float, ...], rate: Rate | None) -> int | None:
    return None if rate is None else max(rate.calls - len(sent), 0)


def _turn_room(state: GateState, sent: tuple[float, ...], now: float, rate: Rate | None, turn: float | None) -> int | None:
    """The room that a rate leaves to one who asks: all of it where nobody stands in line, else one call to whose turn it is."""
    free = _rate_room(sent, rate)
    if free is None or rate is None or state.open_until:
        return free
    if not now < state.hint <= now + (LINE_STRETCHES + 1) * rate.per_seconds:
        return free  # Nobody stands in line, or did by a clock that was ahead.
    return min(free, 1 if turn is not None and turn <= now else 0)


def _when_rate(sent: tuple[float, ...], now: float, rate: Rate) -> tuple[float, float, float]:
    # More may have been sent than is allowed: the rate may be lower than it was.
    gap = rate.per_seconds / rate.calls
    first = sent[len(sent) - rate.calls] + rate.per_seconds if len(sent) >= rate.calls else now + gap
    return first, gap, LINE_STRETCHES * rate.per_seconds


# --- those who are refused --------------------------------------------------------------------------------------------


def _told(state: GateState, when: tuple[float, float, float]) -> GateState:
    """The place in line of somebody who is refused, as the state's hint. when: the first time at which to come back, how far
    the next one is behind it, and how long the line may get before it starts over."""
    first, gap, stretch = when
    at = max(first, state.hint + gap) if state.hint else first
    return msgspec.structs.replace(state, hint=at if at <= first + stretch else first)
