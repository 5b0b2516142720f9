"""What a commit says to the store about people: what is open, what was ruled, and what came of it.

It is read off the decision, like what is owed; the journal stays the truth, and these rows can be made from it again. What is
long there is not written once more here.
"""

from __future__ import annotations

from typing import Any

from holdfast.core import events as e
from holdfast.core.contract import Contract, digest
from holdfast.core.ladder import next_due
from holdfast.core.policy import Ruling
from holdfast.core.proposed import proposed_call, proposed_plan
from holdfast.core.state import Standing, State
from holdfast.journal.people import Decided, Judged, OpenInterrupt, listed

_RULED = (e.PolicyRuled, e.Asked)


def opened(before: State, after: State, events: tuple[e.AnyEvent, ...]) -> tuple[tuple[OpenInterrupt, ...], tuple[str, ...]]:
    """What is asked from now on or has changed, and what is not asked any more. When a run is taken on, all that it asks: it may
    have been asked by a release that listed nothing."""
    taken_on = any(isinstance(event, e.RunResumed) for event in events)
    if after.interrupts is before.interrupts and after.standings is before.standings and not taken_on:
        return (), ()
    changed = [
        _row(after, name, asked)
        for name, asked in after.interrupts.items()
        if taken_on or before.interrupts.get(name) is not asked or before.standings.get(name) is not after.standings[name]
    ]
    return tuple(changed), tuple(name for name in before.interrupts if name not in after.interrupts)


def _row(state: State, name: str, asked: e.Asked) -> OpenInterrupt:
    standing = state.standings[name]
    contract = state.contracts.get(asked.tool)
    ruling = asked.ruling
    return OpenInterrupt(
        run_id=state.run_id,
        interrupt=name,
        kind=asked.kind,
        about=asked.about,
        agent=state.agent,
        question=asked.question,
        digest=asked.digest,
        asked_at=standing.asked_at,
        expires_at=asked.expires_at,
        tenant=state.tenant,
        priority=state.priority,
        tool=asked.tool,
        step=asked.step,
        args=listed(asked.args),
        options=tuple(option.decision for option in asked.options),
        rule=ruling.rule if ruling is not None and asked.about in ("call", "plan") else asked.about,
        policy=ruling.policy if ruling is not None else "",
        amount=asked.amount,
        who=asked.who,
        not_by=asked.not_by,
        people=asked.people,
        approvals=standing.approvals,
        rung=standing.rung,
        due_at=_due_at(asked, standing),
        contract=digest(contract) if contract is not None else "",
        standing=ruling is None or ruling.standing,
    )


def _due_at(asked: e.Asked, standing: Standing) -> float | None:
    if asked.ladder is None:
        return None
    due = next_due(
        asked.ladder, rung=standing.rung, since=standing.since, reminded=standing.reminded, handed_off=standing.handed_off
    )
    return min(due.at, asked.expires_at)


def judged(after: State, events: tuple[e.AnyEvent, ...], first: int, now: float) -> tuple[Judged, ...]:
    """The rulings among the events of a commit, and the questions. first: the number of the first event in the journal."""
    found = []
    for offset, event in enumerate(events):
        if isinstance(event, _RULED):
            found.append(_judged(after, event, events, first + offset, now))
    return tuple(found)


def _judged(state: State, event: e.PolicyRuled | e.Asked, events: tuple[e.AnyEvent, ...], entry: int, now: float) -> Judged:
    asked = event if isinstance(event, e.Asked) else None
    ruling = event.ruling or Ruling(rule=asked.about if asked is not None else "", verdict="always", asks=True)
    if asked is not None:
        about, args = asked.about, asked.args
    else:
        about, args = ("call" if event.step else "plan"), _args(state, event.step, events)
    by_policy = about in ("call", "plan")
    contract = state.contracts.get(event.tool)
    document = _document(state, about, event.step, contract, args)
    return Judged(
        run_id=state.run_id,
        entry=entry,
        at=now,
        agent=state.agent,
        rule=ruling.rule if by_policy else about,
        verdict=ruling.verdict if by_policy else "always",
        asked=asked is not None,
        about=about,
        kind=asked.kind if asked is not None else "",
        tenant=state.tenant,
        step=event.step,
        tool=event.tool,
        policy=ruling.policy,
        draw=ruling.draw if by_policy else None,
        rate=ruling.rate if by_policy else None,
        amount=asked.amount if asked is not None else document.get("amount"),
        document=_listed(document),
        interrupt=asked.interrupt if asked is not None else "",
    )


def _listed(document: dict[str, Any]) -> dict[str, Any]:
    """A document without the long values of what has names in it: arguments, inputs, facts, labels."""
    return {name: listed(part) if isinstance(part, dict) else part for name, part in document.items()}


def _args(state: State, step: str, events: tuple[e.AnyEvent, ...]) -> dict[str, Any]:
    """The arguments of a call that was ruled on and not asked about: they stand in its intent, or in what blocked it."""
    for event in events:
        if isinstance(event, (e.CallIntended, e.PolicyRuled)) and event.step == step and event.args:
            return event.args
    return (state.steps[step].args if step in state.steps else None) or {}


def _document(state: State, about: str, step: str, contract: Contract | None, args: dict[str, Any]) -> dict[str, Any]:
    if about == "call" and step in state.steps and contract is not None:
        return proposed_call(state, state.steps[step], contract, args)
    if about == "plan" and state.unjudged is not None:
        return proposed_plan(state, state.unjudged)
    return {}


def decided(before: State, after: State, events: tuple[e.AnyEvent, ...], now: float) -> tuple[Decided, ...]:
    """What came of questions that are not open any more; also of those that were asked in this very commit."""
    asked = tuple(event.interrupt for event in events if isinstance(event, e.Asked))
    if after.interrupts is before.interrupts and not asked:
        return ()
    words = {
        event.interrupt: event for event in events if isinstance(event, (e.Answered, e.InterruptExpired, e.InterruptWithdrawn))
    }
    return tuple(
        _decided(_approvals(before, events, name), name, words.get(name), now)
        for name in dict.fromkeys((*before.interrupts, *asked))
        if name not in after.interrupts
    )


def _approvals(before: State, events: tuple[e.AnyEvent, ...], name: str) -> tuple[str, ...]:
    """Who approved before the last one did, in this commit too."""
    standing = before.standings.get(name)
    given = (event.by for event in events if isinstance(event, e.ApprovalGiven) and event.interrupt == name)
    return (*(standing.approvals if standing is not None else ()), *given)


def _decided(approvals: tuple[str, ...], name: str, event: e.AnyEvent | None, now: float) -> Decided:
    if isinstance(event, e.Answered):
        return Decided(
            interrupt=name,
            decision=event.decision,
            at=event.said_at or now,
            by=(*approvals, event.by),
            edited=listed(event.value) if event.decision == "edit" and isinstance(event.value, dict) else None,
            note=event.note,
            seen_at=event.seen_at,
            bulk=event.bulk,
            standing=event.standing,
        )
    if isinstance(event, e.InterruptExpired):
        return Decided(interrupt=name, decision="expired", at=now)
    reason = event.reason if isinstance(event, e.InterruptWithdrawn) else "settled without an answer"
    return Decided(interrupt=name, decision="withdrawn", at=now, note=reason)


def commented(events: tuple[e.AnyEvent, ...]) -> tuple[str, ...]:
    """The interrupts that somebody remarked on, once for each remark."""
    return tuple(event.interrupt for event in events if isinstance(event, e.Commented))
