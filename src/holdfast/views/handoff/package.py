"""A run as whoever takes it over needs it, made from its state and its journal. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import msgspec

from holdfast.core import events as e
from holdfast.core import references
from holdfast.core.contract import Contract
from holdfast.core.plan import waits_for
from holdfast.core.state import ENDED, SettledBy, State, StepState, contract_of, secret_names, status
from holdfast.core.values import REDACTED
from holdfast.views.beliefs import FactView, fact_views
from holdfast.views.handoff.next import advice, ways
from holdfast.views.handoff.records import DoneStep, Handoff, OpenStep, UnknownStep
from holdfast.views.handoff.tried import Past, past
from holdfast.views.minds import spent_view
from holdfast.views.owed import owed, owed_view, owed_words
from holdfast.views.runs import held, instructions, questions
from holdfast.views.steps import step_words
from holdfast.views.words import cut, listed, moment

ARGS_MAX, RESULT_MAX, GOAL_MAX = 300, 500, 4000


class Command(Protocol):
    """Makes a command line of its words; `ends` stands behind them as it is."""

    def __call__(self, *words: str, ends: str = "") -> str: ...


def plain_command(*words: str, ends: str = "") -> str:
    """A command line for the store that is used by default."""
    return shlex.join(["holdfast", *words]) + ends


def handoff(state: State, now: float, entries: Iterable[e.Entry] = (), *, command: Command = plain_command) -> Handoff:
    """A run for whoever takes it over, as it stands at `now`. entries: its journal, from which come what was tried and who did
    what; without them that is left out. command: makes the command lines, for the store that they are for."""
    before = past(entries, state)
    done, not_done, unknown = _steps(state, before, now)
    names = secret_names(state)
    asked = tuple(msgspec.structs.replace(one, args=_redacted(one.args, names)) for one in questions(state, now))
    first = advice(state, not_done, unknown, asked, now, command)
    return Handoff(
        run_id=state.run_id, agent=state.agent, agent_version=state.agent_version, tenant=state.tenant,
        status=status(state, now), at=now, started_at=state.started_at, why=_why(state),
        goal=cut(state.goal.text, GOAL_MAX), inputs=_redacted(state.goal.inputs, names), intent=state.intent,
        instructions=instructions(state), paused=held(state, state.paused), taken_over=held(state, state.handoff),
        done=tuple(done), not_done=tuple(not_done), unknown=tuple(unknown), believed=tuple(_believed(state, now)),
        tried=tuple(before.tried), tried_before=before.before, owed=owed(state), questions=asked, spent=spent_view(state),
        calls=state.attempts, next=first, commands=tuple(ways(state, not_done, asked, command)),
    )  # fmt: skip


def _why(state: State) -> str:
    """Why a person is to see to it, in words."""
    parts = list(_reasons(state))
    return "; ".join(parts) or ("nobody asked for it; it goes on by itself" if not state.ended else f"the run is {state.ended}")


def _reasons(state: State) -> Iterator[str]:
    if state.ended and state.ended != "completed":
        yield f"the run is {state.ended}" + (f": {state.reason}" if state.reason else "")
    elif state.stopping:
        yield f"it is about to stop: {state.stopping}"
    if state.cancel is not None and not state.ended:
        yield f"{state.cancel.by} wants it cancelled" + (f": {state.cancel.reason}" if state.cancel.reason else "")
    if state.handoff is not None and not state.ended:
        yield f"{state.handoff.by} took it over" + (f": {state.handoff.reason}" if state.handoff.reason else "")
    for asked in state.interrupts.values():
        if asked.kind == "handoff" and asked.about != "handoff":
            who = f"{listed(asked.who)} are to take it over" if asked.who else "somebody is to take it over"
            yield f"{asked.question} ({asked.interrupt}: {who})"
    if state.paused is not None and not state.ended:
        yield f"{state.paused.by} paused it" + (f": {state.paused.reason}" if state.paused.reason else "")
    open_ones = sum(asked.kind != "handoff" for asked in state.interrupts.values())
    if open_ones:
        yield f"it asks {open_ones} question{'s' if open_ones > 1 else ''} that only a person can answer"


# --- steps --------------------------------------------------------------------------------------------------------


def _steps(state: State, before: Past, now: float) -> tuple[list[DoneStep], list[OpenStep], list[UnknownStep]]:
    done: list[DoneStep] = []
    not_done: list[OpenStep] = []
    unknown: list[UnknownStep] = []
    for name in state.order:
        step = state.steps[name]
        if step.phase == "done":
            done.append(_done(state, step, before))
        elif _is_unknown(state, step):
            unknown.append(_unknown(state, step))
        elif not _is_needless(state, step):
            not_done.append(_open(state, step))
    return done, not_done, unknown


def _is_unknown(state: State, step: StepState) -> bool:
    undone = step.step.id in state.undoing and step.phase == "skipped" and step.flagged
    in_doubt = step.doubt_since is not None and step.phase not in ENDED
    named = bool(state.ended) and step.step.id in state.unknown
    return (
        in_doubt
        or named
        or undone
        or step.phase in ("flying", "probing", "probe_wait")
        or (step.landed and step.phase not in ENDED)
    )


def _is_needless(state: State, step: StepState) -> bool:
    name = step.step.id
    return step.phase == "skipped" and not step.flagged and name not in state.skipped


def _done(state: State, step: StepState, before: Past) -> DoneStep:
    name = step.step.id
    by_hand = name in before.by_hand
    return DoneStep(
        step=name, tool=step.tool, args=_args(state, step), result=cut(_redacted(step.value, secret_names(state)), RESULT_MAX),
        how="by hand" if by_hand else _HOW[step.settled_by], by=before.by.get(name, ""), left=step.left,
        at=before.done_at.get(name), taken_back=name in state.undone,
    )  # fmt: skip


_HOW: dict[SettledBy, str] = {
    "": "its call",
    "call": "its call",
    "probe": "its probe",
    "person": "a person's word",
    "reuse": "the same call in another step",
    "callback": "a callback",
    "signal": "a signal",
    "child": "the run that it started",
}


def _open(state: State, step: StepState) -> OpenStep:
    ended = step.phase in ENDED or bool(state.ended)
    why = step.reason
    if not why and step.failure is not None:
        why = f"{step.failure.kind}: {step.failure.message}" if step.failure.message else step.failure.kind
    return OpenStep(
        step=step.step.id, tool=step.tool, args=_args(state, step), phase=step_words(state, step), why=why,
        waits_for="" if ended else _waits_for(state, step),
    )  # fmt: skip


def _waits_for(state: State, step: StepState) -> str:
    if step.phase == "asking" and step.interrupt is not None:
        return f"the answer to {step.interrupt}"
    if step.suppressed_by:
        return f"what {step.suppressed_by} is owed"
    one = state.pending.get(step.step.id)
    if step.phase == "owed" and one is not None:
        return owed_words(owed_view(state, one))
    if step.phase == "checking":
        return "what functions say that the policy asks"
    if step.phase == "blocked":
        names = waits_for(step.step, state.stand_ins)
        return listed(name for name in names if name not in state.steps or state.steps[name].phase not in ENDED)
    if state.paused is not None:
        return f"{state.paused.by}, who paused the run"
    if state.handoff is not None:
        return f"{state.handoff.by}, who took the run over"
    if state.plan_asked is not None:
        return f"the plan to be approved ({state.plan_asked})"
    if step.phase == "diagnosis":
        return "what is ruled to follow from its failure"
    return f"its next attempt at {moment(step.due_at)}" if step.phase == "waiting" else "nothing; it is next"


def _unknown(state: State, step: StepState) -> UnknownStep:
    contract = contract_of(state, step)
    return UnknownStep(
        step=step.step.id, tool=step.tool, args=_args(state, step), key=step.key, calls=step.attempt,
        find_out=" ".join(_finding_out(state, step, contract)), sent_at=step.first_sent_at, handle=step.handle,
        why=_known(step), interrupt=step.interrupt or "",
    )  # fmt: skip


def _known(step: StepState) -> str:
    if step.phase == "flying" and step.doubt_since is None:
        return "its call is under way, or whoever made it is gone"
    return step.probe_message or step.reason


def _finding_out(state: State, step: StepState, contract: Contract | None) -> Iterator[str]:
    """How it can be found out whether a call happened, a sentence each."""
    sent = f" at about {moment(step.first_sent_at)}" if step.first_sent_at is not None else ""
    if contract is not None and contract.safety == "keyed":
        yield f"Ask the other side of {step.tool} for a request with the key {step.key}; it was sent{sent or ' once'}."
    elif step.handle:
        yield f"Ask the other side of {step.tool} for {step.handle}; it was sent{sent or ' once'}."
    else:
        yield f"Look at the other side of {step.tool} for a call with these arguments{sent}."
    if contract is not None and contract.probe and not state.ended:
        when = f", next at {moment(step.due_at)}" if step.phase == "probe_wait" and step.due_at else ""
        yield f"Its probe looks for it too{when}."
    if contract is not None and contract.safety in ("read", "idempotent"):
        yield "To make it once more does no harm."
    elif step.settle_at:
        yield f"Before {moment(step.settle_at)} it may still arrive."
    if step.interrupt is not None:
        yield f"Then answer {step.interrupt}."


# --- values -------------------------------------------------------------------------------------------------------


def _args(state: State, step: StepState) -> str:
    args = step.args if step.args is not None else step.step.args
    return cut(_redacted(references.unmarked(args), secret_names(state)), ARGS_MAX)


def _believed(state: State, now: float) -> Iterator[FactView]:
    names = secret_names(state)
    for fact in fact_views(state, now):
        value = _redacted({fact.name: fact.value}, names)[fact.name]
        yield fact if value == fact.value else msgspec.structs.replace(fact, value=value)


def _redacted(value: Any, names: frozenset[str]) -> Any:
    """A value without what is never written down, by its name; the journal holds none of it, and neither does this."""
    if isinstance(value, dict):
        return {key: REDACTED if key in names else _redacted(part, names) for key, part in value.items()}
    return [_redacted(part, names) for part in value] if isinstance(value, (list, tuple)) else value
