"""What people and machines are shown of a run that thinks: its turns, its money, what it believes, guesses and doubts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from holdfast import views
from holdfast.core import events as e
from holdfast.core.approval import OPTIONS
from holdfast.core.contract import Contract
from holdfast.core.evolve import fold
from holdfast.core.facts import Drift, Fact
from holdfast.core.limits import Limits
from holdfast.core.models import ModelTerms, Part, Price, Reserved, Usage
from holdfast.core.plan import Goal, Plan, Step
from holdfast.core.thinking import Acceptance, Asking, Question, Thinking
from holdfast.views.entries import limit_words
from holdfast.views.words import reserved_words, usage_words, usd
from tests.test_views import row

START = 1_800_000_000.0
PRICE = Price(input_usd=Decimal(3), output_usd=Decimal(15))
THINKING = Thinking(
    models={name: ModelTerms(name=name, price=PRICE) for name in ("a:strong", "b:cheap")},
    routes={"": ("a:strong", "b:cheap"), "reflect": ("b:cheap",)},
    cheaper=("b:cheap",),
    asking={"nights": Asking(cost_of_wrong=10)},
)
USED = Usage(input_tokens=1_000, output_tokens=20, cache_read_tokens=400, requests=1, cost_usd=Decimal("0.0033"))
HELD = Reserved(input_tokens=5_000, output_tokens=500, cost_usd=Decimal("0.0225"))
NIGHTS = Question(
    name="nights", text="For how many nights?", why="the hotel needs it", answer_schema={"type": "integer", "minimum": 1},
    options=(1, 2), has_guess=True, guess=2, confidence=0.5, basis="a weekend",
)  # fmt: skip
AIRPORT = Fact(name="airport", value="JFK", source="inferred", by="a:strong", at=START, confidence=0.6, basis="most leave there")


def history(*events: e.AnyEvent) -> list[e.Entry]:
    """Entries a second apart, after the start of a run that a model plans."""
    begun = e.RunStarted(
        run_id="r", agent="x", goal=Goal(text="Fly"), contracts=(Contract(tool="look", safety="read"),), thinking=THINKING,
        limits=Limits(cost_usd_max=Decimal("2.00"), tokens_max=100_000), accept=Acceptance(that="result", finishes_max=2),
    )  # fmt: skip
    return [e.Entry(at + 1, START + at, 1, event) for at, event in enumerate((begun, *events))]


def tree_of(*events: e.AnyEvent, now: float = START + 10) -> views.Tree:
    """The tree of that run, ten seconds after its start."""
    entries = history(*events)
    state = fold(entries)
    return views.tree(state, entries, row(state), now)


def asked(turn: int = 1, model: str = "a:strong", attempt: int = 1, **more: Any) -> e.ProposalRequested:
    """A model is about to be asked."""
    reason = more.pop("reason", "the first choice for plan")
    return e.ProposalRequested(turn=turn, model=model, reason=reason, reserved=HELD, attempt=attempt, **more)


def answered(turn: int = 1, model: str = "a:strong", said: tuple[Part, ...] = (), **more: Any) -> e.ModelAnswered:
    """A model answered."""
    return e.ModelAnswered(turn=turn, model=model, usage=USED, said=said, seconds=1.5, **more)


def failed(kind: e.FailureKind, message: str = "", model: str = "a:strong", turn: int = 1, **more: Any) -> e.ModelFailed:
    """A request came to nothing."""
    return e.ModelFailed(turn=turn, model=model, failure=e.Failure(kind=kind, message=message, **more))


CALLED = (
    Part(kind="thinking", text="Hm."),
    Part(kind="text", text="I look\nfirst."),
    Part(kind="call", tool="look", step="look_1"),
    Part(kind="call", tool="look", args={"n": 7}, problem="argument n: 7 is not a text"),
)
PLANNED = e.PlanAdopted(turn=1, revision=1, plan=Plan(steps=(Step(id="look_1", tool="look"),), final=False))


# --- lines --------------------------------------------------------------------------------------------------------

LINES: dict[str, tuple[e.AnyEvent, str]] = {
    "the first choice": (asked(), "turn 1: asks a:strong what to do next; up to $0.0225 and 5,500 tokens"),
    "another choice": (
        asked(turn=2, model="b:cheap", attempt=2, phase="diagnose", reason="the next, for a:strong: rate_limited"),
        "turn 2: asks b:cheap what to do about what went wrong, attempt 2 (the next, for a:strong: rate_limited); up to $0.0225 and "
        "5,500 tokens",
    ),
    "an answer": (
        answered(said=CALLED),
        "turn 1: answered in 1.5s (1,000 tokens in (400 from a cache), 20 out, $0.0033): I look first.; calls look_1, look(n=7) "
        "[not taken: argument n: 7 is not a text]",
    ),
    "an answer that broke off": (
        answered(said=(Part(kind="text", text="Half"),), finish="length"),
        "turn 1: answered in 1.5s (1,000 tokens in (400 from a cache), 20 out, $0.0033): Half; it broke off: it may say no more "
        "than that",
    ),
    "a failure that passes": (
        failed("rate_limited", "429", retry_after_seconds=30.0),
        "turn 1: a:strong does not answer: rate_limited: 429; it is asked again after a wait, 30s as it says",
    ),
    "a failure that does not": (
        failed("denied", "401"),
        "turn 1: a:strong does not answer: denied: 401; it is not asked again in this run",
    ),
    "a request that was too long": (
        failed("invalid_input", "too long", detail={"context": True}),
        "turn 1: a:strong does not answer: invalid_input: too long; it is asked again with a shorter context",
    ),
    "a lost request": (
        e.ModelCallLost(turn=1, model="a:strong", usage=Usage(input_tokens=5_000, output_tokens=500, cost_usd=Decimal("0.0225"))),
        "turn 1: who asked a:strong is gone, and nobody heard its answer; counted as used: 5,000 tokens in, 500 out, $0.0225",
    ),
    "nobody to ask": (
        e.ReasonerHeld(until=START + 30, reason="a:strong: rate_limited (429)"),
        "no model can be asked before 2027-01-15T08:00:30.000Z: a:strong: rate_limited (429)",
    ),
    "other models": (
        e.ThinkingChanged(thinking=THINKING),
        "thinks in another way from now on: a:strong, b:cheap; to reflect: b:cheap; when the money runs short: b:cheap",
    ),
    "a question": (
        e.QuestionsProposed(turn=1, questions=(NIGHTS,), reason="it is not said"),
        "turn 1: wants to know nights (For how many nights?); it is not said",
    ),
    "an interpretation": (
        e.GoalInterpreted(turn=1, intent="A flight", facts=(AIRPORT,), missing=(NIGHTS,)),
        "turn 1: takes the goal to mean: A flight; as it believes: airport = JFK (inferred by a:strong, 60% sure); not known: nights",
    ),
    "a guess": (
        e.Inferred(question=NIGHTS, why="nobody is ever asked for it"),
        "guesses nights = 2 (50% sure: a weekend), and asks nobody: nobody is ever asked for it",
    ),
    "a person is asked": (
        e.Asked(
            interrupt="question-1", kind="question", about="question", question="For how many nights?",
            options=OPTIONS["question"], digest="d", expires_at=START, asks=NIGHTS,
        ),
        "question-1: asks a person: For how many nights? (its own guess is 2, 50% sure: a weekend)",
    ),
    "a drift": (
        e.FactsLearned(
            facts=(Fact(name="price", value=120, source="observed", by="look"),), step="look_1",
            drifts=(Drift(name="price", believed=100, observed=120, source="told"),),
        ),
        "look_1: observed price = 120; not as it was believed: price was 100 (told), and is 120",
    ),
    "a fall": (
        e.FactsInvalidated(facts=("total",), because="price is another", dropped=("pay",), outdated=("quote",)),
        "price is another: not believed any more: total; not begun, and given up: pay; done already, on what is not so: quote",
    ),
    "another look": (
        e.ReobservationPlanned(fact="price", for_step="pay", step=Step(id="look_1_anew", tool="look")),
        "pay: price is too old: look_1_anew calls look to observe it again",
    ),
    "a doubt": (
        e.PlanSuspected(why="drift", reason="price is another"),
        "the plan is in doubt, the world is not as it was believed to be: price is another; nothing new of it begins before it was "
        "looked at again",
    ),
    "a revision": (
        e.PlanAdopted(turn=2, revision=2, plan=Plan(steps=(), final=False), reason="it is sold out", dropped=("pay", "mail")),
        "plan 2: nothing new; dropped: pay, mail (it is sold out)",
    ),
    "a refusal": (
        e.FinishRuled(turn=3, accepted=False, by="check", reason="no flight in it"),
        "turn 3: the result is refused by check: no flight in it; it goes back with that",
    ),
    "an acceptance": (e.FinishRuled(turn=3, accepted=True, by="result.flight"), "turn 3: the result is accepted by result.flight"),
    "a memory": (
        e.MemoryRecalled(facts=(Fact(name="seat", value="aisle", source="remembered", by="run one"),), ids=("m-1",)),
        "remembers seat = aisle (remembered from run one)",
    ),
    "no memory": (e.MemoryRecalled(), "remembers nothing of it"),
    "another goal": (
        e.GoalChanged(goal=Goal(text="By train", inputs={"nights": 3}), by="ann", note="it is cheaper"),
        "ann changed the goal: By train, with nights=3 (it is cheaper)",
    ),
    "the money is spent": (
        e.LimitReached(limit="cost_usd_max", allowed=2.0),
        "the limit cost_usd_max of $2.00 is reached: what is left does not pay for another request",
    ),
    "the tokens are spent": (
        e.LimitReached(limit="tokens_max", allowed=1_000_000.0),
        "the limit tokens_max of 1,000,000 is reached: what is left does not pay for another request",
    ),
    "an end on guesses": (
        e.RunCompleted(outdated=("quote",), guessed=("airport",)),
        "completed; done on what is not so: quote; guessed, and confirmed by nobody: airport",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LINES)
def test_an_entry_says_in_one_line_what_it_means(case: str) -> None:
    """Who was asked for what and why, what that used, what is guessed, what fell with what."""
    event, line = LINES[case]
    assert views.told(event) == line


def test_a_failure_says_until_when_its_model_is_not_asked() -> None:
    """Where the state is known, which has drawn the wait."""
    event = failed("rate_limited", "429", retry_after_seconds=30.0)
    state = fold(history(asked(), event))
    assert "429; it is not asked again before 2027-01-15T08:00:3" in str(views.told(event, state))


def test_the_words_of_a_plan_are_not_told_twice() -> None:
    """A plan of native calls has the model's text for its reason."""
    adopted = msgspec.structs.replace(PLANNED, reason="I look\nfirst.")
    state = fold(history(asked(), answered(said=CALLED), adopted))
    assert views.told(adopted, state) == "plan 1: look_1"
    assert views.told(adopted) == "plan 1: look_1 (I look\nfirst.)"


