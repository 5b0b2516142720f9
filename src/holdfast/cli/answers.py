"""What a person gives as an answer: the result of a call, or what a reasoner wants to know, by the form that it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from holdfast.cli.options import wrong
from holdfast.errors import AnswerRefused

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.core.events import Asked
    from holdfast.core.state import State
    from holdfast.core.thinking import Question


async def given(
    app: Holdfast, run_id: str, interrupt: str | None, words: list[str], option: int | None, recorded: bool = False
) -> Any:
    """The value of `respond`. recorded: the one that the source of a fork has on record. AnswerRefused for one that the question
    does not take, with what it does in words."""
    from holdfast.views import prepared

    state = await app.state(run_id)
    asked = _asked(state, interrupt)
    if recorded:
        return _recorded(state, asked)
    question = asked.asks if asked is not None else None
    if question is None or asked is None:
        if option is not None:
            wrong("no answers were prepared for this", "respond VALUE")
        return _result(words)
    options = prepared(question)
    if option is not None:
        if option > len(options):
            said = f"{len(options)} answers were" if len(options) > 1 else "one answer was" if options else "no answer was"
            raise AnswerRefused(f"there is no option {option} of {asked.interrupt}: {said} prepared", run_id=run_id)
        return options[option - 1]
    if not words:
        hint = f"respond VALUE{', or respond --option N' if options else ''}"
        wrong(f"{question.text} respond needs the answer", hint)
    return _fitting(question, len(options), words, asked.interrupt, run_id)


def _asked(state: State, interrupt: str | None) -> Asked | None:
    """What is answered; None where that is not clear, which whoever takes the answer says."""
    open_ones = state.interrupts
    if interrupt is not None:
        return open_ones.get(interrupt)
    return next(iter(open_ones.values())) if len(open_ones) == 1 else None


def _recorded(state: State, asked: Asked | None) -> Any:
    """What came of the same call in the run that this one is a fork of."""
    from holdfast.core.forks import known_result, result_in

    if state.fork is None:
        wrong(f"run {state.run_id} is no fork, so no source has a result of this", "respond VALUE")
    if asked is None:
        several = f"it asks {len(state.interrupts)} questions" if state.interrupts else "it asks nothing"
        hint = f"name one of {', '.join(state.interrupts)}" if state.interrupts else None
        raise AnswerRefused(several, run_id=state.run_id, hint=hint)
    found = known_result(state, asked)
    if found is None:
        said = f"the record of {state.fork.source} has no result of the call that {asked.interrupt} is about"
        raise AnswerRefused(said, run_id=state.run_id, hint="respond VALUE, or another answer")
    return result_in(found)


def _result(words: list[str]) -> Any:
    from holdfast import loading

    if len(words) != 1:
        wrong("respond needs the result, as one word of JSON", 'respond \'{"receipt": "R-221"}\', or respond @FILE')
    return loading.json_file(words[0][1:]) if words[0].startswith("@") else loading.json_of(words[0], "the result")


def _fitting(question: Question, options: int, words: list[str], interrupt: str, run_id: str) -> Any:
    """The first reading of the words that the question takes: as JSON, or as the text that they are."""
    from holdfast import loading
    from holdfast.core.soundness import schema_problem
    from holdfast.views import form_words

    schema, text = question.answer_schema, " ".join(words)
    if len(words) == 1 and text.startswith("@"):
        readings = [loading.json_file(text[1:])]
    else:
        readings = _readings(text)
    if not schema:
        return readings[0]
    for reading in readings:
        if schema_problem(reading, schema) is None:
            return reading
    shown = f"{text[:80]}…" if len(text) > 80 else text
    hint = f"it takes {form_words(schema) or msgspec.json.encode(schema).decode()}"
    more = f", or `respond --option N` with N from 1 to {options}" if options else ""
    raise AnswerRefused(f"{shown!r} is no answer to {interrupt} ({question.text})", run_id=run_id, hint=hint + more)


def _readings(text: str) -> list[Any]:
    """What a text on a command line may mean: what it is in JSON, where it is that, before the text as it stands."""
    from holdfast import loading

    read = loading.value_of(text)
    return [read] if read == text else [read, text]
