"""A run that a model plans, from the command line: what is shown of it, asked of people and taken as their answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.kit import Cli

AGENTS = """
from decimal import Decimal
from holdfast import Agent, Asking, Limits, Models, Price, tool
from holdfast.testing.models import ScriptedModel, call, fail, say, think, tries

@tool(safety="read", observes={"seats {flight}": "left"}, valid_for="10m")
def look_up(flight: str) -> dict:
    "Look up a flight."
    return {"flight": flight, "left": 3}

@tool(safety="irreversible")
def book(flight: str, airport: str) -> str:
    "Book a flight."
    return f"{flight} from {airport}"

def question(**more):
    return call("ask_person", reason="it is not said", questions=[{"name": "nights", "question": "For how many nights?", **more}])

PRICE = Price(input_usd=Decimal(3), output_usd=Decimal(15))

def agent(name, script, **more):
    models = Models([ScriptedModel(script, name=name)], prices={f"scripted:{name}": PRICE}, retry={"attempts": 2, "backoff": "1ms"})
    return Agent(name, model=models, tools=[look_up, book], instructions="You book.", **more)

seen = agent("seen", [
    [think("Hm \\x1b[31m."), say("I look\\nfirst."), call("look_up", flight="SK1"), call("look_up", flight=7)],
    "\\x1b]0;owned\\x07Done [bold]it[/bold].",
])
whole = agent("whole", [question(answer_schema={"type": "integer", "minimum": 1}, options=[1, 2, 7], guess=2, confidence=0.5), "Ok."])
words = agent("words", [question(answer_schema={"type": "string"}, options=["two", {"n": 2}]), "Ok."])
free = agent("free", [question(), "Ok."])
guesses = agent("guesses", [
    [call("note_facts", facts=[{"name": "airport", "value": "JFK", "confidence": 0.6, "basis": "most leave there"}]),
     call("make_plan", reason="one step", confidence=0.9, steps={"flight": {"tool": "book", "args": {
         "flight": "SK1", "airport": {"$ref": "facts.airport"}}}})],
    "Ok.",
], horizon="plan")
dead = agent("dead", [fail("denied", "401 \\x1b[31mno")])
dear = agent("dear", ["Ok."], limits=Limits(cost_usd_max=Decimal("0.01")))
bounded = agent("bounded", ["Ok."], limits=Limits(cost_usd_max=Decimal("2.00"), turns_max=20), horizon=3, accept="result",
                ask={"nights": Asking(policy="always")}, memory=5)
keyless = Agent("keyless", model="openai:gpt-4o", tools=[look_up])
unpriced = Agent("unpriced", model="openai:gpt-99-mega", tools=[look_up])
"""


@pytest.fixture
def minds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with agents that ask models."""
    (folder / "thinkers.py").write_text(AGENTS)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return folder


def asked(cli: Cli, agent: str) -> list[str]:
    """A run that waits for a person; the commands that it shows, in words."""
    ended = cli("run", f"thinkers.py:{agent}", "Fly", "--id", agent, "-q")
    assert ended.code == 3, ended
    return [line.strip().split("   ")[0] for line in ended.out.splitlines() if line.startswith("    holdfast ")]


# --- what is shown ------------------------------------------------------------------------------------------------


def test_show_says_how_far_the_thinking_is_and_what_it_spent(cli: Cli, minds: Path) -> None:
    """In words, and with stable names in JSON."""
    assert cli("run", "thinkers.py:seen", "Fly", "--id", "s", "-q").code == 0
    page = cli("show", "s").out
    assert "  thinking   2 of at most 200 turns, plan 1 of at most 20\n" in page
    assert "\n  spent      $0.0" in page and " tokens in 2 requests\n" in page
    assert "  seats SK1  3      observed by look_up" in page
    (tree,) = cli("show", "s", "--json").records
    assert tree["thinking"]["routes"] == {"": ["scripted:seen"]}
    assert [turn["outcome"] for turn in tree["turns"]] == ["plan", "finish"]
    assert tree["facts"][0]["stands"] == "firm"
    assert float(tree["run"]["spent"]["cost_usd"]) > 0
    (line,) = cli("runs", "--cost", "--json").records
    assert line["spent"] == tree["run"]["spent"]
    assert cli("runs", "--json").records[0]["spent"] is None
    assert "$0.0" in cli("runs", "--cost").out


