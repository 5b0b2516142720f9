"""A run's entries, or a plan, as a side of a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from holdfast.core import events as e
from holdfast.core.approval import sameness
from holdfast.core.contract import Contract
from holdfast.core.evolve import fold
from holdfast.core.models import ZERO
from holdfast.core.plan import Plan, Step
from holdfast.core.policy import policy_title
from holdfast.core.state import ENDED, State, StepState, contract_of, status
from holdfast.views.compare.records import Ending, Side, StepSide
from holdfast.views.entries import failure_words
from holdfast.views.entries_people import asked_by, rule_words
from holdfast.views.runs import place_of
from holdfast.views.steps import step_words
from holdfast.views.words import FIELD_MAX, cut, listed

_OUTCOMES = (e.CallSucceeded, e.CallPartial, e.CallDeferred, e.CallFailed, e.CallUnknown)
# Beside what a step is called and calls.
_NO_STRATEGY = ("id", "tool", "args", "occurrence")


class _Past(msgspec.Struct):
    """What the entries say of one step that its state does not keep."""

    began_at: float | None = None
    ended_at: float = 0.0
    ended: bool = False
    cost: Decimal = ZERO
    approvals: list[str] = []
    last: int = 0


# --- a run --------------------------------------------------------------------------------------------------------


def run_side(name: str, entries: Sequence[e.Entry]) -> Side:
    """A run as these entries have it: all of its journal, or the first ones. At least one."""
    state = fold(entries)
    pasts = _pasts(entries, state)
    return Side(
        name=name, kind="run", run_id=state.run_id, entries=entries, contracts=state.contracts,
        steps=tuple(_run_step(state, state.steps[step], pasts.get(step, _Past())) for step in state.order),
        facts=_run_facts(state), status=status(state, state.at), reason=_why(state), result=state.result,
        source=state.fork.source if state.fork is not None else "",
        source_entry=state.fork.entry if state.fork is not None else 0,
        mode=state.fork.mode if state.fork is not None else "",
        seconds=entries[-1].at - entries[0].at,
    )  # fmt: skip


def entry_before(entries: Sequence[e.Entry], step: str) -> int:
    """How many entries a run has before the first one about a step; all of them where none is about it."""
    return next((entry.sequence - 1 for entry in entries if _step_of(entry.event, {}) == step), len(entries))


def _why(state: State) -> str:
    if state.ended:
        return state.reason
    return listed(asked.question for asked in state.interrupts.values())


def _run_step(state: State, step: StepState, past: _Past) -> StepSide:
    planned, contract = step.step, contract_of(state, step)
    called = step.args if step.attempt else None
    owed = state.pending.get(planned.id)
    parts = () if owed is None else (f"its {owed.about} is owed" + (f" by {cut(owed.by, FIELD_MAX)}" if owed.by else ""),)
    return StepSide(
        id=planned.id, tool=step.tool or planned.tool, args=planned.args, called=called, strategy=_strategy(planned),
        call=sameness(step.tool or planned.tool, planned.args if step.args is None else step.args, contract),
        ending=_ending(state, step), outcome=step_words(state, step), reason=_step_reason(state, step), attempts=step.attempt,
        result=step.value if step.phase == "done" else None, settled_by=step.settled_by, approvals=tuple(past.approvals),
        seconds=past.ended_at - past.began_at if past.began_at is not None and past.ended else None, cost=past.cost,
        pending=(*parts, *(f"{item} is left" for item in step.left)), last=past.last,
    )  # fmt: skip


def _ending(state: State, step: StepState) -> Ending:
    place = place_of(state, step, live=False)
    if place == "unknown":
        return "unknown"
    if step.phase == "done":
        return "undone" if place == "undone" else "part" if step.left else "done"
    if step.phase in ENDED:
        return "failed" if step.phase == "failed" or step.failure is not None else "skipped"
    return "planned" if step.phase in ("blocked", "ready") else "open"


def _step_reason(state: State, step: StepState) -> str:
    if step.phase == "done":
        return ""
    if step.interrupt is not None and step.interrupt in state.interrupts:
        return state.interrupts[step.interrupt].question
    return step.reason or ("" if step.failure is None else failure_words(step.failure))


def _strategy(step: Step) -> dict[str, Any]:
    """All that a step is beside its name and its call, as JSON without what is as by default."""
    parts: dict[str, Any] = msgspec.to_builtins(step)
    found = {name: value for name, value in parts.items() if name not in _NO_STRATEGY}
    return found | ({"occurrence": step.occurrence} if step.occurrence != 1 else {})


def _step_of(event: e.AnyEvent, asked: dict[str, str]) -> str:
    """The step that an entry is about; empty where it is about none. asked: that interrupts are about."""
    name = getattr(event, "step", "")
    if isinstance(name, str) and name:
        return name
    interrupt = getattr(event, "interrupt", "")
    return asked.get(interrupt, "") if isinstance(interrupt, str) else ""


def _pasts(entries: Iterable[e.Entry], state: State) -> dict[str, _Past]:
    pasts: dict[str, _Past] = {}
    asked: dict[str, str] = {}
    for entry in entries:
        event = entry.event
        if isinstance(event, e.Asked):
            asked[event.interrupt] = event.step
        name = _step_of(event, asked)
        if not name:
            continue
        past = pasts.setdefault(name, _Past())
        past.last = entry.sequence
        if isinstance(event, e.CallIntended):
            past.began_at = entry.at if past.began_at is None else past.began_at
        if not past.ended:
            past.ended_at = entry.at
            past.ended = isinstance(event, e.CallSucceeded | e.CallPartial | e.StepFailed | e.StepSkipped | e.StepDoneByHand)
        if isinstance(event, _OUTCOMES):
            past.cost += _cost(event, state, name)
        elif isinstance(event, e.ChildEnded) and event.spent is not None:
            past.cost += event.spent.cost_usd
        if words := _people_words(event):
            past.approvals.append(words)
    for name, past in pasts.items():
        past.ended = past.ended or (name in state.steps and state.steps[name].phase in ENDED)
    return pasts


def _cost(event: e.AnyEvent, state: State, step: str) -> Decimal:
    """What a call cost, as it says or as it was declared."""
    usage = getattr(event, "spent", None)
    if usage is not None:
        return Decimal(usage.cost_usd)
    contract = contract_of(state, state.steps[step]) if step in state.steps else None
    declared = contract.cost_usd if contract is not None and not isinstance(event, e.CallDeferred) else None
    return ZERO if declared is None else declared


def _people_words(event: e.AnyEvent) -> str:
    """What an entry says of who was asked and what they said."""
    match event:
        case e.Asked(kind=kind, ruling=ruling):
            # What was drawn for a sample is another number in each run.
            return f"{kind} asked" + (f", by {rule_words(ruling)}" if ruling is not None and asked_by(event) else "")
        case e.Answered(decision=decision, by=by, standing=standing):
            return f"{decision} by {cut(by, FIELD_MAX)}" + (", by a standing approval" if standing else "")
        case e.ApprovalGiven(by=by):
            return f"approved by {cut(by, FIELD_MAX)}, and more must"
        case e.InterruptExpired():
            return "nobody answered in time"
        case e.InterruptWithdrawn():
            return "not asked any more"
        case e.Escalated(kind=kind):
            return "to be taken over by others" if kind == "handoff" else "the next ones asked"
        case e.PolicyRuled(ruling=ruling):
            return ("blocked" if ruling.verdict == "block" else "nobody asked") + f", by {rule_words(ruling)}"
        case e.StepDoneByHand(by=by):
            return f"done by hand by {cut(by, FIELD_MAX)}"
        case _:
            return ""


def _run_facts(state: State) -> dict[str, Any]:
    """All that is compared of a run as a whole, in the order in which it is shown."""
    spent = state.spent
    return {
        "agent": state.agent,
        "version": state.agent_version,
        "goal": state.goal.text,
        "inputs": state.goal.inputs,
        "on_stop": state.on_stop,
        "limits": msgspec.to_builtins(state.limits),
        "policy": None if state.policy is None else {"title": policy_title(state.policy), **msgspec.to_builtins(state.policy)},
        "models": None if state.thinking is None else msgspec.to_builtins(state.thinking),
        "accept": None if state.accept is None else msgspec.to_builtins(state.accept),
        "result form": state.result_form,
        "status": status(state, state.at),
        "reason": _why(state) or None,
        "result": state.result,
        "unknown": list(state.unknown),
        "undone": list(state.undone),
        "plans": state.revision,
        "steps": len(state.order),
        "attempts": state.attempts,
        "effects": state.effects,
        "questions": state.asked,
        "changes": {name: state.changes[name] for name in sorted(state.changes)},
        "cost": str(spent.cost_usd),
        "tokens": spent.tokens,
        "requests": spent.requests,
    }


# --- plans --------------------------------------------------------------------------------------------------------


def plan_side(name: str, plan: Plan, facts: dict[str, Any] | None = None) -> Side:
    """A plan, such as a file has it. facts: what else is said there of agent, goal, limits and so on, as `run_side` names it."""
    return Side(
        name=name, kind="plan", steps=tuple(_planned(step, None) for step in plan.steps),
        facts={**(facts or {}), "result form": plan.result},
    )  # fmt: skip


def revision_side(name: str, entries: Sequence[e.Entry], revision: int) -> Side | None:
    """The plan of a run as its revision `revision` had it: all steps up to then that were not dropped; None where there is
    none."""
    contracts: dict[str, Contract] = {}
    steps: dict[str, Step] = {}
    result: Any = None
    for entry in entries:
        event = entry.event
        if isinstance(event, e.RunStarted | e.AgentChanged | e.RunForked):
            contracts = {contract.tool: contract for contract in event.contracts}
        elif isinstance(event, e.PlanAdopted):
            for dropped in event.dropped:
                steps.pop(dropped, None)
            steps |= {step.id: step for step in event.plan.steps}
            result = event.plan.result
            if event.revision == revision:
                planned = tuple(_planned(step, contracts.get(step.tool)) for step in steps.values())
                return Side(name=name, kind="plan", steps=planned, facts={"result form": result})
    return None


def _planned(step: Step, contract: Contract | None) -> StepSide:
    return StepSide(
        id=step.id, tool=step.tool, args=step.args, strategy=_strategy(step), call=sameness(step.tool, step.args, contract),
        outcome="planned",
    )  # fmt: skip
