"""Rates that hold exactly, and the circuit breaker row by row."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.contract import Breaker, Rate
from holdfast.core.gates import (
    CROWD_SECONDS,
    LINE_STRETCHES,
    PAUSE_SECONDS_MAX,
    TRIAL_LOOK_SECONDS,
    TRIAL_SECONDS,
    GateState,
    Why,
    admit,
    circuit,
    heard,
    room,
)

T0 = 1_700_000_000.0
RATE = Rate(calls=3, per_seconds=60.0)
BREAKER = Breaker(failures_max=3, within_seconds=60.0, open_seconds=30.0)


def asked(
    state: GateState, now: float, calls: int = 1, rate: Rate | None = None, breaker: Breaker | None = BREAKER,
    turn: float | None = None,
) -> Any:  # fmt: skip
    """See `admit`."""
    return admit(state, now, calls=calls, rate=rate, breaker=breaker, turn=turn)


def told(
    state: GateState, now: float, outcome: Any, retry_after: float | None = None, breaker: Breaker | None = BREAKER
) -> GateState:
    """See `heard`."""
    return heard(state, now, outcome=outcome, breaker=breaker, retry_after_seconds=retry_after)


def in_words(answer: tuple[float, Why] | None) -> Any:
    """What the rows below expect of an answer: "go", or the seconds after T0 at which to ask again, and why."""
    return "go" if answer is None else (round(answer[0] - T0, 6), answer[1])


# --- rates ------------------------------------------------------------------------------------------------------------


# Short waits, waits around the length of a stretch, and a clock that is set back or forth.
steps = st.one_of(st.floats(0, 5), st.floats(55, 65), st.floats(-60, 0), st.floats(-1e5, 1e5))


@given(st.lists(st.tuples(steps, st.integers(1, 4)), max_size=60), st.integers(1, 5), st.sampled_from([0.1, 1.0, 60.0, 3600.0]))
def test_no_stretch_has_more_calls_than_the_rate_allows(moves: list[tuple[float, int]], calls: int, per_seconds: float) -> None:
    """At whatever times calls are made, by the dates of the calls; also where a clock goes back by up to a stretch."""
    rate = Rate(calls=calls, per_seconds=per_seconds)
    state, now, made = GateState(), T0, [-1e9]
    for wait, wanted in moves:
        now = max(now + wait, max(made) - per_seconds)
        free = room(state, now, rate=rate, breaker=None)
        state, refusal = asked(state, now, wanted, rate, None)
        assert (refusal is None) == (free is not None and wanted <= free)
        if refusal is None:
            made += [now] * wanted
        assert len(state.sent) <= calls
        assert list(state.sent) == sorted(state.sent)
    for first in made:
        assert sum(first <= at < first + per_seconds for at in made) <= calls


@given(st.lists(st.tuples(st.floats(0, 70), st.integers(1, 5)), max_size=40), st.integers(1, 5))
def test_calls_are_refused_only_where_the_stretch_before_them_is_full(moves: list[tuple[float, int]], calls: int) -> None:
    """What fits is let through, where nobody stands in line."""
    rate, state, now, made = Rate(calls=calls, per_seconds=60.0), GateState(), T0, []
    for wait, wanted in moves:
        now += wait
        in_line = state.hint > now
        state, refusal = asked(state, now, wanted, rate, None)
        recent = sum(at + 60.0 > now for at in made)
        assert (refusal is None) == (recent + wanted <= calls and not in_line)
        if refusal is None:
            made += [now] * wanted


@given(st.lists(st.floats(0, 100), min_size=1, max_size=80), st.integers(1, 7), st.floats(0.1, 1e4))
def test_whoever_comes_back_when_told_is_let_through_unless_others_came(
    waits: list[float], calls: int, per_seconds: float
) -> None:
    """The first one in line, at the very moment that it was told: no rounding keeps it out."""
    rate, state, now = Rate(calls=calls, per_seconds=per_seconds), GateState(), T0
    for wait in waits:
        now += wait
        state, refusal = asked(state, now, 1, rate, None)
        if refusal is not None:
            assert now < refusal[0] <= now + (LINE_STRETCHES + 1) * per_seconds
            now = refusal[0]
            state, refusal = asked(state, now, 1, rate, None, turn=now)
            assert refusal is None


def test_those_who_are_refused_are_told_times_one_behind_the_other() -> None:
    """As far apart as the rate is even; who comes back then finds room, one after the other."""
    state, _ = asked(GateState(), T0, 3, RATE, None)
    times = []
    for number in range(6):
        state, refusal = asked(state, T0 + 1 + number, 1, RATE, None)
        times.append(in_words(refusal))
    assert times == [(60 + 20 * number, "rate") for number in range(6)]
    for at, _ in times:
        state, refusal = asked(state, T0 + at, 1, RATE, None, turn=T0 + at)
        assert refusal is None


def test_runs_that_share_a_rate_take_turns() -> None:
    """Three that want as much as they can get: none is ever more than two stretches ahead of another, and none of the rate is
    left unused."""
    rate = Rate(calls=10, per_seconds=1.0)
    state, now, made = GateState(), T0, {"a": 0, "b": 0, "c": 0}
    turns: dict[str, float | None] = dict.fromkeys(made)
    while sum(made.values()) < 90:
        due = [name for name in made if made[name] < 30 and (turns[name] or T0) <= now]
        for name in due:
            while made[name] < 30:
                wanted = min(8, 30 - made[name])
                state, refusal = asked(state, now, wanted, rate, None, turn=turns[name])
                if refusal is not None and refusal[0] <= now:
                    wanted = room(state, now, rate=rate, breaker=None, turn=turns[name]) or 0
                    state, refusal = asked(state, now, wanted, rate, None, turn=turns[name])
                if refusal is not None:
                    turns[name] = refusal[0]
                    break
                turns[name] = None
                made[name] += wanted
        left = [name for name in made if made[name] < 30]
        assert not left or max(made.values()) - min(made[name] for name in left) <= 20, made
        now = min((turn for name in left if (turn := turns[name]) is not None), default=now)
    assert now - T0 <= 9.0, "ninety calls, ten a second"


def test_a_turn_that_others_took_keeps_its_place_at_the_head() -> None:
    """It is told the next moment, not the end of the line."""
    rate = Rate(calls=1, per_seconds=10.0)
    state, _ = asked(GateState(), T0, 1, rate, None)
    state, first = asked(state, T0 + 1, 1, rate, None)
    assert in_words(first) == (10, "rate")
    state, faster = asked(state, T0 + 10, 1, rate, None)
    assert faster is None, "nobody stands in line any more when its time has come"
    state, _ = asked(state, T0 + 11, 1, rate, None)
    state, again = asked(state, T0 + 12, 1, rate, None, turn=T0 + 10)
    assert again is not None and again[0] - T0 <= 22


def test_the_line_is_bounded_and_starts_over() -> None:
    """Nobody is told a time that is far beyond what is needed, however many ask."""
    state, _ = asked(GateState(), T0, 3, RATE, None)
    times = []
    for _ in range(100):
        state, refusal = asked(state, T0 + 1, 1, RATE, None)
        times.append(refusal[0] - T0)
    assert max(times) == 60 + LINE_STRETCHES * 60
    assert times.count(60) == 4
    assert len(state.sent) == 3


def test_times_that_were_told_long_ago_are_forgotten() -> None:
    """And a hint that a wrong clock left far ahead is."""
    state, _ = asked(GateState(hint=T0 - 5), T0, 3, RATE, None)
    for before in (T0 - 5, T0 + 59, T0 + 1e6):
        _, refusal = asked(GateState(sent=state.sent, hint=before), T0 + 59.5, 1, RATE, None)
        assert in_words(refusal) == (60, "rate")


def test_room_for_some_is_not_used_up_by_one_who_wants_more() -> None:
    """It is told that there is room now, and nothing has changed; `room` says for how many."""
    state, _ = asked(GateState(), T0, 2, RATE, None)
    again, refusal = asked(state, T0 + 1, 2, RATE, None)
    assert in_words(refusal) == (1, "rate")
    assert again is state
    assert room(state, T0 + 1, rate=RATE, breaker=None) == 1
    assert room(state, T0 + 60, rate=RATE, breaker=None) == 3
    assert room(state, T0, rate=None, breaker=None) is None
    assert in_words(asked(GateState(), T0, 4, RATE, None)[1]) == (0, "rate"), "more at once than is ever allowed"


def test_a_clock_that_was_a_day_ahead_locks_nothing() -> None:
    """What is dated more than a stretch ahead is forgotten; what is nearer counts."""
    ahead, _ = asked(GateState(), T0 + 86400, 3, RATE, None)
    state, refusal = asked(ahead, T0, 3, RATE, None)
    assert refusal is None
    assert state.sent == (T0, T0, T0)
    near, _ = asked(GateState(), T0 + 50, 3, RATE, None)
    assert in_words(asked(near, T0, 1, RATE, None)[1]) == (110, "rate")


def test_a_rate_that_was_lowered_waits_until_enough_calls_are_old() -> None:
    """And one that was taken away is forgotten."""
    state = GateState(sent=(T0, T0 + 10, T0 + 20, T0 + 30, T0 + 40))
    assert in_words(asked(state, T0 + 50, 1, RATE, None)[1]) == (80, "rate")
    assert room(state, T0 + 80, rate=RATE, breaker=None) == 1
    state, refusal = asked(state, T0 + 50, 1, None, None)
    assert (state, refusal) == (GateState(), None)


# --- the breaker ------------------------------------------------------------------------------------------------------

OPEN_UNTIL = 2 + 30

# Each row: what came before (three failures in a row open the circuit at T0 + 2), then what is done at which second after
# T0, and what comes of it: an answer, or the circuit's condition after an outcome.
FAIL = [(0, "failed", "closed"), (1, "failed", "closed"), (2, "failed", "open")]
TRIAL = [*FAIL, (OPEN_UNTIL, 1, "go")]
STORIES: dict[str, list[tuple[float, Any, Any]]] = {
    "a circuit that is closed lets all through": [(0, 50, "go"), (1, "ok", "closed"), (2, 50, "go")],
    "failures in a row open it": [*FAIL, (3, 1, (OPEN_UNTIL, "circuit"))],
    "a success in between clears them": [*FAIL[:2], (1.5, "ok", "closed"), (2, "failed", "closed"), (3, "failed", "closed")],
    "what says nothing does not clear them": [*FAIL[:2], (1.5, "other", "closed"), (2, "failed", "open")],
    "patience that was asked for without a time is no failure": [*FAIL[:2], (1.5, "limited", "closed"), (1.6, 9, "go")],
    "failures that are far apart do not open it": [(at, "failed", "closed") for at in (0, 31, 62, 93, 124)],
    "failures within the time do": [(0, "failed", "closed"), (30, "failed", "closed"), (60, "failed", "open")],
    "it stays open until its time": [*FAIL, (OPEN_UNTIL - 0.001, 1, (OPEN_UNTIL, "circuit"))],
    "failures of calls that began before do not make it longer": [*FAIL, (20, "failed", "open"), (OPEN_UNTIL, 1, "go")],
    "a success of a call that began before does not close it": [*FAIL, (20, "ok", "open"), (21, 1, (OPEN_UNTIL, "circuit"))],
    "then one is let through": [*FAIL, (OPEN_UNTIL, 1, "go")],
    "and no more than one": [*FAIL, (OPEN_UNTIL, 2, (OPEN_UNTIL, "circuit")), (OPEN_UNTIL, 1, "go")],
    "others wait for its outcome": [*TRIAL, (33, 1, (33 + TRIAL_LOOK_SECONDS, "circuit")), (40, "ok", "closed"), (40, 9, "go")],
    "its success closes it": [*TRIAL, (40, "ok", "closed"), (40, 9, "go"), (41, "failed", "closed"), (41, 9, "go")],
    "its failure opens it again": [*TRIAL, (40, "failed", "open"), (41, 1, (70, "circuit")), (70, 1, "go")],
    "what says nothing lets the next one through": [*TRIAL, (40, "other", "half_open"), (40, 2, (40, "circuit")), (40, 1, "go")],
    "a trial that is told to wait opens it again": [*TRIAL, (40, "limited", "open"), (41, 1, (70, "circuit"))],
    "a trial that never ends is waited for so long": [
        *TRIAL,
        (OPEN_UNTIL + TRIAL_SECONDS - 0.5, 1, (OPEN_UNTIL + TRIAL_SECONDS, "circuit")),
        (OPEN_UNTIL + TRIAL_SECONDS, 1, "go"),
    ],
    "a trial may succeed late": [*TRIAL, (300, "ok", "closed"), (300, 9, "go")],
    "a trial may fail late": [*TRIAL, (300, "failed", "open"), (301, 1, (330, "circuit"))],
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_a_circuit(story: str) -> None:
    """Each row of its story holds."""
    state = GateState()
    for second, what, expected in STORIES[story]:
        now = T0 + second
        if isinstance(what, int):
            free = room(state, now, rate=None, breaker=BREAKER)
            state, answer = asked(state, now, what)
            assert in_words(answer) == expected, second
            assert (answer is None) == (free is None or what <= free)
        else:
            state = told(state, now, what)
            assert circuit(state, now) == expected, second


@pytest.mark.parametrize("breaker", [None, BREAKER])
def test_a_time_that_the_other_side_named_holds_also_without_a_breaker(breaker: Breaker | None) -> None:
    """It is no failure; after it a tool with a breaker is tried by one call first, one without by all."""
    state = told(GateState(), T0, "limited", 20.0, breaker)
    assert state.failures == ()
    assert in_words(asked(state, T0 + 19, 1, RATE, breaker)[1]) == (20, "circuit")
    assert room(state, T0 + 20, rate=RATE, breaker=breaker) == (3 if breaker is None else 1)
    state, refusal = asked(state, T0 + 20, 1, RATE, breaker)
    assert refusal is None
    assert circuit(state, T0 + 20) == ("closed" if breaker is None else "half_open")
    assert state.sent == (T0 + 20,)


@pytest.mark.parametrize("named", [None, 0.0, -5.0, float("nan")])
def test_no_time_is_no_pause(named: float | None) -> None:
    """Nor what cannot be one."""
    assert told(GateState(), T0, "limited", named) == GateState()


def test_a_pause_is_bounded_and_the_longer_one_holds() -> None:
    """Whatever the other side says, after a day one asks again."""
    state = told(GateState(), T0, "limited", float("inf"))
    assert state.open_until == T0 + PAUSE_SECONDS_MAX
    state = told(told(GateState(), T0, "limited", 100.0), T0 + 1, "limited", 5.0)
    assert state.open_until == T0 + 100


def test_a_success_on_the_way_does_not_undo_a_pause() -> None:
    """It was sent before the other side asked for patience."""
    state = told(told(GateState(), T0, "limited", 100.0, None), T0 + 1, "ok", None, None)
    assert in_words(asked(state, T0 + 2, 1, RATE, None)[1]) == (100, "circuit")


def test_a_crowd_that_waits_for_a_circuit_comes_back_apart() -> None:
    """The first at the very moment, the others behind it, and not for longer than a trial may take."""
    state = told(GateState(), T0, "limited", 20.0)
    times = []
    for _ in range(1000):
        state, refusal = asked(state, T0 + 1)
        times.append(round(refusal[0] - T0, 6))
    assert times[:3] == [20, 20 + CROWD_SECONDS, 20 + 2 * CROWD_SECONDS]
    assert max(times) <= 20 + TRIAL_SECONDS
    state, _ = asked(state, T0 + 100)
    waiting = [asked(state, T0 + 110)[1][0] for _ in range(3)]
    assert all(T0 + 110 < at <= T0 + 100 + TRIAL_SECONDS for at in waiting)


def test_the_rate_counts_calls_that_find_out_too() -> None:
    """Both gates are passed by both; where neither has room, the circuit is named."""
    full = (T0 + 20, T0 + 20, T0 + 20)
    open_too = told(GateState(sent=full), T0, "limited", 30.0)
    assert in_words(asked(open_too, T0 + 25, 1, RATE)[1]) == (30, "circuit")
    assert in_words(asked(open_too, T0 + 40, 1, RATE)[1]) == (80, "rate")
    assert in_words(asked(open_too, T0 + 40, 2, RATE)[1]) == (80, "rate")
    state, refusal = asked(open_too, T0 + 80, 1, RATE)  # What does not count any more is kept, for clocks that are behind.
    assert (refusal, state.sent) == (None, (T0 + 20, T0 + 20, T0 + 80))
    assert room(state, T0 + 80, rate=RATE, breaker=BREAKER) == 0


def test_a_circuit_that_was_opened_by_a_clock_ahead_is_open_for_as_long_from_now() -> None:
    """Not for the day that the clock was wrong by; and a trial that it let through is waited for no longer than any."""
    state = GateState()
    for _ in range(3):
        state = told(state, T0 + 86400, "failed")
    state, refusal = asked(state, T0)
    assert in_words(refusal) == (30, "circuit")
    state, refusal = asked(state, T0 + 30)
    assert refusal is None
    ahead, _ = asked(GateState(open_until=T0, opened_at=T0 - 30), T0 + 86400)
    ahead, refusal = asked(ahead, T0)
    assert in_words(refusal) == (TRIAL_LOOK_SECONDS, "circuit")
    assert asked(ahead, T0 + TRIAL_SECONDS)[1] is None


def test_failures_that_a_clock_ahead_left_do_not_count() -> None:
    """Only those near to now are a row."""
    state = told(told(GateState(), T0 + 86400, "failed"), T0 + 86400, "failed")
    state = told(state, T0, "failed")
    assert state.failures == (T0,)


moves = st.lists(
    st.tuples(
        st.one_of(st.floats(0, 5), st.floats(20, 70), st.floats(-1e5, 1e5)),
        st.one_of(
            st.integers(1, 3),
            st.sampled_from(["ok", "failed", "limited", "other"]),
            st.tuples(st.just("limited"), st.floats(allow_nan=True)),
        ),
    ),
    max_size=60,
)


@given(moves, st.sampled_from([None, RATE]), st.sampled_from([None, BREAKER]))
def test_every_gate_lets_somebody_through_in_the_end(story: Any, rate: Rate | None, breaker: Breaker | None) -> None:
    """Whatever happened before and whatever the clocks said: who comes back when told gets through, within a few rounds; and
    what is kept stays small."""
    state, now = GateState(), T0
    for wait, what in story:
        now += wait
        if isinstance(what, int):
            state, refusal = asked(state, now, what, rate, breaker)
            assert refusal is None or refusal[0] >= now
        else:
            outcome, retry_after = what if isinstance(what, tuple) else (what, None)
            state = told(state, now, outcome, retry_after, breaker)
        assert len(state.failures) <= BREAKER.failures_max
        assert len(state.sent) <= RATE.calls
    longest = PAUSE_SECONDS_MAX + TRIAL_SECONDS + (LINE_STRETCHES + 1) * 60.0
    begun = now
    for _ in range(200):
        state, refusal = asked(state, now, 1, rate, breaker, turn=now)
        if refusal is None:
            break
        assert now < refusal[0] <= begun + longest
        now = refusal[0]
    else:
        raise AssertionError("nobody gets through")


@given(moves)
def test_while_one_finds_out_nobody_else_is_let_through(story: Any) -> None:
    """As long as the clock is not set back, and nothing is heard that may be its outcome."""
    state, now, trial_at = GateState(), T0, None
    for wait, what in story:
        now += abs(wait)
        if isinstance(what, int):
            half_open = circuit(state, now) == "half_open"
            state, refusal = asked(state, now, what)
            if refusal is None and half_open:
                assert what == 1
                assert trial_at is None or now >= trial_at + TRIAL_SECONDS
                trial_at = now
            elif refusal is None:
                trial_at = None
        else:
            outcome, retry_after = what if isinstance(what, tuple) else (what, None)
            state, trial_at = told(state, now, outcome, retry_after), None