def test_a_limit_of_money_says_what_is_spent() -> None:
    """Exact to the digit, whatever floats do."""
    event = e.LimitReached(limit="cost_usd_max", allowed=0.1)
    assert limit_words(event, fold(history(asked(), answered()))).endswith("of $0.10 is reached: what is left does not pay for "
                                                                          "another request ($0.0033 spent)")  # fmt: skip


def test_whole_tables_in_entries_are_named_in_words() -> None:
    """`show --events` has a line an entry."""
    lines = [views.entry_line(entry).fields for entry in history(asked(), answered(said=CALLED))]
    assert "thinking=a:strong, b:cheap; to reflect: b:cheap" in lines[0]
    assert "reserved=up to $0.0225 and 5,500 tokens" in lines[1]
    assert "usage=1,000 tokens in (400 from a cache), 20 out, $0.0033 said=I look first.; calls look_1" in lines[2]


# --- money --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "words"),
    [("2", "$2.00"), ("0.0123", "$0.0123"), ("0.01", "$0.01"), ("0.000057123", "$0.000057"), ("0", "$0.00"), ("1234.5", "$1234.50")],
)  # fmt: skip
def test_an_amount_is_rounded_and_a_little_is_never_nothing(amount: str, words: str) -> None:
    """The record has the exact one."""
    assert usd(Decimal(amount)) == words


