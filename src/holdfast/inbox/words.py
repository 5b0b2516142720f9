"""Words from people into a run, besides answers: what may be said, and the message for it.

A word may have an id of its sender's; the same word with the same id is heard once. What only the moment forbids (a pause of a
run that is paused) is refused at once where a word has no id. One with an id may be the same word once more, so that is left to
the run, which writes down what it could not take.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from holdfast.core.events import OnStop
from holdfast.core.plan import Goal
from holdfast.core.soundness import schema_problem
from holdfast.core.state import ENDED, Phase, State, StepState, contract_of, secret_names
from holdfast.core.values import plain
from holdfast.errors import AnswerRefused, CallbackRefused
from holdfast.inbox.answers import check_fact
from holdfast.inbox.speech import BY_MAX, name_of, slot_of, text_of, value_of, which, written
from holdfast.inbox.who import ANYBODY, Speaker, has_say
from holdfast.journal.base import Message
from holdfast.journal.codec import redact

# How long the words of a failure may be, and how many signals may wait to be wanted.
FAILED_MAX = 2_000
SIGNALS_MAX = 100
# How many facts a run may believe before people may tell it no new ones; those that are there can always be corrected.
FACTS_MAX = 1_000
# What is under way for a step, so that a person cannot have done it meanwhile.
IN_FLIGHT: frozenset[Phase] = frozenset({"flying", "probing", "checking"})

# --- what a run is told -----------------------------------------------------------------------------------------------


def cancel(*, by: str, now: float, reason: str = "", on_stop: OnStop | None = None, id: str | None = None) -> Message:
    """The message that asks a run to end. on_stop: what is to become of what it did; None leaves it to the run's policy."""
    body = {"by": written(by), "reason": written(reason), "decision": "cancel", "on_stop": on_stop}
    return Message(kind="cancel", slot=slot_of(id, otherwise="cancel"), body=body, at=now)


def callback(state: State, step: str, value: Any, *, failed: str | None, by: str) -> dict[str, Any]:
    """What a delivery by token carries; CallbackRefused where it is no result of the call. The token is good for another try
    then."""
    contract = state.contracts.get(state.steps[step].tool) if step in state.steps else None
    try:
        value = redact(plain(value), secret_names(state))
    except ValueError as error:
        raise CallbackRefused(f"what is delivered cannot be written as JSON: {error}", run_id=state.run_id, step=step) from error
    if (
        failed is None
        and contract is not None
        and contract.output_schema
        and (wrong := schema_problem(value, contract.output_schema))
    ):
        hint = "the token is still good; deliver a result of that form, or say that it failed"
        raise CallbackRefused(f"this is no result of {contract.tool}: {wrong}", run_id=state.run_id, step=step, hint=hint)
    return {"value": value, "failed": None if failed is None else written(failed)[:FAILED_MAX], "by": written(by)[:BY_MAX]}


def signal(state: State, name: str, value: Any, *, by: str, now: float, id: str | None = None) -> Message:
    """The message that says a word by name; AnswerRefused where it cannot be said."""
    if not name or len(name) > BY_MAX or not name.isprintable():
        raise AnswerRefused(f"{name[:40]!r} is no name for a signal", run_id=state.run_id, hint="use printable characters")
    if id is None and len(state.signals) >= SIGNALS_MAX and name not in state.signals:
        raise AnswerRefused(f"{SIGNALS_MAX} signals wait for somebody to want them", run_id=state.run_id)
    try:
        value = redact(plain(value), secret_names(state))
    except ValueError as error:
        raise AnswerRefused(f"what is given cannot be written as JSON: {error}", run_id=state.run_id) from error
    waiting = next((owed for owed in state.pending.values() if owed.signal == name), None)
    contract = state.contracts.get(waiting.tool) if waiting is not None and waiting.about == "result" else None
    if contract is not None and contract.output_schema and (wrong := schema_problem(value, contract.output_schema)):
        raise AnswerRefused(f"this is no result of {contract.tool}: {wrong}", run_id=state.run_id)
    body = {"name": name, "value": value, "by": written(by)}
    return Message(kind="signal", slot=slot_of(id, state.run_id), body=body, at=now)


