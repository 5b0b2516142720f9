"""Words from people into a run: what may be said, and what a message becomes when the run takes it.

An answer travels in two moves. It is *sent*: checked against what is open, and put into the run's mailbox durably, where
its interrupt has one slot, so the second one is refused by the store itself. Then the worker that holds the run *takes*
it: the message becomes an event in the same commit that marks it taken. So it holds whoever dies in between.
"""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.core.contract import Contract
from holdfast.core.events import (
    Answered,
    AnswerVoided,
    AnyEvent,
    Asked,
    CallbackReceived,
    CancelRequested,
    ChildEnded,
    FactsLearned,
    Failure,
    GoalChanged,
    OnStop,
    SignalReceived,
)
from holdfast.core.events import CallbackRefused as CallbackWasRefused
from holdfast.core.facts import VALUE_BYTES_MAX, Drift, Fact, is_change, name_problem, value_bytes
from holdfast.core.plan import Goal
from holdfast.core.references import has_secret, unmarked
from holdfast.core.soundness import schema_problem
from holdfast.core.state import ENDED, State, secret_names
from holdfast.core.values import plain, plain_secrets
from holdfast.errors import AnswerRefused, CallbackRefused
from holdfast.journal.base import Message
from holdfast.journal.codec import redact

# How long the words of a failure and the name of who says them may be, and how many signals may wait to be wanted.
FAILED_MAX = 2_000
BY_MAX = 200
SIGNALS_MAX = 100
# How many facts a run may believe before people may tell it no new ones; those that are there can always be corrected.
FACTS_MAX = 1_000


def answer(
    state: State, decision: str, *, by: str, now: float, interrupt: str | None = None, value: Any = None, note: str = ""
) -> Message:
    """The message that answers an interrupt; AnswerRefused where it cannot be said.

    interrupt: which one; needed only when several are open. value: the arguments for `edit` (where a person is asked whether
    something is so: what is so instead, by name), the result for `respond`.
    """
    asked = _which(state, interrupt)
    if not by:
        raise AnswerRefused("an answer needs the name of who gives it", run_id=state.run_id, hint="--by NAME")
    options = {option.decision for option in asked.options}
    if decision not in options:
        raise AnswerRefused(
            f"{asked.interrupt} cannot be answered with {decision}",
            run_id=state.run_id,
            hint=f"it takes {', '.join(sorted(options))}",
        )
    if asked.expires_at <= now:
        raise AnswerRefused(f"{asked.interrupt} has expired", run_id=state.run_id)
    contract = state.contracts.get(asked.tool)
    by, note = _written(by), _written(note)
    try:
        value = plain(value)
    except ValueError as error:
        raise AnswerRefused(f"what is given cannot be written as JSON: {error}", run_id=state.run_id, step=asked.step) from error
    for name in plain_secrets(value, secret_names(state)):
        raise AnswerRefused(
            f"{name} is never written down, and an answer is", run_id=state.run_id, step=asked.step, hint="leave it out"
        )
    form = asked.asks.answer_schema if asked.asks is not None and decision == "respond" else {}
    if form and (wrong := schema_problem(value, form)):
        raise AnswerRefused(f"this is no answer to {asked.interrupt}: {wrong}", run_id=state.run_id, hint="respond VALUE")
    if decision == "edit" and asked.about == "fact":
        value = _corrected(asked, value, state)
    elif decision == "edit":
        value = _edited(asked, contract, value, state.run_id)
    elif (
        decision == "respond"
        and contract is not None
        and contract.output_schema
        and not (value is None and _is_done_in_part(state, asked))
        and (wrong := schema_problem(value, contract.output_schema))
    ):
        raise AnswerRefused(f"this is no result of {asked.tool}: {wrong}", run_id=state.run_id, step=asked.step)
    body = {"interrupt": asked.interrupt, "digest": asked.digest, "decision": decision, "by": by, "value": value, "note": note}
    return Message(kind="answer", slot=asked.interrupt, body=body, at=now)


def cancel(*, by: str, now: float, reason: str = "", on_stop: OnStop | None = None) -> Message:
    """The message that asks a run to end. on_stop: what is to become of what it did; None leaves it to the run's policy."""
    body = {"by": _written(by), "reason": _written(reason), "decision": "cancel", "on_stop": on_stop}
    return Message(kind="cancel", slot="cancel", body=body, at=now)


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
    return {"value": value, "failed": None if failed is None else _written(failed)[:FAILED_MAX], "by": _written(by)[:BY_MAX]}