def test_what_was_spent_stands_beside_what_may_be() -> None:
    """What is reserved for a request under way is named apart from it."""
    spent = tree_of(asked(), answered(), PLANNED, asked(turn=2)).run.spent
    assert (spent.cost_usd, spent.reserved_usd, spent.tokens) == (Decimal("0.0033"), Decimal("0.0225"), 1_020)
    assert views.spent_words(spent) == (
        "$0.0033 of $2.00, 1,020 of 100,000 tokens in 1 request; up to $0.0225 and 5,500 tokens more is reserved for what is under "
        "way"
    )
    assert views.spent_briefly(spent) == "$0.0033 of $2.00"
    assert views.spent_words(views.SpentView()) == ""
    assert (usage_words(Usage()), reserved_words(Reserved())) == ("0 tokens in, 0 out", "up to nothing")


# --- turns --------------------------------------------------------------------------------------------------------


def test_a_turn_has_its_requests_its_answer_and_what_came_of_it() -> None:
    """One that failed, one that was lost, one that was answered by another model."""
    lost = e.ModelCallLost(turn=1, model="b:cheap", usage=USED)
    tree = tree_of(
        asked(), failed("rate_limited", "429"), asked(model="b:cheap", attempt=2), lost, asked(model="b:cheap", attempt=3),
        answered(model="b:cheap", said=CALLED, finish="tool", bytes=900), PLANNED,
    )  # fmt: skip
    (turn,) = tree.turns
    assert (turn.turn, turn.model, turn.attempt, turn.outcome, turn.steps) == (1, "b:cheap", 3, "plan", ("look_1",))
    assert (turn.asked_at, turn.answered_at, turn.seconds, turn.bytes) == (START + 1, START + 6, 1.5, 900)
    assert [(one.model, one.attempt, one.kind) for one in turn.failed] == [
        ("a:strong", 1, "rate_limited"),
        ("b:cheap", 2, "lost"),
    ]
    assert tree.thinking is not None
    cheap = next(model for model in tree.thinking.models if model.model == "b:cheap")
    assert (cheap.answers, cheap.failures, cheap.usage) == (1, 1, USED + USED)