def correct(state: State, name: str, value: Any, *, by: str, now: float, id: str | None = None) -> Message:
    """The message that says what is so, whatever the run believes of it; AnswerRefused where it cannot be said."""
    by = name_of(by, "a correction", state.run_id)
    if name not in state.facts and len(state.facts) >= FACTS_MAX:
        raise AnswerRefused(f"it believes {FACTS_MAX} things already, and {name[:40]!r} is none of them", run_id=state.run_id)
    try:
        value = plain(value)
    except ValueError as error:
        raise AnswerRefused(f"what is given cannot be written as JSON: {error}", run_id=state.run_id) from error
    check_fact(name, value, state)
    body = {"name": name, "value": value, "by": by}
    return Message(kind="correct", slot=slot_of(id, state.run_id), body=body, at=now)


def goal(
    state: State, text: str, inputs: dict[str, Any], *, by: str, now: float, note: str = "", id: str | None = None
) -> Message:
    """The message that changes what a run is for; AnswerRefused where it cannot be said."""
    if state.thinking is None:
        hint = "its plan does not think again; cancel it and start another run"
        raise AnswerRefused("only a run that a model plans can be given another goal", run_id=state.run_id, hint=hint)
    if not text.strip() and not inputs:
        raise AnswerRefused("the new goal says nothing", run_id=state.run_id, hint="give its words, or inputs")
    try:
        given = redact(plain(inputs), secret_names(state))
    except ValueError as error:
        raise AnswerRefused(f"the inputs cannot be written as JSON: {error}", run_id=state.run_id) from error
    changed = Goal(text=written(text), inputs=given)
    body = {"text": changed.text, "inputs": changed.inputs, "by": written(by)[:BY_MAX], "note": written(note)}
    return Message(kind="goal", slot=slot_of(id, state.run_id), body=body, at=now)


def instruct(state: State, text: str, *, by: str, now: float, id: str | None = None) -> Message:
    """The message that says how a run is to go about its work from now on; AnswerRefused where no model plans it."""
    if state.thinking is None:
        hint = "its plan does not think again; correct a fact, take it over, or cancel it and start another run"
        raise AnswerRefused("only a run that a model plans can be instructed", run_id=state.run_id, hint=hint)
    body = {"text": text_of(text, "the instruction", state.run_id), "by": name_of(by, "an instruction", state.run_id)}
    return Message(kind="instruct", slot=slot_of(id, state.run_id), body=body, at=now)


def comment(state: State, interrupt: str | None, text: str, *, by: str, now: float, id: str | None = None) -> Message:
    """The message that remarks on what is asked, or was; it decides nothing. interrupt: needed only when several are open.
    AnswerRefused for what was never asked."""
    if interrupt is None or interrupt not in state.decided:
        interrupt = which(state, interrupt).interrupt
    name = name_of(by, "a comment", state.run_id)
    body = {"interrupt": interrupt, "by": name, "text": text_of(text, "the comment", state.run_id)}
    return Message(kind="comment", slot=slot_of(id, state.run_id), body=body, at=now)


# --- who has the run --------------------------------------------------------------------------------------------------


def pause(
    state: State, *, by: str, now: float, reason: str = "", until: float | None = None, id: str | None = None,
    unread: Iterable[Message] = (),
) -> Message:  # fmt: skip
    """The message that lets nothing new begin, until somebody says so, or until then (seconds since the epoch). unread: words to
    the run that it has not taken yet. AnswerRefused where it is paused already."""
    name = name_of(by, "a pause", state.run_id)
    if until is not None and not (math.isfinite(until) and until > now):
        hint = "give a time that is to come, or none"
        raise AnswerRefused("the pause would be over before it begins", run_id=state.run_id, hint=hint)
    if id is None and _is_paused(state, unread):
        who = f" by {state.paused.by}" if state.paused is not None else ""
        raise AnswerRefused(f"it is paused already{who}", run_id=state.run_id, hint="resume it, and pause it again")
    body = {"by": name, "reason": written(reason), "until": until}
    return Message(kind="pause", slot=slot_of(id, state.run_id), body=body, at=now)


