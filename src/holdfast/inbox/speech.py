"""What all words have in common: who says them, their text, their id, and which question they are about."""

from __future__ import annotations

from typing import Any

from holdfast.core.events import Asked
from holdfast.core.state import State, secret_names
from holdfast.core.values import plain, plain_secrets
from holdfast.errors import AnswerRefused

# How long the name of who says something may be, the id that they give it, and what they say.
BY_MAX = 200
ID_MAX = 200
TEXT_MAX = 10_000


def written(text: str) -> str:
    """A text that can be written down; a command line may hold bytes that are no text."""
    return text.encode("utf-8", "replace").decode()


def name_of(by: str, what: str, run_id: str) -> str:
    """The name of who says something. AnswerRefused where there is none. what: `an answer`."""
    if not by.strip():
        raise AnswerRefused(f"{what} needs the name of who gives it", run_id=run_id, hint="--by NAME")
    return written(by).strip()[:BY_MAX]


def text_of(text: str, what: str, run_id: str) -> str:
    """What is said, in words; AnswerRefused where it says nothing, or too much."""
    if not text.strip():
        raise AnswerRefused(f"{what} says nothing", run_id=run_id, hint="give its words")
    if len(text) > TEXT_MAX:
        raise AnswerRefused(f"{what} has more than {TEXT_MAX} characters", run_id=run_id, hint="say where the rest is")
    return written(text)


def slot_of(id: str | None, run_id: str = "", otherwise: str | None = None) -> str | None:
    """The slot of a word, so that the same word with the same id is heard once. AnswerRefused for what is no id."""
    if id is None:
        return otherwise
    if not id.strip() or len(id) > ID_MAX or not id.isprintable():
        hint = f"an id has 1 to {ID_MAX} printable characters"
        raise AnswerRefused(f"{id[:40]!r} is no id for a word", run_id=run_id or None, hint=hint)
    return f"word:{id}"


def value_of(value: Any, state: State, step: str = "") -> Any:
    """A value as it will be read back; AnswerRefused where it cannot be written down, or must not be."""
    try:
        value = plain(value)
    except ValueError as error:
        why = f"what is given cannot be written as JSON: {error}"
        raise AnswerRefused(why, run_id=state.run_id, step=step) from error
    for name in plain_secrets(value, secret_names(state)):
        why = f"{name} is never written down, and an answer is"
        raise AnswerRefused(why, run_id=state.run_id, step=step, hint="leave it out")
    return value


def which(state: State, interrupt: str | None) -> Asked:
    """The open question that is meant; AnswerRefused where there is none, or it is not said which."""
    open_ones = state.interrupts
    if interrupt is not None:
        if interrupt in open_ones:
            return open_ones[interrupt]
        raise AnswerRefused(_closed(state, interrupt), run_id=state.run_id, hint=_open(open_ones))
    if len(open_ones) == 1:
        return next(iter(open_ones.values()))
    if not open_ones:
        raise AnswerRefused("it asks nothing at present", run_id=state.run_id, hint=f"holdfast show {state.run_id}")
    raise AnswerRefused(f"{len(open_ones)} questions are open; say which", run_id=state.run_id, hint=_open(open_ones))


def _closed(state: State, interrupt: str) -> str:
    said = state.decided.get(interrupt)
    if said is None:
        return f"nothing is open under {interrupt}"
    return f"{interrupt} was answered already: {said}" if " by " in said else f"{interrupt} is not open any more: {said}"


def _open(open_ones: dict[str, Asked]) -> str:
    return f"open: {', '.join(open_ones)}" if open_ones else "nothing is open"