def test_a_request_under_way_says_since_when() -> None:
    """And a run that has ended asks nobody."""
    tree = tree_of(asked(), answered(), PLANNED, asked(turn=2, phase="reflect"))
    assert tree.thinking is not None and tree.thinking.asking is not None
    assert (tree.thinking.asking.since, tree.thinking.asking.model) == (START + 4, "a:strong")
    assert views.asking_words(tree.thinking.asking) == "a:strong is asked whether the plan still holds (turn 2)"
    assert views.under_way(fold(history(asked())), START)[0] == "a:strong (what to do next, turn 1)"
    ended = tree_of(asked(), e.RunFailed(reason="no"))
    assert ended.thinking is not None and ended.thinking.asking is None


def test_who_is_waited_for_and_who_is_not_asked_again() -> None:
    """The times are those of the rulings."""
    held = e.ReasonerHeld(until=START + 60, reason="a:strong: rate_limited (429)")
    tree = tree_of(
        asked(), failed("denied", "401", model="b:cheap"), asked(attempt=2), failed("rate_limited", "429"), held
    ).thinking  # fmt: skip
    assert tree is not None
    assert (tree.held_until, tree.held_why) == (START + 60, "a:strong: rate_limited (429)")
    until = {one.model: one.until for one in tree.setbacks}
    assert until["b:cheap"] is None and until["a:strong"] is not None and until["a:strong"] > START + 4


def test_a_run_without_a_model_has_no_thoughts() -> None:
    """What it believes it has all the same."""
    begun = e.RunStarted(run_id="r", agent="x", goal=Goal(), contracts=())
    told = e.FactsLearned(facts=(Fact(name="airport", value="LGA", source="told", by="ann", at=START),))
    entries = [e.Entry(1, START, 1, begun), e.Entry(2, START, 1, told)]
    tree = views.tree(fold(entries), entries, row(fold(entries)), START + 5)
    assert (tree.thinking, tree.turns, [fact.name for fact in tree.facts]) == (None, (), ["airport"])


def test_doubts_refusals_and_what_nobody_answered_are_named() -> None:
    """As long as they matter."""
    tree = tree_of(
        asked(), answered(), e.QuestionsProposed(turn=1, questions=(NIGHTS,)),
        e.Asked(interrupt="question-1", kind="question", about="question", question="?", options=OPTIONS["question"], digest="d",
                expires_at=START + 4, asks=NIGHTS),
        e.InterruptExpired(interrupt="question-1"), e.PlanSuspected(why="drift", reason="price is another"),
        e.FinishRuled(turn=1, accepted=False, by="check", reason="no flight in it"),
    ).thinking  # fmt: skip
    assert tree is not None
    assert tree.unanswered == {"nights": "nobody answered"}
    assert tree.doubts == ("price is another",)
    assert (tree.refused, tree.refused_max) == (("no flight in it",), 2)