def resume(state: State, *, by: str, now: float, id: str | None = None, unread: Iterable[Message] = ()) -> Message:
    """The message that lets a paused run go on. unread: words to the run that it has not taken yet. AnswerRefused where it is
    not paused."""
    name = name_of(by, "the word to go on", state.run_id)
    if id is None and not _is_paused(state, unread):
        raise AnswerRefused("it is not paused", run_id=state.run_id, hint=f"holdfast show {state.run_id}")
    return Message(kind="resume", slot=slot_of(id, state.run_id), body={"by": name}, at=now)


def handoff(state: State, *, by: str, now: float, reason: str = "", id: str | None = None) -> Message:
    """The message by which somebody takes a run over: effects at hand are finished, then they are asked how it goes on.
    AnswerRefused where somebody has taken it over."""
    name = name_of(by, "a handoff", state.run_id)
    if id is None and state.handoff is not None:
        hint = "answer what it asks to hand it back"
        raise AnswerRefused(f"{state.handoff.by} has taken it over already", run_id=state.run_id, hint=hint)
    return Message(kind="handoff", slot=slot_of(id, state.run_id), body={"by": name, "reason": written(reason)}, at=now)


def _is_paused(state: State, unread: Iterable[Message]) -> bool:
    paused = state.paused is not None
    for message in unread:
        if message.kind in ("pause", "resume"):
            paused = message.kind == "pause"
    return paused


# --- what somebody did by hand ----------------------------------------------------------------------------------------


def done(
    state: State, step: str, value: Any = None, *, by: str, now: float, note: str = "", id: str | None = None,
    roles: tuple[str, ...] = (), known: bool = True, tenants: tuple[str, ...] = (),
) -> Message:  # fmt: skip
    """The message that a person did what a step was for. value: the result that it would have had.

    Any step that has not ended and for which nothing is in flight. Where a person is asked about the step, whoever says that it
    is done must be one of those who may decide that. roles, known, tenants: what the directory says of `by`. AnswerRefused
    otherwise, and for what is no result of its tool.
    """
    name = name_of(by, "a result", state.run_id)
    found = state.steps.get(step)
    if found is None:
        hint = f"its steps: {', '.join(state.order[:20])}" if state.order else "it has no steps yet"
        raise AnswerRefused(f"it has no step {step[:40]!r}", run_id=state.run_id, hint=hint)
    speaker = Speaker(name=name, roles=roles, known=known, tenants=tenants)
    why = not_by_hand(state, found, speaker) if id is None else _no_say(state, found, speaker)
    if why is not None:
        raise AnswerRefused(why, run_id=state.run_id, step=step, hint=f"holdfast show {state.run_id}")
    value = value_of(value, state, step)
    contract = contract_of(state, found)
    if contract is not None and contract.output_schema and (wrong := schema_problem(value, contract.output_schema)):
        raise AnswerRefused(f"this is no result of {contract.tool}: {wrong}", run_id=state.run_id, step=step)
    body: dict[str, Any] = {"step": step, "value": value, "by": name, "note": written(note)}
    if roles:
        body["roles"] = list(roles)
    return Message(kind="done", slot=slot_of(id, state.run_id), body=body, at=now)


def not_by_hand(state: State, step: StepState, speaker: Speaker) -> str | None:
    """Why a step cannot be said to be done by hand, as a sentence; None where it can."""
    if step.phase in ENDED:
        return f"the step is {step.phase} already"
    if step.phase in IN_FLIGHT:
        return "something is under way for the step; wait until it has ended, or pause the run"
    return _no_say(state, step, speaker)


def _no_say(state: State, step: StepState, speaker: Speaker) -> str | None:
    """Why it is not for somebody to say that a step is done; None where it is. A question about it is for some people; a step
    about which nobody is asked is for all who are known."""
    asked = state.interrupts.get(step.interrupt or "")
    return has_say(asked if asked is not None else ANYBODY, speaker, state.tenant)
