"""What may still be spent: reserved with the intent, settled with the outcome, whoever dies in between."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.core import events as e
from holdfast.core.budget import Means, dollars, lost, means
from holdfast.core.commands import AskReasoner, CallTool, child_run_id
from holdfast.core.evolve import fold
from holdfast.core.limits import Limits
from holdfast.core.models import ZERO, Reserved, Usage, cost
from holdfast.core.plan import Plan
from holdfast.reasoners.base import Finish, Keep, Propose
from tests.core.mind import Mind, price, terms
from tests.core.story import step, tool


def usd(amount: str, tokens: int = 0) -> Reserved:
    """So much, held."""
    return Reserved(input_tokens=tokens, cost_usd=Decimal(amount))


# --- what is left -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        (Limits(), Means(cost_usd=None, tokens=None)),
        (Limits(cost_usd_max=Decimal(1)), Means(cost_usd=Decimal("0.6"), tokens=None)),
        (Limits(tokens_max=100), Means(cost_usd=None, tokens=63)),
        (Limits(cost_usd_max=Decimal("0.2"), tokens_max=20), Means(cost_usd=ZERO, tokens=0)),
    ],
)
def test_what_is_spent_and_what_is_held_are_not_left(limits: Limits, left: Means) -> None:
    """None where there is no limit; nothing is ever less than nothing."""
    spent = Usage(input_tokens=20, output_tokens=10, cost_usd=Decimal("0.1"))
    assert means(limits, spent, {"": usd("0.1", 7), "a": usd("0.2")}) == left


def test_what_there_is_no_room_for_is_said_by_the_limit() -> None:
    """Exactly as much as is left may be used."""
    left = Means(cost_usd=Decimal(1), tokens=10)
    assert left.allows(usd("1", 10))
    assert left.lacks(usd("1.00000001", 10)) == "cost_usd_max"
    assert left.lacks(usd("1", 11)) == "tokens_max"
    assert Means(cost_usd=None, tokens=None).allows(usd("1000000", 10**9))


def test_what_was_lost_counts_in_full() -> None:
    """As one request, where it was one."""
    held = Reserved(input_tokens=5, output_tokens=7, cost_usd=Decimal("0.5"))
    assert lost(held) == Usage(input_tokens=5, output_tokens=7, requests=1, cost_usd=Decimal("0.5"))
    assert lost(held, requests=0).requests == 0


@pytest.mark.parametrize(
    ("amount", "said"),
    [("0", "$0.00"), ("2.5", "$2.50"), ("10", "$10.00"), ("0.00000001", "$0.00000001"), ("1.2300", "$1.23"), ("100", "$100.00")],
)
def test_amounts_are_shown_in_cents_or_exactly(amount: str, said: str) -> None:
    """Never as 1E+2."""
    assert dollars(Decimal(amount)) == said


# --- requests ---------------------------------------------------------------------------------------------------------


def test_a_request_is_held_for_and_settled() -> None:
    """In the same commits as its intent and its outcome."""
    mind = Mind(tool("t"), limits=Limits(cost_usd_max=Decimal(1)))
    asked = mind.ask()
    assert mind.run.reserved == {"": asked.reserved} and asked.reserved is not None and asked.reserved.cost_usd > 0
    mind.plan(step("a"))  # It said that it used nothing.
    assert (mind.run.reserved, mind.run.spent) == ({}, Usage(requests=1))


def test_what_an_answer_cost_is_worked_out_by_the_price_of_the_run() -> None:
    """Whatever the answer says of it."""
    mind = Mind(tool("t"))
    used = Usage(input_tokens=1_000, output_tokens=10, requests=7, cost_usd=Decimal(99))
    mind.say(Keep(), used)
    assert mind.run.spent == Usage(input_tokens=1_000, output_tokens=10, requests=1, cost_usd=Decimal("0.00315"))


def test_a_failed_request_costs_what_it_says() -> None:
    """Nothing where it says nothing."""
    mind = Mind(tool("t"))
    mind.ask()
    mind.refuse("transient")
    assert (mind.run.spent, mind.run.reserved) == (Usage(), {})
    mind.ask(10.0)
    mind.refuse("transient", usage=Usage(input_tokens=5, cost_usd=Decimal("0.1"), requests=1))
    assert mind.run.spent == Usage(input_tokens=5, cost_usd=Decimal("0.1"), requests=1)


def test_a_lost_request_counts_in_full_and_once() -> None:
    """The turn goes on with another request."""
    mind = Mind(tool("t"))
    held = mind.ask().reserved
    assert held is not None
    mind.crash()
    asked = mind.ask()
    assert mind.events(e.ModelCallLost) == [e.ModelCallLost(turn=1, model="p:m", usage=lost(held))]
    assert (asked.turn, asked.attempt) == (1, 2)
    assert mind.run.spent == lost(held)
    mind.keep()
    mind.crash()
    mind.decide()
    assert len(mind.events(e.ModelCallLost)) == 1


def test_a_request_that_is_lost_while_the_run_stops_counts_too() -> None:
    """What is told of the run in the end is what it may have spent."""
    mind = Mind(tool("t"))
    held = mind.ask().reserved
    assert held is not None
    mind.crash().cancel().decide()
    assert (mind.ended, mind.run.spent, mind.run.reserved) == ("cancelled", lost(held), {})
    assert len(mind.events(e.ModelCallLost)) == 1, "and is said"


def test_an_answer_of_which_only_the_failure_is_heard_counts_in_full() -> None:
    """Nobody knows what it used."""
    mind = Mind(tool("t"))
    held = mind.ask().reserved
    assert held is not None
    mind.tell(e.ProposalFailed(turn=1, problems=("it broke",)))
    assert (mind.run.spent, mind.run.reserved) == (lost(held), {})


def test_a_run_whose_budget_pays_for_nothing_more_stops() -> None:
    """At the limit, with words that a person understands."""
    mind = Mind(tool("t"), limits=Limits(cost_usd_max=Decimal("0.001")))
    mind.decide()
    assert mind.ended == "failed"
    assert mind.run.reason.startswith("the budget of $0.001 is used up: $0.00 are spent")
    mind = Mind(tool("t"), limits=Limits(tokens_max=100))
    mind.decide()
    assert mind.run.reason == "the budget of 100 tokens is used up: 0 are spent"


# --- tools ------------------------------------------------------------------------------------------------------------

PAID = tool("paid", "keyed", cost_usd=Decimal("0.4"))


def spending(limit: str = "1", *steps: Any) -> Mind:
    """A run with these steps, and so much money, whose models cost nothing."""
    free = terms(price=price("0", "0"))
    shown = tool("shown", "idempotent", cost_usd=Decimal("0.4"))
    mind = Mind(PAID, shown, tool("sub", "keyed", agent="other"), models=(free,), limits=Limits(cost_usd_max=Decimal(limit)))
    return mind.plan(*steps)


def test_only_so_many_paid_calls_begin_as_the_budget_pays_for() -> None:
    """The others wait for what those leave, which settle as they say, or as was declared."""
    mind = spending("1", *(step(name, "paid", args={"n": name}) for name in "abc"))
    assert mind.called() == ["a", "b"]
    assert mind.run.reserved == {"a": usd("0.4"), "b": usd("0.4")}
    mind.tell(e.CallSucceeded(step="a", attempt=1, spent=Usage(cost_usd=Decimal("0.1"))))
    assert mind.called() == ["c"]
    mind.succeed("b")
    assert mind.run.spent == Usage(requests=1, cost_usd=Decimal("0.5"))
    mind.fail("c", "denied").decide()
    assert mind.run.spent.cost_usd == Decimal("0.9")


def test_a_call_that_the_rest_of_the_budget_does_not_pay_for_is_refused() -> None:
    """The reasoner is told; nothing is called."""
    mind = spending("0.5", *(step(name, "paid", args={"n": name}, on_failure="replan") for name in "ab"))
    assert mind.called() == ["a"]
    mind.succeed("a").decide()
    (refused,) = mind.events(e.CallRefused)
    assert (refused.step, refused.failure.kind) == ("b", "too_expensive")
    assert refused.failure.message == "it may cost $0.40, and $0.10 of the budget are left"


def test_a_lost_call_counts_in_full_and_its_repeat_is_held_for_again() -> None:
    """Nobody knows whether it was charged for."""
    mind = spending("1", step("a", "shown"))
    mind.decide()
    mind.lose("a")
    mind.decide()
    assert (mind.run.spent.cost_usd, mind.run.reserved) == (Decimal("0.4"), {})
    assert mind.called(5.0) == ["a"]
    assert mind.run.reserved == {"a": usd("0.4")}


def test_a_lost_call_whose_repeats_are_dropped_costs_once() -> None:
    """It is held for until it is settled; a failure that says that it cost nothing does not speak for the lost one."""
    for failed in (False, True):
        mind = spending("1", step("a", "paid"))
        mind.decide()
        mind.lose("a").decide()
        assert (mind.run.spent.cost_usd, mind.run.reserved) == (0, {"a": usd("0.4")})
        assert mind.called(5.0) == ["a"]
        assert mind.run.reserved == {"a": usd("0.4")}
        if failed:
            refusal = e.Failure(kind="denied")
            mind.tell(e.CallFailed(step="a", attempt=2, failure=refusal, spent=Usage()))
        else:
            mind.succeed("a")
        assert (mind.run.spent.cost_usd, mind.run.reserved) == (Decimal("0.4"), {})


# --- runs that steps start --------------------------------------------------------------------------------------------


def test_a_run_that_a_step_starts_gets_half_of_what_is_left() -> None:
    """It is held for it until it ends, and settled by what it says."""
    mind = spending("1", step("a", "sub", args={"goal": "g"}))
    mind.decide()
    assert mind.run.reserved == {"a": usd("0.5")}
    mind.defer("a", handle=child_run_id("r1", "a", 1))
    assert mind.run.reserved == {"a": usd("0.5")}
    mind.child("a", spent=Usage(cost_usd=Decimal("0.3"), requests=9))
    assert (mind.run.reserved, mind.run.spent) == ({}, Usage(requests=10, cost_usd=Decimal("0.3")))


def test_of_a_run_that_may_have_been_started_the_share_stays_held() -> None:
    """It may be spending it. What is settled in the end is what it says."""
    mind = spending("1", step("a", "sub"))
    mind.decide()
    mind.lose("a")
    mind.decide()
    assert (mind.run.reserved, mind.run.spent.cost_usd) == ({"a": usd("0.5")}, 0)
    assert mind.called(5.0) == ["a"]
    assert mind.run.reserved == {"a": usd("0.5")}, "not what is granted now, for it may go on under what was"
    mind.defer("a", handle=child_run_id("r1", "a", 1)).child("a", spent=Usage(cost_usd=Decimal("0.5")))
    assert (mind.run.reserved, mind.run.spent.cost_usd) == ({}, Decimal("0.5"))


def test_a_run_that_could_not_be_started_spends_nothing() -> None:
    """It is not there."""
    mind = spending("1", step("a", "sub"))
    mind.decide()
    mind.fail("a", "invalid_input")
    assert (mind.run.reserved, mind.run.spent.cost_usd) == ({}, 0)


def test_a_run_that_is_waited_for_no_more_has_spent_all_that_it_was_granted() -> None:
    """It goes on, and what it says later changes nothing; least of all what is held for the next one."""
    again = tool("sub", "keyed", agent="other", at_deadline="repeat", owed_within_seconds=50.0)
    mind = Mind(again, limits=Limits(cost_usd_max=Decimal(8)))
    mind.plan(step("a", "sub"))
    mind.decide()
    first = mind.run.reserved["a"].cost_usd
    mind.defer("a", handle=child_run_id("r1", "a", 1), until=mind.now + 50.0)
    assert mind.called(51.0) == ["a"]
    assert mind.run.spent.cost_usd == first
    second = mind.run.reserved["a"]
    assert first + second.cost_usd <= 8
    mind.child("a", child=child_run_id("r1", "a", 1), spent=Usage(cost_usd=first))
    assert (mind.run.spent.cost_usd, mind.run.reserved["a"]) == (first, second)


def test_what_is_held_when_the_run_ends_counts_as_spent() -> None:
    """Whoever started the run gives what is left to others."""
    mind = spending("1", step("a", "sub"))
    mind.decide()
    mind.defer("a", handle=child_run_id("r1", "a", 1)).cancel().decide()
    assert (mind.ended, mind.run.reserved, mind.run.spent.cost_usd) == ("cancelled", {}, Decimal("0.5"))


def test_a_budget_that_is_held_for_what_is_over_does_not_keep_the_run_waiting() -> None:
    """A step that a person gave up holds nothing any more."""
    mind = spending("1", step("a", "sub", on_failure="skip"))
    mind.decide()
    mind.defer("a", handle="c", until=mind.now + 10.0).decide()
    mind.decide(11.0)
    mind.answer("reject").decide()
    assert (mind["a"].phase, mind.run.spent.cost_usd) == ("skipped", Decimal("0.5"))
    assert mind.run.reserved.keys() == {""}, "only what the next request may use"


# --- whatever happens -------------------------------------------------------------------------------------------------


class Spree:
    """A run that spends, while requests and calls end in any way and the worker dies. It keeps the truth: what was used."""

    def __init__(self, data: st.DataObject):
        self.data = data
        self.limit = data.draw(st.decimals("0", "0.5", places=3), label="cost_usd_max")
        self.tokens = data.draw(st.sampled_from([None, 20_000, 200_000]), label="tokens_max")
        input_usd = data.draw(st.sampled_from(["0.000003", "0.1", "3"]), label="price")
        self.models = (terms("p:a", price=price(input_usd, "15")), terms("q:b", price=price("0.1", "0.4")))
        self.mind = Mind(
            tool("t", "keyed", cost_usd=Decimal("0.01")),
            tool("u", "read", cost_usd=Decimal("0.0333")),
            tool("sub", "keyed", agent="other", at_deadline="fail", owed_within_seconds=100.0),
            models=self.models,
            routes={"": ("p:a",)},
            cheaper=("q:b",),
            limits=Limits(cost_usd_max=self.limit, tokens_max=self.tokens, person_seconds=500.0, idle_turns_max=50),
        )
        self.truth, self.truth_tokens = ZERO, 0
        self.flying: list[Any] = []
        self.granted: dict[str, tuple[str, Decimal, int]] = {}
        self.over: set[str] = set()
        self.charged: set[str] = set()
        self.steps = 0

    def draw(self, strategy: st.SearchStrategy[Any], label: str) -> Any:
        return self.data.draw(strategy, label=label)

    def use(self, usage: Usage) -> Usage:
        self.truth += usage.cost_usd
        self.truth_tokens += usage.tokens
        return usage

    def check(self) -> None:
        """What is spent, what is held, and what was really used never exceed the limit."""
        run = self.mind.run
        held = sum((each.cost_usd for each in run.reserved.values()), ZERO)
        assert run.spent.cost_usd + held <= self.limit
        assert isinstance(run.spent.cost_usd, Decimal)
        assert self.truth <= run.spent.cost_usd + held, "more was used than is known of"
        if self.tokens is not None:
            assert run.spent.tokens + sum(each.tokens for each in run.reserved.values()) <= self.tokens
            assert self.truth_tokens <= self.tokens
        left = means(run.limits, run.spent, run.reserved)
        assert left.cost_usd == self.limit - run.spent.cost_usd - held

    def act(self) -> None:
        action = self.draw(st.sampled_from(["work", "work", "work", "crash", "time", "child", "answer"]), "action")
        if action == "work" and self.flying:
            self.work(self.flying.pop(self.draw(st.integers(0, len(self.flying) - 1), "which")))
        elif action == "crash":
            for command in self.flying:
                self.lose(command)
            self.flying.clear()
            self.mind.crash()
        elif action == "time":
            self.mind.wait(self.draw(st.sampled_from([1.0, 30.0, 700.0]), "seconds"))
        elif action == "child" and self.granted:
            self.child(self.draw(st.sampled_from(sorted(self.granted)), "child"))
        elif action == "answer" and self.mind.open:
            name = self.draw(st.sampled_from(self.mind.open), "interrupt")
            asked = self.mind.run.interrupts[name]
            if asked.expires_at > self.mind.now:
                self.mind.answer(self.draw(st.sampled_from(["approve", "reject"]), "said"), interrupt=name)
        self.decide()

    def decide(self) -> None:
        decision = self.mind.decide()
        self.flying += decision.commands
        self.check()

    def lose(self, command: Any) -> None:
        """It may have used all that was held for it."""
        if isinstance(command, AskReasoner):
            assert command.terms is not None and command.reserved is not None
            most = Usage(input_tokens=command.reserved.input_tokens, output_tokens=command.reserved.output_tokens)
            self.use(Usage(input_tokens=most.input_tokens, cost_usd=cost(command.terms.price, most)))
        elif isinstance(command, CallTool) and command.contract.agent is None:
            self.charge(command)
        elif isinstance(command, CallTool):
            self.start(command)

    def charge(self, call: CallTool) -> None:
        """A call costs what was declared; one whose repeats are dropped costs it once."""
        if call.contract.safety != "keyed" or call.key not in self.charged:
            self.use(Usage(cost_usd=call.contract.cost_usd or ZERO))
        self.charged.add(call.key)

    def start(self, call: CallTool) -> str:
        """The run that a call starts is there once, with what it was granted first."""
        name = child_run_id("r1", call.step, call.occurrence)
        assert call.limits is not None
        granted = (call.step, call.limits.cost_usd_max or ZERO, call.limits.tokens_max or 0)
        if name not in self.over:
            self.granted.setdefault(name, granted)
        return name

    def child(self, name: str) -> None:
        """A run that a step started ends, and has spent some of what it was granted."""
        if self.mind.run.ended:
            return
        step, cost_usd, tokens = self.granted.pop(name)
        self.over.add(name)
        share = self.draw(st.sampled_from([0, 1, 2]), "share")
        spent = self.use(Usage(input_tokens=tokens * share // 2, cost_usd=cost_usd * share / 2))
        self.mind.tell(e.ChildEnded(step=step, child=name, status="completed", spent=spent))

    def work(self, command: Any) -> None:
        if isinstance(command, AskReasoner):
            self.answer(command)
            return
        call = command
        known = self.draw(st.sampled_from(["ok", "ok", "failed", "unknown"]), "outcome")
        said: Usage | None = None
        if call.contract.agent is not None:
            name = call.step
            if known == "failed" and child_run_id("r1", name, call.occurrence) not in {*self.granted, *self.over}:
                self.mind.fail(name, "invalid_input")
                return
            handle = self.start(call)
            self.mind.lose(name) if known == "unknown" else self.mind.defer(name, handle=handle)
            return
        if self.draw(st.booleans(), "says what it cost"):
            free = call.key not in self.charged and self.draw(st.booleans(), "free")
            said = Usage(cost_usd=ZERO if free else call.contract.cost_usd)
        if said is None or said.cost_usd:
            self.charge(call)
        form: dict[str, Any] = {"step": call.step, "attempt": call.attempt}
        if known == "ok":
            self.mind.tell(e.CallSucceeded(**form, value=self.steps, spent=said))
        elif known == "failed":
            kind = self.draw(st.sampled_from(["transient", "denied"]), "kind")
            self.mind.tell(e.CallFailed(**form, failure=e.Failure(kind=kind), spent=said))
        else:
            self.mind.tell(e.CallUnknown(**form, why="lost"))

    def answer(self, asked: AskReasoner) -> None:
        assert asked.reserved is not None and asked.terms is not None
        share = self.draw(st.sampled_from([0, 1, 2]), "share")
        used = Usage(
            input_tokens=asked.reserved.input_tokens * share // 2, output_tokens=asked.reserved.output_tokens * share // 2
        )
        priced = Usage(input_tokens=used.input_tokens, output_tokens=used.output_tokens, cost_usd=cost(asked.terms.price, used))
        match self.draw(st.sampled_from(["plan", "plan", "plan", "finish", "nothing", "failed", "surprise"]), "answer"):
            case "plan":
                self.use(priced)
                names = [f"s{self.steps + number}" for number in range(self.draw(st.integers(1, 4), "steps"))]
                self.steps += len(names)
                called = [self.draw(st.sampled_from(["t", "u", "sub"]), "tool") for _ in names]
                plan = Plan(
                    steps=tuple(
                        step(name, of, args={"n": name}, on_failure="replan") for name, of in zip(names, called, strict=True)
                    ),
                    final=False,
                )
                self.mind.answer_with(Propose(plan=plan), used)
            case "finish":
                self.use(priced)
                self.mind.answer_with(Finish("done"), used)
            case "nothing":
                self.use(priced)
                self.mind.answer_with(None, used)
            case "failed":
                kind = self.draw(st.sampled_from(["transient", "rate_limited", "denied"]), "kind")
                self.mind.refuse(kind, usage=self.use(priced))
            case _:
                self.lose(asked)
                self.mind.tell(e.ProposalFailed(turn=asked.turn, problems=("it broke",)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_the_budget_holds_to_the_cent_whatever_happens(data: st.DataObject) -> None:
    """Any answers, failures, losses and crashes, calls and runs in parallel: spent and held, and what was really used, never
    exceed the limit; in the end nothing is held."""
    spree = Spree(data)
    spree.decide()
    for _ in range(data.draw(st.integers(1, 40), label="actions")):
        if spree.mind.run.ended:
            break
        spree.act()
    if not spree.mind.run.ended:
        spree.mind.cancel().decide()
        for command in list(spree.flying):
            spree.lose(command)
        spree.mind.crash().decide()
        spree.check()
    assert not spree.mind.run.ended or not spree.mind.run.reserved
    assert fold(spree.mind.entries) == spree.mind.run