def test_a_turn_is_shown_whole_and_harmless(cli: Cli, minds: Path) -> None:
    """What it thought, said and called, why something was not taken, and what came of it."""
    cli("run", "thinkers.py:seen", "Fly", "--id", "s", "-q")
    page = cli("show", "s", "--turn", "1").out
    assert "\x1b" not in page
    assert page.startswith("turn 1  of run s: scripted:seen is asked what to do next\n  chosen     the first choice for plan\n")
    assert "it thinks:\n  Hm \ufffd[31m.\n\nit says:\n  I look\n  first.\n\nit calls look_up  (step look_up_1, done)\n" in page
    assert 'flight = 7\n  not taken: argument flight of look_up: 7 is not of type "string"' in page
    assert "look_up_1: done in " in page
    assert cli("show", "s", "--turns").out.splitlines()[2].endswith("Done [bold]it[/bold].")
    assert cli("show", "s", "--turn", "3").code == 2
    assert "there is no turn 3 — it has 2: holdfast show s --turns" in cli("show", "s", "--turn", "3").err


def test_what_a_model_was_shown_is_made_again_from_the_journal(cli: Cli, minds: Path) -> None:
    """To the letter: it is what the model had in its hands."""
    import sys

    cli("run", "thinkers.py:seen", "Fly", "--id", "s", "-q")
    (model,) = sys.modules["thinkers"].seen.mind.models.models.values()
    for number, request in enumerate(model.requests, 1):
        (page,) = cli("show", "s", "--turn", str(number), "--shown", "--json").records
        shown = page["shown"]
        texts = [[part.get("text", "") for part in message["parts"]] for message in shown["messages"]]
        assert texts == [[part.text for part in message.parts] for message in request.messages]
        assert request.system == "You book." + "\n\n" + shown["system"]
        assert (shown["instructions_bytes"], shown["tools"]) == (len("You book."), [tool.name for tool in request.tools])
    text = cli("show", "s", "--turn", "2", "--shown").out
    assert "[the agent's instructions, 9 bytes, which the journal does not keep]" in text
    assert "it was shown:\n  # The goal\n  Fly\n" in text and "it had said:" in text


def test_a_run_without_a_model_has_no_turns(cli: Cli, minds: Path) -> None:
    """It says so; what it believes may be asked for."""
    cli("run", "quick.yaml", "--id", "q", "-q")
    assert "its reasoner is no model" in cli("show", "q", "--turns").err
    ended = cli("show", "q", "--facts")
    assert (ended.code, ended.out, ended.err) == (0, "", "it believes nothing yet\n")


def test_facts_that_have_no_room_on_the_page_are_all_shown_on_their_own(cli: Cli, minds: Path) -> None:
    """The page says how."""
    (minds / "many.py").write_text(
        AGENTS
        + 'many = agent("many", [[call("note_facts", facts=[{"name": f"n{i}", "value": i} for i in range(15)]), say("Ok.")]])\n'
    )
    cli("run", "many.py:many", "Fly", "--id", "m", "-q")
    assert "  … and 3 more: holdfast show m --facts\n" in cli("show", "m").out
    assert len(cli("show", "m", "--facts").out.splitlines()) == 16
    assert len(cli("show", "m", "--facts", "--json").records) == 15


# --- what is answered ---------------------------------------------------------------------------------------------


