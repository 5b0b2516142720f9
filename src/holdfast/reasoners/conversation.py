"""What was said in a run, as messages for a model: each turn with what came of it, in full or in one line for each step.

A call and its result are never parted. What tools return stands as JSON under the name of its step; what holdfast says of a
call that has no result stands beside it under other names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from holdfast.core import events as e
from holdfast.core import references
from holdfast.core.facts import Fact
from holdfast.core.models import Part
from holdfast.core.pending import Pending
from holdfast.core.references import SECRET
from holdfast.core.state import ENDED, State, StepState, Turn, contract_of
from holdfast.core.thinking import Question
from holdfast.reasoners import verbs
from holdfast.reasoners.claims import name_of
from holdfast.reasoners.model import Message, message_size
from holdfast.reasoners.words import beginning, brief, line, shrunk, written

# The bytes of one result in its turn; what is longer is read by `read_more`.
RESULT_BYTES_MAX = 8_192
RESULT_BYTES_LEAST = 64
WORDS_MAX = 1_000
# Of the line that stands for a step of an older turn.
LINE_ARGS, LINE_RESULT = 120, 200


class Shown(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A turn as it is shown. turn, steps, beliefs: what it was made from; it holds while these are the same. messages: what the
    model said, and what it was told of it; none where nobody needs them any more. size: of both. lines: one for each step.
    weighty: whether any of the steps changed the world or came to nothing."""

    turn: Turn
    steps: tuple[tuple[str, StepState | None, Pending | None], ...]
    beliefs: tuple[tuple[str, Fact | None, Question | None, str | None], ...]
    messages: tuple[Message, ...]
    size: int
    lines: tuple[str, ...]
    weighty: bool

    def holds(self, turn: Turn, state: State) -> bool:
        """Whether it would be made the same now."""
        if self.turn is not turn:
            return False
        steps, pending = state.steps, state.pending
        for name, step, owed in self.steps:
            if steps.get(name) is not step or pending.get(name) is not owed:
                return False
        for name, fact, question, unanswered in self.beliefs:
            if state.facts.get(name) is not fact or state.questions.get(name) is not question:
                return False
            if state.unanswered.get(name) != unanswered:
                return False
        return True


