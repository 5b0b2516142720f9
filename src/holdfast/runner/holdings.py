"""What a commit takes of, and gives back to, what the runs of a store share: places, gates, tokens, what is owed.

It is read off the decision: intents take, outcomes and rulings give back. All of it goes into the commit that carries the
events, and none of it is looked at where no contract asks for it.
"""

from __future__ import annotations

from collections import Counter

from holdfast.core import events as e
from holdfast.core.commands import AskReasoner, CallTool, Command, once_name, once_seconds
from holdfast.core.contract import Contract
from holdfast.core.decide import Room
from holdfast.core.diagnosis import health
from holdfast.core.pending import Pending
from holdfast.core.state import State, StepState
from holdfast.core.thinking import Thinking, gate_name
from holdfast.core.tokens import token_digest, token_for
from holdfast.journal.base import Full, Gated, Heard, Owed, Slot, Token

_CALL_OUTCOMES = (e.CallSucceeded, e.CallPartial, e.CallDeferred, e.CallFailed, e.CallUnknown)


def shares(contracts: dict[str, Contract], thinking: Thinking | None = None) -> bool:
    """Whether any of these tools, or the models, ask for something that runs share."""
    return (thinking is not None and thinking.breaker is not None) or any(
        contract.parallel_max is not None
        or contract.rate is not None
        or contract.breaker is not None
        or contract.business_scope == "store"
        for contract in contracts.values()
    )


def slots(state: State, commands: tuple[Command, ...], tenant_capacity: int | None, now: float) -> tuple[Slot, ...]:
    """The places that calls need: of their tool, of their tenant, and the one place that a business key has in a store."""
    found: list[Slot] = []
    for command in commands:
        if type(command) is not CallTool:
            continue
        contract = command.contract
        if contract.parallel_max is not None:
            found.append(Slot(name=f"tool:{command.tool}", step=command.step, capacity=contract.parallel_max))
        if tenant_capacity is not None:
            found.append(Slot(name=f"tenant:{state.tenant}", step=command.step, capacity=tenant_capacity))
        if (once := once_name(contract, command.args)) is not None:
            # The run holds it, whichever of its steps makes the call.
            found.append(Slot(name=once, step=once, capacity=1, until=now + once_seconds(contract)))
    return tuple(found)


def freed(before: State, events: tuple[e.AnyEvent, ...], tenant_capacity: int | None) -> tuple[str, ...]:
    """Steps whose calls have ended in these events, where a call may hold a place at all."""
    return tuple(
        event.step
        for event in events
        if isinstance(event, _CALL_OUTCOMES) and (tenant_capacity is not None or _has(before, event.step, "parallel_max"))
    )


def settled(after: State, events: tuple[e.AnyEvent, ...]) -> tuple[str, ...]:
    """The places of business keys that the run gives back: nothing of what was done under them is owed or in doubt any more."""
    if not any(contract.business_scope == "store" for contract in after.contracts.values()):
        return ()
    # What is planned for a check is a whole step; nothing was done by it yet.
    said = (getattr(event, "step", "") for event in events)
    names = dict.fromkeys(name for name in said if isinstance(name, str) and name in after.steps)
    concerned = {once for name in names if (once := _once_of(after, after.steps[name])) is not None}
    if not concerned:
        return ()
    busy = {
        once
        for name in dict.fromkeys((*after.active, *after.pending))
        if (step := after.steps[name]).key and (once := _once_of(after, step)) is not None
    }
    return tuple(sorted(concerned - busy))


def _once_of(state: State, step: StepState) -> str | None:
    contract = state.contracts.get(step.tool)
    return once_name(contract, step.args or {}) if contract is not None else None


def gated(before: State, commands: tuple[Command, ...]) -> tuple[Gated, ...]:
    """The calls that must pass the gates of their tools, and the turn of the step that stood in line for them."""
    calls: Counter[str] = Counter()
    contracts: dict[str, Contract] = {}
    turns: dict[str, float] = {}
    for command in commands:
        if type(command) is CallTool and (command.contract.rate is not None or command.contract.breaker is not None):
            calls[command.tool] += 1
            contracts[command.tool] = command.contract
            step = before.steps.get(command.step)
            if step is not None and step.held_since is not None:
                turns[command.tool] = min(step.due_at, turns.get(command.tool, step.due_at))
    return (
        *_gated_models(before, commands),
        *(
            Gated(tool=tool, calls=count, rate=contracts[tool].rate, breaker=contracts[tool].breaker, turn=turns.get(tool))
            for tool, count in calls.items()
        ),
    )