def test_the_commands_that_answer_a_question_are_shown_and_right(cli: Cli, minds: Path) -> None:
    """Prepared answers by number; another one by its form."""
    assert asked(cli, "whole") == [
        "holdfast answer whole respond --option 1",
        "holdfast answer whole respond --option 2",
        "holdfast answer whole respond --option 3",
        "holdfast answer whole respond NUMBER",
        'holdfast answer whole reject "WHY"',
        "holdfast answer whole cancel",
    ]
    page = cli("show", "whole").out
    assert "      takes       a whole number, at least 1\n      guess       2, 50% sure\n" in page
    assert "respond --option 2   2 (its own guess)" in page
    assert cli("answer", "whole", "respond", "--option", "3", "--by", "ann").code == 0
    assert cli("run", "thinkers.py:whole", "--id", "whole", "-q").code == 0
    (fact,) = cli("show", "whole", "--facts", "--json").records
    assert (fact["name"], fact["value"], fact["source"], fact["by"]) == ("nights", 7, "told", "ann")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["many"], "'many' is no answer to question-1 (For how many nights?) — it takes a whole number, at least 1"),
        (["0"], "it takes a whole number, at least 1, or `respond --option N` with N from 1 to 3"),
        ([], "For how many nights? respond needs the answer — respond VALUE, or respond --option N"),
        (["--option", "4"], "there is no option 4 of question-1: 3 answers were prepared"),
    ],
)
def test_an_answer_of_the_wrong_form_says_in_words_what_it_takes(cli: Cli, minds: Path, words: list[str], said: str) -> None:
    """And nothing is taken."""
    asked(cli, "whole")
    ended = cli("answer", "whole", "respond", *words)
    assert ended.code == 2
    assert said in ended.err
    assert cli("show", "whole", "--json").records[0]["run"]["unheard"] == []


@pytest.mark.parametrize(
    ("agent", "words", "value"),
    [
        ("words", ["New", "York"], "New York"),
        ("words", ["5"], "5"),
        ("words", ['"5"'], "5"),
        ("words", ['{"n":2}'], '{"n":2}'),
        ("free", ["two"], "two"),
        ("free", ["2"], 2),
        ("whole", ["4"], 4),
    ],
)
def test_an_answer_is_read_as_the_question_takes_it(cli: Cli, minds: Path, agent: str, words: list[str], value: object) -> None:
    """A text where it wants a text, a number where it wants one, a prepared answer by its value."""
    asked(cli, agent)
    assert cli("answer", agent, "respond", *words).code == 0
    cli("run", f"thinkers.py:{agent}", "--id", agent, "-q")
    (fact,) = cli("show", agent, "--facts", "--json").records
    assert fact["value"] == value


def test_a_question_that_is_not_answered_is_named(cli: Cli, minds: Path) -> None:
    """The run goes on, and knows that nobody said."""
    asked(cli, "free")
    cli("answer", "free", "reject", "I do not know", "--by", "ann")
    assert cli("run", "thinkers.py:free", "--id", "free", "-q").code == 0
    assert "  unanswered  nights: ann does not say" in cli("show", "free").out


def test_guesses_before_what_cannot_be_taken_back_are_shown_and_corrected(cli: Cli, minds: Path) -> None:
    """The command names the fact."""
    assert asked(cli, "guesses")[:2] == ["holdfast answer guesses approve", "holdfast answer guesses edit airport=VALUE"]
    page = cli("show", "guesses").out
    assert "a guess; inferred by scripted:guesses" in page and "60% sure: most leave there" in page
    assert cli("answer", "guesses", "edit", "airport=LGA").code == 0
    cli("run", "thinkers.py:guesses", "--id", "guesses", "-q")
    assert cli("show", "guesses", "--facts", "--json").records[0]["value"] == "LGA"


def test_that_no_model_can_be_asked_is_for_a_person(cli: Cli, minds: Path) -> None:
    """They have it asked again, or stop it."""
    assert asked(cli, "dead") == [
        "holdfast answer dead approve", 'holdfast answer dead reject "WHY"', "holdfast answer dead cancel",
    ]  # fmt: skip
    page = cli("show", "dead").out
    assert "  setback    scripted:dead did not answer: denied: 401 no; it is not asked again in this run\n" in page
    cli("answer", "dead", "reject", "no key")
    assert cli("run", "thinkers.py:dead", "--id", "dead", "-q").code == 1


# --- running ------------------------------------------------------------------------------------------------------