# --- facts --------------------------------------------------------------------------------------------------------


def test_guesses_come_first_then_what_may_not_be_acted_on() -> None:
    """Each with its age, its end and what it rests on."""
    facts = (
        Fact(name="to", value="Oslo", source="told", by="ann", at=START),
        Fact(name="price", value=100, source="observed", by="look", at=START, ttl_seconds=5.0),
        Fact(name="total", value=200, source="observed", by="sum", at=START, rests_on=("price",)),
        Fact(name="old", value=1, source="observed", at=START, stale=True),
        AIRPORT,
    )
    tree = tree_of(e.FactsLearned(facts=facts))
    stands = [(fact.name, fact.stands, fact.too_old) for fact in tree.facts]
    assert stands == [
        ("airport", "guess", ()),
        ("old", "stale", ("old",)),
        ("price", "too old", ("price",)),
        ("total", "too old", ("price",)),
        ("to", "firm", ()),
    ]
    assert (tree.facts[2].age_seconds, tree.facts[2].valid_until) == (10.0, START + 5)
    assert tree.run.guessed == ("airport",)


def test_a_fact_names_the_steps_that_rest_on_it() -> None:
    """By reference, by name, and as what was believed when it began."""
    steps = (
        Step(id="book", tool="look", args={"at": {"$ref": "facts.airport"}}),
        Step(id="later", tool="look", rests_on=("airport",)),
    )
    called = e.CallIntended(step="book", attempt=1, tool="look", key="k", args={"at": "JFK"})
    adopted = e.PlanAdopted(turn=1, revision=1, plan=Plan(steps=steps))
    (fact,) = tree_of(e.FactsLearned(facts=(AIRPORT,)), asked(), answered(), adopted, called).facts
    assert (fact.used_by, fact.wanted_by) == (("book",), ("later",))


def test_a_guess_that_a_person_confirmed_is_none_any_more() -> None:
    """It says who did."""
    confirmed = msgspec.structs.replace(AIRPORT, confirmed_by="ann")
    tree = tree_of(e.FactsLearned(facts=(confirmed,)))
    assert (tree.facts[0].stands, tree.facts[0].confirmed_by, tree.run.guessed) == ("firm", "ann", ())


# --- questions ----------------------------------------------------------------------------------------------------


def test_a_question_says_what_it_takes_and_why_it_is_asked() -> None:
    """With the answers that were prepared, and the guess that was not taken."""
    tree = tree_of(
        asked(), answered(), e.QuestionsProposed(turn=1, questions=(NIGHTS,)),
        e.Asked(interrupt="question-1", kind="question", about="question", question="?", options=OPTIONS["question"], digest="d",
                expires_at=START + 90, asks=NIGHTS),
    )  # fmt: skip
    asks = tree.run.questions[0].asks
    assert asks is not None
    assert (asks.takes, asks.options, asks.guess) == ("a whole number, at least 1", (1, 2), 2)
    assert asks.weighed == "wrong at 50%, times 10, is 5; asking costs 1"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, ""),
        ({"type": "string", "maxLength": 9}, "a text, of at most 9 characters"),
        ({"enum": ["aisle", "window"]}, 'one of "aisle", "window"'),
        ({"type": ["integer", "null"]}, "a whole number or null"),
        ({"anyOf": [{"type": "boolean"}, {"type": "number", "exclusiveMinimum": 0}]}, "true or false, or a number, above 0"),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, "a list, each a text, of at least 1 entries"),
        (
            {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]},
            "an object with a (a text), b (anything, optional)",
        ),
    ],
)
def test_a_schema_is_said_in_words(schema: dict[str, Any], words: str) -> None:
    """For whoever has to answer."""
    assert views.form_words(schema) == words


def test_the_records_of_thinking_are_plain_json() -> None:
    """What `--json` prints reads back as what it was, to the last digit of the money."""
    tree = tree_of(asked(), answered(said=CALLED), PLANNED, e.FactsLearned(facts=(AIRPORT,)), asked(turn=2))
    assert msgspec.json.decode(msgspec.json.encode(tree), type=views.Tree) == tree
