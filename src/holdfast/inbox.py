"""Words from people into a run: what may be said, and what a message becomes when the run takes it.

An answer travels in two moves. It is *sent*: checked against what is open, and put into the run's mailbox durably, where
its interrupt has one slot, so the second one is refused by the store itself. Then the worker that holds the run *takes*
it: the message becomes an event in the same commit that marks it taken. So it holds whoever dies in between.
"""

from __future__ import annotations

from typing import Any

from holdfast.core.contract import Contract
from holdfast.core.events import Answered, AnswerVoided, AnyEvent, Asked, CancelRequested
from holdfast.core.plan import schema_problem
from holdfast.core.references import has_secret, unmarked
from holdfast.core.state import State, secret_names
from holdfast.core.values import plain, plain_secrets
from holdfast.errors import AnswerRefused
from holdfast.journal.base import Message


def answer(
    state: State, decision: str, *, by: str, now: float, interrupt: str | None = None, value: Any = None, note: str = ""
) -> Message:
    """The message that answers an interrupt; AnswerRefused where it cannot be said.

    interrupt: which one; needed only when several are open. value: the arguments for `edit`, the result for `respond`.
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
    if decision == "edit":
        value = _edited(asked, contract, value, state.run_id)
    elif (
        decision == "respond"
        and contract is not None
        and contract.output_schema
        and (wrong := schema_problem(value, contract.output_schema))
    ):
        raise AnswerRefused(f"this is no result of {asked.tool}: {wrong}", run_id=state.run_id, step=asked.step)
    body = {"interrupt": asked.interrupt, "digest": asked.digest, "decision": decision, "by": by, "value": value, "note": note}
    return Message(kind="answer", slot=asked.interrupt, body=body, at=now)


def cancel(*, by: str, now: float, reason: str = "") -> Message:
    """The message that asks a run to end."""
    body = {"by": _written(by), "reason": _written(reason), "decision": "cancel"}
    return Message(kind="cancel", slot="cancel", body=body, at=now)


def taken(state: State, message: Message, now: float) -> AnyEvent:
    """The event that a message becomes. An answer that came too late is written down as void."""
    body = message.body
    if message.kind == "cancel":
        return CancelRequested(by=str(body["by"]), reason=str(body["reason"]))
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