def _gated_models(before: State, commands: tuple[Command, ...]) -> list[Gated]:
    """The requests to models: a provider that is down is left alone by all runs of the store."""
    breaker = before.thinking.breaker if before.thinking is not None else None
    if breaker is None:
        return []
    asked = [command.terms for command in commands if type(command) is AskReasoner and command.terms is not None]
    return [Gated(tool=gate_name(terms), calls=1, rate=None, breaker=breaker) for terms in asked]


def heard(before: State, events: tuple[e.AnyEvent, ...]) -> tuple[Heard, ...]:
    """What the gates of tools learn from the outcomes of calls."""
    found: list[Heard] = []
    for event in events:
        if isinstance(event, (e.ModelAnswered, e.ModelFailed)):
            found.extend(_heard_of_model(before, event))
        if not isinstance(event, _CALL_OUTCOMES):
            continue
        tool = before.steps[event.step].tool
        contract = before.contracts.get(tool)
        if contract is None or (contract.rate is None and contract.breaker is None):
            continue
        wait = event.failure.retry_after_seconds if isinstance(event, e.CallFailed) else None
        found.append(Heard(tool=tool, outcome=health(event), breaker=contract.breaker, retry_after_seconds=wait))
    return tuple(found)


def _heard_of_model(before: State, event: e.ModelAnswered | e.ModelFailed) -> list[Heard]:
    thinking = before.thinking
    if thinking is None or thinking.breaker is None or event.model not in thinking.models:
        return []
    wait = event.failure.retry_after_seconds if isinstance(event, e.ModelFailed) else None
    name = gate_name(thinking.models[event.model])
    return [Heard(tool=name, outcome=health(event), breaker=thinking.breaker, retry_after_seconds=wait)]


def tokens(
    secret: bytes, state: State, commands: tuple[Command, ...], events: tuple[e.AnyEvent, ...], now: float
) -> tuple[Token, ...]:
    """The tokens by which results may be delivered: from the moment the call is intended, so that none can come too early.
    They live as long as somebody may still care: a person who is asked at the deadline is helped by a late delivery."""
    patience = state.limits.person_seconds
    found = [
        _token(secret, state.run_id, c.step, c.key, now + c.contract.timeout_seconds + c.contract.owed_within_seconds + patience)
        for c in commands
        if type(c) is CallTool and c.contract.callback
    ]
    for event in events:
        if not isinstance(event, (e.CallDeferred, e.CallPartial)) or not _has(state, event.step, "callback"):
            continue
        if (owed := state.pending.get(event.step)) is not None:
            found.append(_token(secret, state.run_id, event.step, owed.key, owed.until + patience))
    return tuple(found)


def _token(secret: bytes, run_id: str, step: str, key: str, expires_at: float) -> Token:
    return Token(digest=token_digest(token_for(secret, run_id, key)), step=step, key=key, expires_at=expires_at)


def owed(before: State, after: State) -> tuple[tuple[Owed, ...], tuple[str, ...]]:
    """What is owed from now on or has changed, and the steps to which nothing is owed any more."""
    if after.pending is before.pending:
        return (), ()
    changed = tuple(_row(pending) for name, pending in after.pending.items() if before.pending.get(name) is not pending)
    return changed, tuple(name for name in before.pending if name not in after.pending)


def _row(pending: Pending) -> Owed:
    return Owed(
        step=pending.step,
        tool=pending.tool,
        about=pending.about,
        by=pending.by,
        key=pending.key,
        since=pending.since,
        until=pending.until,
        due_at=min(pending.due_at or pending.until, pending.until),
    )


def room(full: Full, before: Room) -> Room:
    """What there is no room for, after the store has said so. A tenant's places are those of all tools together."""
    free, holders = dict(before.free), dict(before.holders)
    names = [("" if name.startswith("tenant:") else name.removeprefix("tool:")) for name in full.names]
    free.update(zip(names, full.free, strict=True))
    holders.update(zip(names, full.holders, strict=False))
    return Room(free=free, held={**before.held, **full.held}, holders=holders)


def _has(state: State, step: str, promise: str) -> bool:
    contract = state.contracts.get(state.steps[step].tool)
    return contract is not None and bool(getattr(contract, promise))