def test_words_are_streamed_once_and_harmless(cli: Cli, minds: Path) -> None:
    """Thinking is marked, a line of a model's own is not mistaken for one of ours, and an answer that was heard is not retold."""
    err = cli("run", "thinkers.py:seen", "Fly", "--id", "s", "--stream").err
    assert "\x1b" not in err
    assert '  turn 1 thinks: Hm .\n  turn 1 says: I look\n    | first.\n  turn 1 calls: look_up {"flight":"SK1"}\n' in err
    assert err.count("I look") == 1
    assert "turn 1: answered in " in err
    assert "turn 1 says" not in cli("run", "thinkers.py:seen", "Fly", "--id", "t").err


def test_another_model_may_be_asked_and_the_next_command_says_so(cli: Cli, minds: Path) -> None:
    """The run knows of it; without the option its agent's own are asked again."""
    ended = cli("run", "thinkers.py:seen", "Fly", "--id", "s", "--model", "openai:gpt-4o")
    assert ended.code == 3
    assert "turn 1: openai:gpt-4o does not answer: denied: no key for it: set OPENAI_API_KEY" in ended.err
    assert ended.err.endswith("after the answer: holdfast run thinkers.py:seen --id s --model openai:gpt-4o\n")
    again = cli("run", "thinkers.py:seen", "--id", "s")
    assert again.code == 0
    assert "thinks in another way from now on: scripted:seen" in again.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "thinkers.py:unpriced", "Fly"), "no price is known for openai:gpt-99-mega — give one"),
        (
            ("run", "thinkers.py:seen", "Fly", "--model", "openai:gpt-99-mega"),
            "no price is known for openai:gpt-99-mega — give one",
        ),
        (("run", "thinkers.py:seen", "Fly", "--model", "gpt"), "'gpt' is no name of a model — name it as provider:name"),
        (("check", "thinkers.py:unpriced"), "no price is known for openai:gpt-99-mega — give one"),
    ],
)
def test_a_model_that_cannot_be_meant_is_one_clear_message(cli: Cli, minds: Path, words: tuple[str, ...], said: str) -> None:
    """Nothing begins."""
    ended = cli(*words)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_a_budget_that_pays_for_nothing_ends_the_run_with_the_amounts(cli: Cli, minds: Path) -> None:
    """Before anything is spent."""
    ended = cli("run", "thinkers.py:dear", "Fly", "--id", "d")
    assert ended.code == 1
    assert "the limit cost_usd_max of $0.01 is reached: what is left does not pay for another request ($0.00 spent)" in ended.err


# --- check --------------------------------------------------------------------------------------------------------


def test_check_says_how_an_agent_thinks(cli: Cli, minds: Path) -> None:
    """Models, prices, horizon, questions, acceptance, limits."""
    ended = cli("check", "thinkers.py:bounded")
    assert "    model      scripted:bounded  $3.00 in, $15.00 out, a million tokens; at most 4,096 tokens out, 2m\n" in ended.out
    assert "    plans      3 steps in a row, and looks at the plan again on a surprise\n" in ended.out
    assert "    asks for   nights: always\n    recalls    up to 5 memories of its thread\n" in ended.out
    assert "    is done    where result; refused at most 3 times\n" in ended.out
    assert "    limits     turns_max 20, revisions_max 20, idle_turns_max 5, cost_usd_max $2.00, wall_seconds 90d\n" in ended.out
    assert "may cost anything" not in ended.err
    record = cli("check", "thinkers.py:bounded", "--json").records[-1]
    assert (record["agent"], record["limits"]["cost_usd_max"]) == ("bounded", "2.00")


def test_check_warns_of_what_may_cost_anything_and_of_a_missing_key(cli: Cli, minds: Path) -> None:
    """On stderr; it is no error of the agent."""
    ended = cli("check", "thinkers.py:keyless")
    assert ended.code == 0
    assert "agent keyless: its runs may cost anything; bound them by Limits(cost_usd_max=Decimal('2.00'))" in ended.err
    assert "agent keyless: openai:gpt-4o cannot be asked from here: no key for it: set OPENAI_API_KEY" in ended.err
