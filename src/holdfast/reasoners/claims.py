"""What a model says that it knows, assumes, concludes or wants to know: facts and questions from the arguments of its calls.

Whatever a model says is an inference of its own, but for what literally stands in the goal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from holdfast.core import values
from holdfast.core.facts import Fact, name_problem
from holdfast.core.soundness import schema_problem
from holdfast.core.state import State, secret_names
from holdfast.core.thinking import Question
from holdfast.reasoners.base import Ask, Interpret
from holdfast.reasoners.calls import resting_on
from holdfast.reasoners.words import clean, line, written

CONFIDENCE = 0.5
WORDS_MAX, VALUE_BYTES_MAX = 2_000, 16_000


def interpretation(args: Mapping[str, Any], state: State, model: str, now: float, found: list[str]) -> Interpret:
    """What the goal means. Problems are added to `found`."""
    facts: dict[str, Fact] = {}
    for claim in args.get("known", ()):
        if (fact := _fact(claim, state, model, now, found)) is not None:
            facts[fact.name] = _told(fact, now) if _is_said(claim, state) else fact
    for claim in args.get("assumed", ()):
        if (fact := _fact(claim, state, model, now, found)) is not None:
            if fact.name in facts:
                found.append(f"{fact.name} is said to be known and assumed; say one")
            facts.setdefault(fact.name, fact)
    missing = questions(args.get("missing", ()), state, found)
    found.extend(f"{asked.name} is missing, and said to be known; say one" for asked in missing if asked.name in facts)
    return Interpret(intent=clean(args["intent"], WORDS_MAX), facts=tuple(facts.values()), missing=missing)


def notes(args: Mapping[str, Any], state: State, model: str, now: float, found: list[str]) -> tuple[Fact, ...]:
    """What a model concludes. What cannot be taken is left out, and said in `found`."""
    facts = {}
    for claim in args["facts"]:
        if (fact := _fact(claim, state, model, now, found)) is not None:
            facts[fact.name] = fact
    return tuple(facts.values())


def asking(args: Mapping[str, Any], state: State, found: list[str]) -> Ask:
    """Questions for a person. Problems are added to `found`."""
    asked = questions(args["questions"], state, found)
    for question in asked:
        fact = state.facts.get(question.name)
        if question.name in state.questions:
            found.append(f"{question.name} is asked already, and not answered yet")
        elif fact is not None and fact.source == "told" and not fact.stale:
            found.append(f"{question.name} is known: {line(written(fact.value), 200)}")
    return Ask(questions=asked, reason=clean(args.get("reason", ""), WORDS_MAX))


def questions(forms: Any, state: State, found: list[str]) -> tuple[Question, ...]:
    """Questions as a model writes them. One for a declared input has the schema that is declared. One whose prepared answers, or
    whose guess, hold what is believed rests on that, beside what the model says."""
    inputs = _declared(state)
    asked: dict[str, Question] = {}
    for form in forms:
        name = name_of(form["name"])
        schema = form.get("answer_schema", {})
        schema = schema or inputs.get(name, {})
        if problem := name_problem(name):
            found.append(problem)
        elif not form["question"].strip():
            found.append(f"the question {name} has no words")
        elif name in asked:
            found.append(f"{name} is asked twice")
        elif schema and (problem := schema_problem(None, schema)) is not None and problem.startswith("its schema cannot"):
            found.append(f"{name}: the schema of its answer cannot be used")
        elif len(written(form)) > VALUE_BYTES_MAX:
            found.append(f"the question {name} is longer than {VALUE_BYTES_MAX} bytes")
        else:
            shown = [*form.get("options", ()), *([form["guess"]] if "guess" in form else ())]
            rests_on = (*form.get("rests_on", ()), *resting_on(shown, state.facts))
            asked[name] = Question(
                name=name,
                text=clean(form["question"], WORDS_MAX),
                why=clean(form.get("why", ""), WORDS_MAX),
                answer_schema=schema,
                options=tuple(form.get("options", ())),
                has_guess="guess" in form,
                guess=form.get("guess"),
                confidence=float(form.get("confidence", CONFIDENCE if "guess" in form else 0.0)),
                basis=clean(form.get("basis", ""), WORDS_MAX),
                rests_on=tuple(dict.fromkeys(other for other in rests_on if other != name)),
            )
    return tuple(asked.values())


def name_of(name: str) -> str:
    """The name of a fact, on one line."""
    return " ".join(name.split())


def _fact(claim: Mapping[str, Any], state: State, model: str, now: float, found: list[str]) -> Fact | None:
    """An inference of the model's; None where it cannot be taken."""
    name, value = name_of(claim["name"]), claim["value"]
    resting = tuple(dict.fromkeys(claim.get("rests_on", ())))
    if problem := name_problem(name):
        found.append(problem)
    elif wrong := _input_problem(name, value, state):
        found.append(wrong)
    elif any(values.plain_secrets({name: value}, secret_names(state))):
        found.append(f"{name} holds what is never written down; leave it out")
    elif len(written(value)) > VALUE_BYTES_MAX:
        found.append(f"{name} has more than {VALUE_BYTES_MAX} bytes; note what matters of it")
    elif (strange := next((other for other in resting if not _is_there(other, state)), None)) is not None:
        found.append(f"{name} rests on {line(strange, 100)}, which is not there; name facts, or steps as steps.ID")
    else:
        return Fact(
            name=name,
            value=value,
            source="inferred",
            by=model,
            at=now,
            confidence=float(claim.get("confidence", CONFIDENCE)),
            rests_on=resting,
            basis=clean(claim.get("basis") or claim.get("quote") or "", WORDS_MAX),
        )
    return None


def _declared(state: State) -> dict[str, Any]:
    """JSON Schema of each declared input."""
    forms = state.thinking.inputs if state.thinking is not None else {}
    return {name: {key: part for key, part in form.items() if key != "optional"} for name, form in forms.items()}


def _input_problem(name: str, value: Any, state: State) -> str | None:
    wrong = schema_problem(value, _declared(state).get(name, {}))
    return f"{name}: {line(wrong, 300)}" if wrong else None


def _told(fact: Fact, now: float) -> Fact:
    return Fact(name=fact.name, value=fact.value, source="told", by="the goal", at=now, basis=fact.basis)


def _is_there(name: str, state: State) -> bool:
    step = name.removeprefix("steps.")
    return name in state.facts or (step != name and step in state.steps)


def _is_said(claim: Mapping[str, Any], state: State) -> bool:
    """Whether the goal says it: the value itself stands in its words, or is one of its inputs. A quote that says it in other
    words is read by the model, and a reading is a guess."""
    value, text = claim["value"], _plain_words(state.goal.text)
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        said = _plain_words(value if isinstance(value, str) else written(value))
        if said and _stands(said, text):
            return True
    return value is not None and any(type(value) is type(given) and value == given for given in state.goal.inputs.values())


def _stands(words: str, text: str) -> bool:
    """Whether these words stand in a text as whole words."""
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text) is not None


def _plain_words(text: str) -> str:
    return " ".join(text.casefold().split())
