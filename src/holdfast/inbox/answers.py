"""Answers: what may be said to what is asked, by whom, and the message for it."""

from __future__ import annotations

from typing import Any

from holdfast.core.contract import Contract
from holdfast.core.events import Asked
from holdfast.core.facts import VALUE_BYTES_MAX, name_problem, value_bytes
from holdfast.core.policy import Ruling, evaluate
from holdfast.core.proposed import proposed_call
from holdfast.core.references import find, has_secret, unmarked
from holdfast.core.soundness import schema_problem
from holdfast.core.state import State, secret_names
from holdfast.core.values import plain_secrets
from holdfast.errors import AnswerRefused
from holdfast.inbox.speech import name_of, value_of, which, written
from holdfast.inbox.who import Speaker, may_decide
from holdfast.journal.base import Message


def answer(
    state: State, decision: str, *, by: str, now: float, interrupt: str | None = None, value: Any = None, note: str = "",
    roles: tuple[str, ...] = (), known: bool = True, tenants: tuple[str, ...] = (), seen_at: float | None = None,
    bulk: bool = False,
) -> Message:  # fmt: skip
    """The message that answers an interrupt; AnswerRefused where it cannot be said, or not by them.

    interrupt: which one; needed only when several are open. value: the arguments for `edit` (where a person is asked whether
    something is so: what is so instead, by name), the result for `respond`. roles, known, tenants: what the directory says of
    `by` (see `who.Speaker`). seen_at: when they were first shown it. bulk: together with others, by one word.
    """
    asked = which(state, interrupt)
    by = name_of(by, "an answer", state.run_id)
    _check_option(asked, decision, state)
    if asked.expires_at <= now:
        raise AnswerRefused(f"{asked.interrupt} has expired", run_id=state.run_id)
    _check_who(asked, Speaker(name=by, roles=roles, known=known, tenants=tenants), state)
    value = value_of(value, state, asked.step)
    if decision == "edit":
        value = _corrected(asked, value, state) if asked.about == "fact" else _edited(asked, value, state)
    elif decision == "respond":
        _check_result(asked, value, state)
    body: dict[str, Any] = {
        "interrupt": asked.interrupt, "digest": asked.digest, "decision": decision, "by": by, "value": value,
        "note": written(note),
    }  # fmt: skip
    extra = {"roles": list(roles), "seen_at": seen_at, "bulk": bulk}
    body |= {name: part for name, part in extra.items() if part not in ([], None, False)}
    # Several people need a slot each; nobody has two.
    slot = asked.interrupt if asked.people == 1 else f"{asked.interrupt}:{by}"
    return Message(kind="answer", slot=slot, body=body, at=now)


def check_fact(name: Any, value: Any, state: State) -> None:
    """AnswerRefused for what is no fact that a person may state."""
    if problem := name_problem(name):
        raise AnswerRefused(problem, run_id=state.run_id)
    for secret in plain_secrets({name: value}, secret_names(state)):
        raise AnswerRefused(f"{secret} is never written down, and a fact is", run_id=state.run_id, hint="leave it out")
    if value_bytes(value) > VALUE_BYTES_MAX:
        raise AnswerRefused(
            f"{name} has more than {VALUE_BYTES_MAX} bytes", run_id=state.run_id, hint="a fact is small; say where the rest is"
        )


# --- who, and what they may choose ------------------------------------------------------------------------------------


def _check_option(asked: Asked, decision: str, state: State) -> None:
    if asked.people > 1 and decision in ("edit", "respond"):
        why = f"{asked.interrupt} needs {asked.people} people, and they must say yes to the same"
        hint = "reject it, so that it is proposed anew, or approve it as it is"
        raise AnswerRefused(why, run_id=state.run_id, step=asked.step, hint=hint)
    options = {option.decision for option in asked.options}
    if decision not in options:
        hint = f"it takes {', '.join(sorted(options))}"
        raise AnswerRefused(f"{asked.interrupt} cannot be answered with {decision}", run_id=state.run_id, hint=hint)