def signal(state: State, name: str, value: Any, *, by: str, now: float) -> Message:
    """The message that says a word by name; AnswerRefused where it cannot be said."""
    if not name or len(name) > BY_MAX or not name.isprintable():
        raise AnswerRefused(f"{name[:40]!r} is no name for a signal", run_id=state.run_id, hint="use printable characters")
    if len(state.signals) >= SIGNALS_MAX and name not in state.signals:
        raise AnswerRefused(f"{SIGNALS_MAX} signals wait for somebody to want them", run_id=state.run_id)
    try:
        value = redact(plain(value), secret_names(state))
    except ValueError as error:
        raise AnswerRefused(f"what is given cannot be written as JSON: {error}", run_id=state.run_id) from error
    waiting = next((owed for owed in state.pending.values() if owed.signal == name), None)
    contract = state.contracts.get(waiting.tool) if waiting is not None and waiting.about == "result" else None
    if contract is not None and contract.output_schema and (wrong := schema_problem(value, contract.output_schema)):
        raise AnswerRefused(f"this is no result of {contract.tool}: {wrong}", run_id=state.run_id)
    return Message(kind="signal", body={"name": name, "value": value, "by": _written(by)}, at=now)


def correct(state: State, name: str, value: Any, *, by: str, now: float) -> Message:
    """The message that says what is so, whatever the run believes of it; AnswerRefused where it cannot be said."""
    if not by:
        raise AnswerRefused("a correction needs the name of who gives it", run_id=state.run_id, hint="--by NAME")
    if name not in state.facts and len(state.facts) >= FACTS_MAX:
        raise AnswerRefused(f"it believes {FACTS_MAX} things already, and {name[:40]!r} is none of them", run_id=state.run_id)
    try:
        value = plain(value)
    except ValueError as error:
        raise AnswerRefused(f"what is given cannot be written as JSON: {error}", run_id=state.run_id) from error
    _check_fact(name, value, state)
    return Message(kind="correct", body={"name": name, "value": value, "by": _written(by)[:BY_MAX]}, at=now)


def _check_fact(name: Any, value: Any, state: State) -> None:
    if problem := name_problem(name):
        raise AnswerRefused(problem, run_id=state.run_id)
    for secret in plain_secrets({name: value}, secret_names(state)):
        raise AnswerRefused(f"{secret} is never written down, and a fact is", run_id=state.run_id, hint="leave it out")
    if value_bytes(value) > VALUE_BYTES_MAX:
        raise AnswerRefused(
            f"{name} has more than {VALUE_BYTES_MAX} bytes", run_id=state.run_id, hint="a fact is small; say where the rest is"
        )


def goal(state: State, text: str, inputs: dict[str, Any], *, by: str, now: float, note: str = "") -> Message:
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
    body = {"text": _written(text), "inputs": given, "by": _written(by)[:BY_MAX], "note": _written(note)}
    return Message(kind="goal", body=body, at=now)


def taken(state: State, message: Message, now: float) -> AnyEvent:
    """The event that a message becomes. An answer that came too late is written down as void."""
    body = message.body
    if message.kind == "cancel":
        return CancelRequested(by=str(body["by"]), reason=str(body["reason"]), on_stop=body.get("on_stop"))
    if message.kind == "callback":
        return delivered(state, message)
    if message.kind == "refused":
        return CallbackWasRefused(step=str(body["step"]), reason=str(body["reason"]), by=str(body["by"]))
    if message.kind == "signal":
        return SignalReceived(name=str(body["name"]), value=body["value"], by=str(body["by"]))
    if message.kind == "goal":
        changed = Goal(text=str(body["text"]), inputs=body["inputs"])
        return GoalChanged(goal=changed, by=str(body["by"]), note=str(body["note"]))
    if message.kind == "correct":
        return _told(state, message)
    if message.kind == "child":
        return msgspec.convert({name: part for name, part in body.items() if part is not None}, ChildEnded)
    asked = state.interrupts.get(body["interrupt"])
    void = None
    if asked is None:
        void = "it is not open any more"
    elif asked.digest != body["digest"]:
        void = "what was shown has changed since"
    elif asked.expires_at <= (now if asked.about == "call" else message.at):
        # What somebody said of the world in time stays said, however late it is heard. An approval does not: what would
        # follow from it has waited too long.
        void = "it has expired"
    if void is not None:
        return AnswerVoided(interrupt=body["interrupt"], by=str(body["by"]), reason=void)
    return Answered(
        interrupt=body["interrupt"], decision=body["decision"], by=str(body["by"]), value=body["value"], note=str(body["note"])
    )