def shown(turn: Turn, state: State, model: str, most: int) -> Shown:
    """A turn for this model, its results and arguments shortened where it would have more than so many bytes."""
    names = tuple(dict.fromkeys(_steps_of(turn)))
    found = _messages(turn, state, model, RESULT_BYTES_MAX, None)
    size = sum(map(message_size, found))
    if size > most:
        calls = sum(part.kind == "call" for part in turn.said) or 1
        room = max(most // (3 * calls), RESULT_BYTES_LEAST)
        found = _messages(turn, state, model, min(room, RESULT_BYTES_MAX), room)
        size = sum(map(message_size, found))
    steps = tuple((name, state.steps.get(name), state.pending.get(name)) for name in names)
    asked = tuple(
        (name, state.facts.get(name), state.questions.get(name), state.unanswered.get(name))
        for name in dict.fromkeys(name for part in turn.said for name in _asked_in(part))
    )
    there = [step for _, step, _ in steps if step is not None]
    return Shown(
        turn=turn,
        steps=steps,
        beliefs=asked,
        messages=found,
        size=size,
        lines=tuple(line_of(step, state) for step in there),
        weighty=any(step.phase != "done" or not _is_read(step, state) for step in there),
    )


def _steps_of(turn: Turn) -> Iterator[str]:
    for part in turn.said:
        if part.step:
            yield part.step
        elif part.kind == "call" and part.tool == verbs.PLAN and not part.problem:
            yield from _planned(part)


def _planned(part: Part) -> dict[str, Any]:
    steps = part.args.get("steps") if isinstance(part.args, dict) else None
    return steps if isinstance(steps, dict) else {}


def _asked_in(part: Part) -> Iterator[str]:
    """The names of the facts that a call asks for."""
    if part.kind == "call" and part.tool == verbs.ASK and not part.problem and isinstance(part.args, dict):
        asked = part.args.get("questions", ())
        names = (form.get("name") for form in asked if isinstance(form, dict)) if isinstance(asked, list) else ()
        yield from (name_of(name) for name in names if isinstance(name, str))


def _is_read(step: StepState, state: State) -> bool:
    contract = contract_of(state, step)
    return contract is not None and contract.safety == "read"


# --- both messages of a turn --------------------------------------------------------------------------------------


def _messages(turn: Turn, state: State, model: str, result_bytes: int, part_bytes: int | None) -> tuple[Message, Message]:
    said: list[Part] = []
    told: list[Part] = []
    own = turn.model == model
    for part in turn.said:
        if part.kind == "call":
            said.append(_call(part, state, own, part_bytes))
            told.append(Part(kind="result", id=part.id, tool=part.tool, text=_result(part, turn, state, result_bytes)))
        elif part.kind == "text" and part.text.strip():
            text = part.text if part_bytes is None else _cut(part.text, part_bytes)
            said.append(_own(part, own, text=text))
        elif part.kind == "thinking" and own and part_bytes is None and _is_signed(part):
            said.append(part)  # Whole, or not at all: its signature is of the whole.
    if not any(part.kind != "thinking" for part in said):
        said.append(Part(kind="text", text="(nothing)"))
    if (words := _told(turn)) or not told:
        told.append(Part(kind="text", text=words or "Go on."))
    return Message(role="assistant", parts=tuple(said)), Message(role="user", parts=tuple(told))


def _is_signed(part: Part) -> bool:
    """Whether the provider wants to see a thought again."""
    return bool(part.signature or part.provider) or part.details is not None


def _own(part: Part, own: bool, **changes: Any) -> Part:
    """A part as it is shown again: what its provider wants to see goes to the model that said it, and to no other."""
    if own:
        return msgspec.structs.replace(part, step="", problem="", **changes)
    fields = {"text": part.text, "tool": part.tool, "args": part.args} | changes
    return Part(kind=part.kind, id=part.id if part.kind == "call" else "", **fields)


def _call(part: Part, state: State, own: bool, most: int | None) -> Part:
    args = _args(part, state)
    if most is not None:
        args = shrunk(args, most)
    return _own(part, own, args=args if isinstance(args, dict) else {"arguments": args})


def _args(part: Part, state: State) -> Any:
    """The arguments of a call: those of one that became a step stand there."""
    step = state.steps.get(part.step) if part.step else None
    if part.tool == verbs.PLAN and not part.problem and part.args is not None:
        forms = {name: _with_args(form, state.steps.get(name)) for name, form in _planned(part).items()}
        return {**part.args, "steps": forms}
    if part.args is not None or step is None:
        return part.args if part.args is not None else {}
    return _open(references.unmarked(step.step.args))


def _with_args(form: Any, step: StepState | None) -> Any:
    return {**form, "args": _open(step.step.args)} if step is not None and isinstance(form, dict) else form


def _open(args: dict[str, Any]) -> dict[str, Any]:
    """Arguments without secrets: a model has never seen that there are any."""
    return {name: value for name, value in args.items() if not (isinstance(value, dict) and SECRET in value)}


def _cut(text: str, most: int) -> str:
    return text if len(text.encode()) <= most else beginning(text, most) + "…"


def _told(turn: Turn) -> str:
    """What is said to a turn beside the results of its calls."""
    if turn.outcome == "failed" and turn.problems:
        calls = any(part.kind == "call" for part in turn.said)
        text = "\n".join(f"- {line(problem, WORDS_MAX)}" for problem in turn.problems[:20])
        return f"Nothing of your answer was taken{' beyond what the results say' if calls else ''}:\n{text}"
    if turn.outcome == "finish" and not any(part.kind == "call" for part in turn.said):
        return _NOT_THE_END
    return ""


_NOT_THE_END = "The run did not end with that; see what came after it."


# --- results ------------------------------------------------------------------------------------------------------


def _result(part: Part, turn: Turn, state: State, most: int) -> str:
    """What came of a call, as JSON."""
    if part.problem:
        return written({"refused": line(part.problem, WORDS_MAX)})
    if turn.outcome in ("", "failed"):
        return written({"refused": "not taken, see below"})
    if part.step:
        step = state.steps.get(part.step)
        if step is None:
            return written({"refused": "it did not become a step"})
        return result_of(step, state, most)
    match part.tool:
        case verbs.PLAN:
            return _plan_result(part, state, most)
        case verbs.ASK:
            return written({"asked": [_answer(name, state) for name in dict.fromkeys(_asked_in(part))]})
        case verbs.NOTE:
            return written({"noted": True})
        case verbs.KEEP:
            return written({"kept": True})
        case verbs.INTERPRET:
            return written({"taken": True})
        case verbs.FINISH | verbs.GIVE_UP:
            return written({"not_ended": _NOT_THE_END})
        case _:
            return written({"refused": "it did not become a step"})


def result_of(step: StepState, state: State, most: int = RESULT_BYTES_MAX) -> str:
    """What came of a step so far, as JSON: its result, why there is none, or what is still waited for."""
    name = step.step.id
    if step.phase == "done":
        return _value_of(step, state, most)
    said: dict[str, Any] = {"step": name}
    if step.phase in ENDED:
        said["status"] = "refused" if step.refused else step.phase
        if step.failure is not None:
            said["kind"], said["message"] = step.failure.kind, line(step.failure.message, WORDS_MAX)
        if step.reason:
            said["reason"] = line(step.reason, WORDS_MAX)
        said["attempts"] = step.attempt
        if step.landed:
            said["note"] = "it had its effect all the same"
        elif step.failure is not None and isinstance(step.failure.detail, str) and step.failure.detail in _REFUSED:
            said["note"] = _REFUSED[step.failure.detail]
        return written(said)
    said["status"], said["note"] = standing(step, state)
    return written(said)


_REFUSED = {
    e.BY_A_PERSON: "a person decided so; do not ask for the same in another form",
    e.BY_A_POLICY: "a rule forbids it, whoever asks; do not try the same in another form",
}


def standing(step: StepState, state: State) -> tuple[str, str]:
    """How a step that has not ended stands, and what that means for whoever might repeat it. Without times that pass."""
    owed = state.pending.get(step.step.id)
    if owed is not None and owed.about == "result":
        by = f" by {line(owed.by, 100)}" if owed.by else ""
        return "owed", f"its result is still owed{by}; do not repeat it"
    if step.doubt_since is not None:
        return "unknown", "nobody knows yet whether it happened; it is found out, do not repeat it"
    if step.phase == "asking":
        return "asking", "a person is asked about it; do not repeat it"
    if step.suppressed_by:
        return "suppressed", f"it would repeat {line(step.suppressed_by, 100)}, which is still open; do not repeat it"
    if step.phase in ("blocked", "ready"):
        return "planned", "it has not begun"
    return "under way", "it has not ended; do not repeat it"


def _value_of(step: StepState, state: State, most: int) -> str:
    said: dict[str, Any] = {"step": step.step.id}
    if step.left:
        said["left"] = list(step.left[:50])
        owed = state.pending.get(step.step.id)
        said["note"] = "a part is done; the rest is still owed, do not repeat it" if owed is not None else "a part is done"
    if step.settled_by == "person":
        said["note"] = "a person gave this result"
    if step.tool != step.step.tool:
        said["by"] = f"the fallback {step.tool}"
    text = written(step.value)
    size = len(text.encode())
    whole = step.cut.bytes if step.cut is not None else size
    if size <= most:
        if step.cut is not None:
            said["cut"] = f"the whole has {whole} bytes{_more(step, state, 0)}"
        return f'{written(said)[:-1]},"result":{text}}}'
    kept = beginning(text, most)
    said["result_begins"] = kept
    said["cut"] = f"… {whole - len(kept.encode())} more bytes{_more(step, state, len(kept) if step.cut is None else 0)}"
    return written(said)


def _more(step: StepState, state: State, offset: int) -> str:
    """How the rest is read. offset: in characters; what is stored of a result that was cut is read from its beginning."""
    if verbs.READ_MORE not in state.contracts:
        return ""
    at = f", offset={offset}" if offset else ""
    return f'; {verbs.READ_MORE}(step="{step.step.id}"{at}) reads on'


def _plan_result(part: Part, state: State, most: int) -> str:
    """A line for each step of a plan, with what came of it."""
    steps = {name: state.steps.get(name) for name in _planned(part)}
    share = max(most // max(len(steps), 1) - 64, 24)
    found = {}
    for name, step in steps.items():
        if step is None:
            found[name] = "not taken"
        elif step.phase == "done":
            found[name] = f"done: {brief(step.value, share)}"
        else:
            found[name] = f"{step.phase}{f': {line(step.reason, share)}' if step.reason else ''}"
    return written({"plan": found})


def _answer(name: str, state: State) -> dict[str, Any]:
    if name in state.questions:
        return {"name": name, "status": "waiting for the answer"}
    fact = state.facts.get(name)
    if fact is not None and fact.source == "inferred" and not fact.confirmed_by:
        return {"name": name, "status": "nobody was asked; your guess stands, as a guess", "value": shrunk(fact.value, 1_000)}
    if fact is not None:
        return {"name": name, "status": f"answered by {line(fact.by, 100)}", "value": shrunk(fact.value, 1_000)}
    if name in state.unanswered:
        return {"name": name, "status": line(state.unanswered[name], 200)}
    return {"name": name, "status": "asked"}


# --- what was learned ---------------------------------------------------------------------------------------------


def line_of(step: StepState, state: State) -> str:
    """A step in one line: what was called, and what came of it."""
    args = step.args if step.args is not None else step.step.args
    call = f"{step.tool}({brief(_open(references.unmarked(args)), LINE_ARGS)})"
    if step.phase == "done":
        left = f" (left: {line(', '.join(step.left), 80)})" if step.left else ""
        return f"- {step.step.id}: {call} → done{left}: {brief(step.value, LINE_RESULT)}"
    if step.phase in ENDED:
        kind = f" {step.failure.kind}:" if step.failure is not None else ""
        words = step.failure.message if step.failure is not None and step.failure.message else step.reason
        return f"- {step.step.id}: {call} → {step.phase}:{kind} {line(words, LINE_RESULT)}"
    status, note = standing(step, state)
    return f"- {step.step.id}: {call} → {status}: {note}"
