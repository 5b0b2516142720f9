"""Which model is asked, with how much, and why; each setback by its kind."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import events as e
from holdfast.core.budget import Means
from holdfast.core.models import reservation
from holdfast.core.routing import (
    AFTER,
    LATER_SECONDS,
    NEVER,
    SHORTER_MAX,
    Choice,
    Nobody,
    Poor,
    Tried,
    Wait,
    estimate,
    least,
    route,
    until_after,
)
from tests.core.mind import PLAIN, Mind, price, terms, thinking
from tests.core.story import T0, step, tool

RICH = Means(cost_usd=None, tokens=None)
STRONG, WEAK, OTHER = terms("p:strong"), terms("p:weak", price=price("0.3", "1.5")), terms("q:other")
SMALL, WHOLE = 8_000, 40_000


def routed(*models: Any, phase: Any = "plan", **given: Any) -> Any:
    """What is chosen among these, in this order."""
    fields = {name: given.pop(name) for name in ("routes", "cheaper") if name in given}
    rest = {"tried": {}, "held": {}, "means": RICH, "wanted": WHOLE, "least": SMALL, "now": T0, **given}
    return route(thinking(*models, **fields), phase, **rest)


def dollars(amount: str) -> Means:
    """So much money, and tokens without end."""
    return Means(cost_usd=Decimal(amount), tokens=None)


# --- the order --------------------------------------------------------------------------------------------------------


def test_the_first_of_the_route_is_asked() -> None:
    """With all that is wanted, and the reason."""
    found = routed(STRONG, OTHER)
    assert found == Choice(terms=STRONG, reason="the first choice for plan", reserved=reservation(STRONG, WHOLE))


def test_each_phase_has_its_own_route() -> None:
    """The others have the one under no name."""
    routes = {"": (STRONG.name,), "reflect": (WEAK.name, STRONG.name)}
    assert routed(STRONG, WEAK, routes=routes, phase="reflect").terms == WEAK
    assert routed(STRONG, WEAK, routes=routes, phase="diagnose").terms == STRONG
    found = routed(STRONG, routes={"plan": (STRONG.name,)}, phase="complete")
    assert found == Nobody(reason="no model is named for the phase complete")


def test_the_next_is_asked_while_the_first_is_waited_for() -> None:
    """The reason says what is the matter with those before it."""
    tried = {STRONG.name: Tried(until=T0 + 5, kind="rate_limited", message="slow down")}
    found = routed(STRONG, OTHER, tried=tried)
    assert found.terms == OTHER
    assert found.reason == "the next, for p:strong: rate_limited (slow down)"
    assert routed(STRONG, OTHER, tried=tried, now=T0 + 5).terms == STRONG


def test_where_all_are_waited_for_the_earliest_says_until_when() -> None:
    """Those that will never answer do not count."""
    tried = {
        STRONG.name: Tried(until=T0 + 50, kind="transient"),
        OTHER.name: Tried(until=T0 + 5, kind="unavailable"),
        WEAK.name: Tried(until=NEVER, kind="denied"),
    }
    found = routed(STRONG, OTHER, WEAK, tried=tried)
    assert isinstance(found, Wait) and found.until == T0 + 5
    assert found.reason == "p:strong: transient; q:other: unavailable; p:weak: denied"


def test_where_nobody_will_ever_answer_that_is_said() -> None:
    """With what each said last."""
    tried = {STRONG.name: Tried(until=NEVER, kind="denied", message="no such key")}
    assert routed(STRONG, tried=tried) == Nobody(reason="p:strong: denied (no such key)")


def test_a_provider_whose_gate_is_shut_is_passed_over() -> None:
    """All its models are; a gate that opens now is waited for a moment, so that nobody asks in a circle."""
    held = {"model:p": (T0 + 30, "circuit")}
    assert routed(STRONG, WEAK, OTHER, held=held).terms == OTHER
    found = routed(STRONG, WEAK, held=held)
    assert found == Wait(
        until=T0 + 30, reason="p:strong: the circuit of its provider is open; p:weak: the circuit of its provider is open"
    )
    found = routed(STRONG, held={"model:p": (T0 - 1, "rate")})
    assert isinstance(found, Wait) and found.until > T0
    assert routed(STRONG, held={"p": (T0 + 30, "rate")}).terms == STRONG, "a tool may be called so"


# --- money ------------------------------------------------------------------------------------------------------------


def test_a_cheaper_model_is_asked_where_the_money_runs_short() -> None:
    """The reason names the amounts."""
    need = reservation(STRONG, WHOLE).cost_usd
    assert routed(STRONG, WEAK, routes={"": (STRONG.name,)}, cheaper=(WEAK.name,), means=dollars(str(need))).terms == STRONG
    found = routed(STRONG, WEAK, routes={"": (STRONG.name,)}, cheaper=(WEAK.name,), means=dollars("0.05"))
    assert found.terms == WEAK
    assert found.reason == "a cheaper one, for p:strong: it may take $0.135, and $0.05 are left"


def test_the_context_is_shorter_where_no_model_is_cheap_enough() -> None:
    """The cheapest first, by halves; at last with what is always in it."""
    routes = {"": (STRONG.name,)}
    given: dict[str, Any] = {"routes": routes, "cheaper": (WEAK.name,)}
    half = reservation(WEAK, WHOLE // 2)
    found = routed(STRONG, WEAK, means=Means(cost_usd=half.cost_usd, tokens=None), **given)
    assert (found.terms, found.reserved) == (WEAK, half)
    assert found.reason.endswith("; with a shorter context")
    last = reservation(WEAK, SMALL)
    found = routed(STRONG, WEAK, means=Means(cost_usd=last.cost_usd, tokens=None), **given)
    assert (found.terms, found.reserved) == (WEAK, last)
    assert found.reason.endswith("; with a shorter context")
    short = reservation(WEAK, SMALL, 512)
    found = routed(STRONG, WEAK, means=Means(cost_usd=short.cost_usd, tokens=None), **given)
    assert (found.terms, found.reserved.output_tokens) == (WEAK, 512)
    assert found.reason.endswith("; with a shorter context and answer")


def test_a_budget_that_pays_for_no_request_is_said_by_its_name() -> None:
    """Money or tokens, whichever it is."""
    assert routed(STRONG, means=dollars("0.0001")) == Poor(limit="cost_usd_max")
    assert routed(STRONG, means=Means(cost_usd=None, tokens=SMALL)) == Poor(limit="tokens_max")
    assert routed(STRONG, means=Means(cost_usd=None, tokens=SMALL + 1_000)).reserved.tokens == SMALL + 1_000


def test_a_cheaper_model_that_cannot_be_asked_is_not() -> None:
    """Money does not open a gate."""
    tried = {WEAK.name: Tried(until=NEVER, kind="denied")}
    found = routed(STRONG, WEAK, routes={"": (STRONG.name,)}, cheaper=(WEAK.name,), tried=tried, means=dollars("0.05"))
    assert (found.terms, found.reserved.input_tokens < WHOLE) == (STRONG, True)


@given(
    st.decimals("0", "0.3", places=4), st.none() | st.integers(0, 60_000), st.integers(1_000, 200_000), st.integers(1_000, 50_000)
)
def test_no_choice_is_more_than_is_left(cost_usd: Decimal, tokens: int | None, wanted: int, smallest: int) -> None:
    """Of money and tokens, and never less than a request needs; each says why."""
    means = Means(cost_usd=cost_usd, tokens=tokens)
    found = routed(
        STRONG, OTHER, WEAK, routes={"": (STRONG.name, OTHER.name)}, cheaper=(WEAK.name,), means=means,
        wanted=max(wanted, smallest), least=smallest,
    )  # fmt: skip
    if isinstance(found, Choice):
        assert means.allows(found.reserved) and found.reason
        assert smallest <= found.reserved.input_tokens <= found.terms.context_bytes_max
    else:
        assert isinstance(found, Poor)


# --- length -----------------------------------------------------------------------------------------------------------


def test_a_request_is_no_longer_than_the_model_takes() -> None:
    """Whatever is wanted."""
    assert routed(STRONG, wanted=10**9).reserved.input_tokens == STRONG.context_bytes_max


def test_a_model_that_takes_less_than_a_request_has_is_not_asked() -> None:
    """It would fail for certain."""
    tiny = terms("p:tiny", context_bytes_max=SMALL - 1)
    assert routed(tiny, OTHER).terms == OTHER
    found = routed(tiny)
    assert found == Nobody(reason="p:tiny: a request has at least 8000 bytes, and it takes 7999")


def test_after_a_request_that_was_too_long_the_next_one_is_shorter() -> None:
    """Than that one was, not than the model was said to take."""
    found = routed(STRONG, tried={STRONG.name: Tried(until=T0, input_bytes=WHOLE // 2)})
    assert found.reserved.input_tokens == WHOLE // 2


def test_what_a_request_has_grows_with_what_was_said() -> None:
    """And never is less than what it needs at least."""
    how = thinking(overhead_bytes=5_000)
    assert estimate(how, 0, 0, 0, 0) == least(how, 0, 0) == 11_000
    assert estimate(how, 80_000, 10, 3, 2) > 80_000 + 5_000
    assert estimate(how, 80_000, 10, 3, 2) >= least(how, 3, 2)


# --- when again -------------------------------------------------------------------------------------------------------


def again(kind: Any, failures: int = 1, *, context: bool = False, after: float | None = None) -> float:
    """Seconds until a model is asked again."""
    until = until_after(
        thinking(), kind, context=context, failures=failures, at=T0, run_id="r1", model="p:m", retry_after_seconds=after
    )
    return until if until >= NEVER else until - T0


@pytest.mark.parametrize("kind", [kind for kind, (after, _) in AFTER.items() if after == "again"])
def test_what_passes_is_tried_again_with_growing_waits(kind: Any) -> None:
    """So often as the retry of the agent says, and never before the provider said."""
    assert [again(kind, n) for n in (1, 2)] == [2.0, 4.0]
    assert again(kind, PLAIN.attempts_max) == NEVER
    assert again(kind, 1, after=77.0) == 77.0
    assert again(kind, 1, after=0.5) == 2.0


def test_a_quota_is_looked_at_hourly_and_not_for_ever() -> None:
    """Nobody learns of it otherwise."""
    assert again("too_expensive") == LATER_SECONDS
    assert again("too_expensive", after=3 * LATER_SECONDS) == 3 * LATER_SECONDS
    assert again("too_expensive", PLAIN.attempts_max) == NEVER


@pytest.mark.parametrize("kind", ["denied", "not_found", "invalid_input"])
def test_what_no_repeat_mends_is_out_at_once(kind: Any) -> None:
    """Also where a time was named."""
    assert again(kind, after=1.0) == NEVER


def test_a_request_that_was_too_long_is_made_again_at_once_and_shorter() -> None:
    """So often; then the model counts as too small."""
    assert [again("invalid_input", n, context=True) for n in range(1, SHORTER_MAX + 2)] == [0.0] * SHORTER_MAX + [NEVER]


@pytest.mark.parametrize("kind", get_args(e.FailureKind))
def test_every_kind_of_failure_ends_somewhere(kind: Any) -> None:
    """Also those that no model should have."""
    assert again(kind, PLAIN.attempts_max) == NEVER


def test_no_time_is_beyond_the_end_of_time() -> None:
    """What is written down must be a number."""
    assert again("rate_limited", after=float("inf")) == NEVER


# --- in a run ---------------------------------------------------------------------------------------------------------


def test_a_failed_request_goes_on_with_the_next_model_in_the_same_turn() -> None:
    """And with the first one again when its time has come, in the next turn."""
    mind = Mind(tool("t"), models=(STRONG, OTHER))
    assert mind.ask().model == STRONG.name
    mind.refuse("rate_limited", retry_after_seconds=60.0, message="slow down")
    asked = mind.ask()
    assert (asked.turn, asked.attempt, asked.model) == (1, 2, OTHER.name)
    assert asked.reason == "the next, for p:strong: rate_limited (slow down)"
    mind.plan(step("a"))
    mind.decide()
    mind.succeed("a", 1)
    assert mind.ask(59.0).model == OTHER.name, "not before the time that was named"
    mind.plan(step("b"))
    mind.decide()
    mind.succeed("b", 1)
    assert mind.ask(1.0).model == STRONG.name


def test_one_model_is_waited_for_until_its_time() -> None:
    """Written down, with a time to wake; nothing is asked before."""
    mind = Mind(tool("t"))
    mind.ask()
    mind.refuse("unavailable", message="overloaded", retry_after_seconds=30.0)
    decision = mind.decide()
    assert decision.events == (e.ReasonerHeld(until=T0 + 30, reason="p:m: unavailable (overloaded)"),)
    assert decision.wake_at == T0 + 30
    assert mind.decide(29.0).events == ()
    assert mind.ask(1.0).attempt == 2


def test_a_wait_survives_the_crash_that_follows_it() -> None:
    """It is in the record."""
    mind = Mind(tool("t"))
    mind.ask()
    mind.refuse("rate_limited", retry_after_seconds=300.0)
    mind.decide()
    mind.crash(after=10.0)
    assert (mind.decide().commands, mind.last and mind.last.wake_at) == ((), T0 + 300)


def out(**given: Any) -> Mind:
    """A run whose one model lets nobody in."""
    mind = Mind(tool("t"), **given)
    mind.ask()
    mind.refuse("denied", message="no such key").decide()
    return mind


def test_where_no_model_will_answer_a_person_is_asked() -> None:
    """Once, with the reason; the run waits."""
    mind = out()
    assert (mind.asked.about, mind.asked.kind) == ("reasoner", "escalation")
    assert mind.asked.question == "no model can be asked (p:m: denied (no such key)); ask them again?"
    assert mind.decide(100.0).events == ()


def test_a_person_may_have_them_asked_again() -> None:
    """What they said before does not count then."""
    mind = out()
    mind.answer("approve")
    asked = mind.ask()
    assert (asked.turn, asked.attempt, asked.reason) == (1, 2, "the first choice for plan")
    mind.refuse("denied").decide()
    assert mind.asked.about == "reasoner"


@pytest.mark.parametrize(("decision", "ends"), [("reject", "failed"), ("cancel", "cancelled")])
def test_a_person_may_stop_the_run_that_nobody_thinks_for(decision: Any, ends: str) -> None:
    """What was done is kept."""
    mind = out()
    mind.answer(decision, note="no").decide()
    assert mind.ended == ends
    assert "by ann" in mind.run.reason


def test_silence_stops_the_run_that_nobody_thinks_for() -> None:
    """At the deadline of the question."""
    mind = out()
    assert mind.last is not None and mind.last.wake_at == mind.asked.expires_at
    mind.decide(mind.asked.expires_at - mind.now)
    assert mind.ended == "failed" and "nobody said to go on" in mind.run.reason


def test_other_models_need_nobody_to_say_that_they_are_asked() -> None:
    """The question was about those before."""
    mind = out()
    mind.tell(e.ThinkingChanged(thinking=thinking(OTHER)))
    assert mind.ask().model == OTHER.name
    assert mind.open == []


def test_each_request_that_was_too_long_is_followed_by_a_shorter_one() -> None:
    """At once; in the end the model counts as too small, and a person is asked."""
    mind = Mind(tool("t"), overhead_bytes=40_000)
    sizes = [mind.ask().reserved]
    for _ in range(2 * SHORTER_MAX):
        mind.too_long()
        mind.decide()
        if mind.open:
            break
        sizes.append(mind.run.asking_model and mind.run.asking_model.reserved)
    assert mind.asked.about == "reasoner"
    bytes_ = [each.input_tokens for each in sizes if each is not None]
    assert all(later <= before // 2 for before, later in pairwise(bytes_))


def test_that_a_model_takes_less_is_known_for_the_rest_of_the_run() -> None:
    """An answer to a shorter request does not make it take more."""
    mind = Mind(tool("t"), models=(terms(context_bytes_max=240_000),), overhead_bytes=1_000)
    mind.plan(step("a"))
    mind.decide()
    mind.succeed("a", "x" * 100_000)
    first = mind.ask().reserved
    mind.too_long()
    second = mind.ask().reserved
    assert first is not None and second is not None and second.input_tokens == first.input_tokens // 2
    mind.plan(step("b"))
    mind.decide()
    mind.succeed("b", "y" * 1_000)
    third = mind.ask().reserved
    assert third is not None and third.input_tokens == second.input_tokens


def test_a_shut_gate_is_waited_for() -> None:
    """Of a provider; the run parks until it opens."""
    from holdfast.core.decide import Room

    mind = Mind(tool("t"))
    decision = mind.decide(room=Room(held={"model:p": (T0 + 40, "circuit")}))
    assert decision.events == (e.ReasonerHeld(until=T0 + 40, reason="p:m: the circuit of its provider is open"),)
    assert decision.wake_at == T0 + 40
    assert mind.is_asked(40.0)


def test_answers_that_take_the_worker_down_are_not_asked_for_for_ever() -> None:
    """A person is asked, after as many as one call may be lost."""
    mind = Mind(tool("t"))
    for lost in range(mind.run.limits.lost_max + 1):
        assert mind.ask().attempt == lost + 1
        mind.crash()
    mind.decide()
    assert mind.asked.about == "reasoner" and "was gone before it answered, 6 times" in mind.asked.question