def _told(state: State, message: Message) -> FactsLearned:
    """What a person said is so, as of when they said it."""
    name, by = str(message.body["name"]), str(message.body["by"])
    fact = Fact(name=name, value=message.body["value"], source="told", by=by, at=message.at, pinned=True)
    before = state.facts.get(name)
    drifts: tuple[Drift, ...] = ()
    if before is not None and is_change(fact, before):
        drifts = (Drift(name=name, believed=before.value, observed=fact.value, source=before.source),)
    return FactsLearned(facts=(fact,), drifts=drifts, reason=f"corrected by {by}" if before is not None else f"told by {by}")


def delivered(state: State, message: Message, failure: Failure | None = None) -> CallbackReceived | CallbackWasRefused:
    """The event that a delivery becomes. failure: why what it brings will not do."""
    body = message.body
    name, key, by = str(body["step"]), str(body["key"]), str(body["by"])
    step = state.steps.get(name)
    owed = state.pending.get(name)
    if owed is None or owed.key != key:
        if step is None or step.key != key:
            return CallbackWasRefused(step=name, reason="the call that it is for was given up, or made anew", by=by)
        if step.phase in ENDED:
            return CallbackWasRefused(step=name, reason=f"the step is {step.phase} already", by=by)
    if body["failed"] is not None:
        failure = Failure(kind="failed_later", message=str(body["failed"]) or "the other side says that it failed")
    return CallbackReceived(step=name, key=key, value=body["value"], failure=failure, by=by)


def _is_done_in_part(state: State, asked: Asked) -> bool:
    """Whether the step has a result already, so that none need be given."""
    owed = state.pending.get(asked.step)
    return asked.about == "owed" and owed is not None and owed.about != "result"


def _written(text: str) -> str:
    """A text that can be written down; a command line may hold bytes that are no text."""
    return text.encode("utf-8", "replace").decode()


def _which(state: State, interrupt: str | None) -> Asked:
    open_ones = state.interrupts
    if interrupt is not None:
        if interrupt in open_ones:
            return open_ones[interrupt]
        raise AnswerRefused(f"nothing is open under {interrupt}", run_id=state.run_id, hint=_open(open_ones))
    if len(open_ones) == 1:
        return next(iter(open_ones.values()))
    if not open_ones:
        raise AnswerRefused("it asks nothing at present", run_id=state.run_id, hint=f"holdfast show {state.run_id}")
    raise AnswerRefused(f"{len(open_ones)} questions are open; say which", run_id=state.run_id, hint=_open(open_ones))


def _open(open_ones: dict[str, Asked]) -> str:
    return f"open: {', '.join(open_ones)}" if open_ones else "nothing is open"


def _edited(asked: Asked, contract: Contract | None, value: Any, run_id: str) -> dict[str, Any]:
    """The whole arguments after an edit: what was shown, with the given ones in place."""
    if not isinstance(value, dict) or not value:
        raise AnswerRefused("edit needs the arguments to change", run_id=run_id, step=asked.step, hint="edit name=value …")
    whole = {**asked.args, **value}
    if contract is not None:
        for name in contract.secrets:
            if name in value:
                raise AnswerRefused(f"{name} is a secret and cannot be edited", run_id=run_id, step=asked.step)
        # What is put in at the moment of the call cannot be looked at before.
        hidden = {*contract.secrets, *(name for name, part in whole.items() if has_secret(part))}
        shown = {name: unmarked(part) for name, part in whole.items() if name not in hidden}
        schema = {**contract.input_schema, "required": [n for n in contract.input_schema.get("required", ()) if n not in hidden]}
        if wrong := schema_problem(shown, schema):
            raise AnswerRefused(f"{asked.tool} cannot take these arguments: {wrong}", run_id=run_id, step=asked.step)
    return whole


def _corrected(asked: Asked, value: Any, state: State) -> dict[str, Any]:
    """What is so, of the facts that a person was shown."""
    if not isinstance(value, dict) or not value:
        raise AnswerRefused(
            "edit needs what is so instead", run_id=state.run_id, step=asked.step, hint=f"edit {asked.facts[0]}=value …"
        )
    for name, part in value.items():
        if name not in asked.facts:
            raise AnswerRefused(
                f"{name} is none of what is asked", run_id=state.run_id, step=asked.step, hint=f"it is {', '.join(asked.facts)}"
            )
        _check_fact(name, part, state)
    return value