def _check_who(asked: Asked, speaker: Speaker, state: State) -> None:
    standing = state.standings.get(asked.interrupt)
    approvals = standing.approvals if standing is not None else ()
    if (why := may_decide(asked, approvals, speaker, state.tenant)) is not None:
        hint = "holdfast people lists who is known, with their roles" if not speaker.known else None
        raise AnswerRefused(f"{asked.interrupt}: {why}", run_id=state.run_id, step=asked.step, hint=hint)


# --- what is given with it --------------------------------------------------------------------------------------------


def _check_result(asked: Asked, value: Any, state: State) -> None:
    """Whether it is an answer to the question, or a result of the tool."""
    form = asked.asks.answer_schema if asked.asks is not None else {}
    if form and (wrong := schema_problem(value, form)):
        raise AnswerRefused(f"this is no answer to {asked.interrupt}: {wrong}", run_id=state.run_id, hint="respond VALUE")
    contract = state.contracts.get(asked.tool)
    if contract is None or not contract.output_schema or (value is None and _is_done_in_part(state, asked)):
        return
    if wrong := schema_problem(value, contract.output_schema):
        raise AnswerRefused(f"this is no result of {asked.tool}: {wrong}", run_id=state.run_id, step=asked.step)


def _is_done_in_part(state: State, asked: Asked) -> bool:
    """Whether the step has a result already, so that none need be given."""
    owed = state.pending.get(asked.step)
    return asked.about == "owed" and owed is not None and owed.about != "result"


def _edited(asked: Asked, value: Any, state: State) -> dict[str, Any]:
    """The whole arguments after an edit: what was shown, with the given ones in place."""
    run_id, contract = state.run_id, state.contracts.get(asked.tool)
    if not isinstance(value, dict) or not value:
        raise AnswerRefused("edit needs the arguments to change", run_id=run_id, step=asked.step, hint="edit name=value …")
    if has_secret(value) or any(find(value)):
        # Else whoever approves could have a secret, or a result that they were never shown, put into a call.
        raise AnswerRefused("an edit gives plain values", run_id=run_id, step=asked.step, hint="no $secret and no $ref")
    whole = {**asked.args, **value}
    if contract is not None:
        _check_arguments(asked, contract, value, whole, run_id)
        _check_policy(asked, contract, whole, state)
    return whole


def _check_arguments(asked: Asked, contract: Contract, value: dict[str, Any], whole: dict[str, Any], run_id: str) -> None:
    for name in contract.secrets:
        if name in value:
            raise AnswerRefused(f"{name} is a secret and cannot be edited", run_id=run_id, step=asked.step)
    # What is put in at the moment of the call cannot be looked at before.
    hidden = {*contract.secrets, *(name for name, part in whole.items() if has_secret(part))}
    shown = {name: unmarked(part) for name, part in whole.items() if name not in hidden}
    schema = {**contract.input_schema, "required": [n for n in contract.input_schema.get("required", ()) if n not in hidden]}
    if wrong := schema_problem(shown, schema):
        raise AnswerRefused(f"{asked.tool} cannot take these arguments: {wrong}", run_id=run_id, step=asked.step)


def _check_policy(asked: Asked, contract: Contract, whole: dict[str, Any], state: State) -> None:
    """AnswerRefused where the policy forbids the call with these arguments for certain. It is asked once more when the call is
    made; what needs a function of the user's is known only then."""
    step = state.steps.get(asked.step)
    if state.policy is None or step is None:
        return
    ruling = evaluate(state.policy, proposed_call(state, step, contract, whole))
    if isinstance(ruling, Ruling) and ruling.verdict == "block":
        why = f"the policy {ruling.policy} forbids {asked.tool} with these arguments (rule {ruling.rule})"
        raise AnswerRefused(why, run_id=state.run_id, step=asked.step, hint="edit it otherwise, or reject it")


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
        check_fact(name, part, state)
    return value
