"""Forks: what of a source's record is taken over, what a fork has to ask about, and what a simulated call comes to.

A fork's journal begins with the entries of its source, up to the point; then comes `RunForked`, and with it what the source
learned later of calls that it had begun by then (`carried`): they are the source's effects, and are neither made again nor
doubted where the answer is known. From there on the fork has keys of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jmespath
from rpds import HashTrieMap

from holdfast.core import events as e
from holdfast.core.approval import sameness
from holdfast.core.commands import CallTool, RunProbe
from holdfast.core.contract import Contract
from holdfast.core.policy import Rule
from holdfast.core.state import ENDED, CountMap, PlacesMap, State, StepState, contract_of

# What asks in a fork: the words that stand for a rule then.
FORK_ASKS, SOURCE_ASKS = "a fork asks", "the source did it"
# How the failure of a simulated call begins that nobody has an answer to.
NO_ANSWER = "the simulation knows no answer"
_OUTCOMES = (e.CallSucceeded, e.CallPartial, e.CallDeferred, e.CallFailed, e.CallUnknown)
# How the calls that a step of the source made are named in `State.fork_record`; a call is named by a digest.
_IN_STEP = "step:"
# Steps of which the source may have learned later what became of their calls.
_OPEN = frozenset({"flying", "doubt", "probing", "probe_wait", "owed"})


def recorded(entries: Sequence[e.Entry], state: State, point: int, *, whole: bool) -> tuple[e.Recorded, ...]:
    """The calls of a run, `entries` and `state` its whole journal and what that comes to, that a fork after the entry `point`
    is to know: those that change the world and were made after it, or (whole) all of them. Where the run is a fork itself, what
    it was told of its own source counts too."""
    calls: dict[tuple[str, int], e.Recorded] = {}
    told: list[e.Recorded] = []
    for entry in entries:
        event = entry.event
        if isinstance(event, e.RunForked):
            told += (_with(call, run=call.run or event.source) for call in event.recorded if call.after)
        elif isinstance(event, e.CallIntended):
            contract = state.contracts.get(event.tool)
            if whole or (entry.sequence > point and (contract is None or contract.safety != "read")):
                calls[event.step, event.attempt] = _intended(entry, event, contract, point)
        elif isinstance(event, _OUTCOMES) and (event.step, event.attempt) in calls:
            call = calls[event.step, event.attempt]
            calls[event.step, event.attempt] = _with(call, outcome=event)
    return (*told, *(_settled(call, state) for call in calls.values()))


def carried(entries: Sequence[e.Entry], state: State, at_point: State) -> tuple[e.AnyEvent, ...]:
    """What the source, with this whole journal and final state, learned after the point of calls that were open there, as the
    events that tell a fork. at_point: what was known then."""
    later = {
        (entry.event.step, entry.event.attempt): entry.event
        for entry in entries[at_point.version :]
        if isinstance(entry.event, _OUTCOMES)
    }
    told: list[e.AnyEvent] = []
    for name in at_point.order:
        step = at_point.steps[name]
        if step.phase not in _OPEN and not _is_in_doubt(step) and not _is_asked_about(at_point, step):
            continue
        outcome = later.get((name, step.attempt)) if step.phase == "flying" else None
        if outcome is not None and not (isinstance(outcome, e.CallUnknown) and outcome.crashed):
            told.append(outcome)
            if not isinstance(outcome, (e.CallDeferred, e.CallUnknown)):
                continue
        after = state.steps.get(name)
        if after is not None and after.phase == "done" and after.key == step.key and after.settled_by not in ("", "reuse"):
            told.append(_delivered(state, after))
    return (*told, *_rests_settled(state, at_point))


def _rests_settled(state: State, at_point: State) -> Iterator[e.AnyEvent]:
    """Of what was owed to steps that were done: that it came, where the source learned so."""
    for name, owed in at_point.pending.items():
        after = state.steps[name]
        if owed.about != "result" and name not in state.pending and name not in state.flagged and not after.left:
            yield _delivered(state, after)


def _delivered(state: State, step: StepState) -> e.CallbackReceived:
    return e.CallbackReceived(step=step.step.id, key=step.key, value=step.value, by=f"the record of {state.run_id}")


def _is_in_doubt(step: StepState) -> bool:
    """Whether its call is to be made again, or given up, though it may have happened."""
    return step.phase not in ENDED and step.doubt_since is not None


def _is_asked_about(state: State, step: StepState) -> bool:
    return step.interrupt is not None and state.interrupts[step.interrupt].about in ("doubt", "owed")


def _intended(entry: e.Entry, event: e.CallIntended, contract: Contract | None, point: int) -> e.Recorded:
    return e.Recorded(
        entry=entry.sequence,
        step=event.step,
        tool=event.tool,
        key=event.key,
        call=sameness(event.tool, event.args, contract),
        after=entry.sequence > point,
    )


def _settled(call: e.Recorded, state: State) -> e.Recorded:
    step = state.steps.get(call.step)
    if step is None or step.key != call.key or step.phase != "done" or step.settled_by in ("", "call", "reuse"):
        return call
    return _with(call, came=step.value, came_by=step.settled_by)


def _with(call: e.Recorded, **changes: Any) -> e.Recorded:
    return e.Recorded(**{name: getattr(call, name) for name in call.__struct_fields__} | changes)


# --- what a fork asks about ---------------------------------------------------------------------------------------


def fork_gate(state: State, step: StepState, contract: Contract, args: dict[str, Any]) -> Rule | None:
    """The rule by which a person is asked before a call of a fork: in a blocked one about each that changes the world, in a live
    one about what its source did. None in a simulation, where no call is made, and for what only reads."""
    fork = state.fork
    if fork is None or fork.mode == "simulate" or contract.safety == "read":
        return None
    did = did_before(state, step, contract, args)
    if fork.mode == "live" and did is None:
        return None
    # What people said in advance, they said of the runs that they knew of; and who was to be asked with others still is.
    name = SOURCE_ASKS if did is not None else FORK_ASKS
    return Rule(name=name, who=contract.approvers, people=max(step.was_asked, 1), standing=False)


def did_before(state: State, step: StepState, contract: Contract, args: dict[str, Any]) -> e.Recorded | None:
    """The call of the source that did, or may have done, what this one is to do: the same one, or another one in its place."""
    return done_by_source(state, sameness(step.tool, args, contract)) or done_in_step(state, step)


def done_by_source(state: State, call: str) -> e.Recorded | None:
    """The last of the same calls of the source that was done, or may have been; None where there is none, or all failed."""
    if state.fork is None:
        return None
    found = [state.fork.recorded[place] for place in state.fork_record.get(call) or ()]
    return next((one for one in reversed(found) if was_done(one)), None)


def done_in_step(state: State, step: StepState) -> e.Recorded | None:
    """The last call of the source by this step, or by one that stands in for it, whatever its tool and arguments, that was done
    after the point, or may have been: who pays the same person another amount, or by another bank, has paid them twice."""
    if state.fork is None:
        return None
    name, others = step.step.id, state.stand_ins
    names = (name, *_instead_of(name, others)) if others else (name,)
    places = sorted(place for each in names for place in state.fork_record.get(f"{_IN_STEP}{each}") or ())
    found = (state.fork.recorded[place] for place in reversed(places))
    return next((one for one in found if was_done(one)), None)


def _instead_of(name: str, others: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """The steps of which at most one is done, besides this one: see `plan.stand_ins`."""
    for original, instead in others.items():
        if name in (original, *instead):
            yield from (original, *instead)


def places(recorded: Sequence[e.Recorded]) -> PlacesMap:
    """Where a record has each call, what the source did after the point first, for that is what happened next; and where it has
    the calls that each step made after the point."""
    found: dict[str, list[int]] = {}
    for number in sorted(range(len(recorded)), key=lambda number: not recorded[number].after):
        found.setdefault(recorded[number].call, []).append(number)
        if recorded[number].after:
            found.setdefault(f"{_IN_STEP}{recorded[number].step}", []).append(number)
    return HashTrieMap({call: tuple(numbers) for call, numbers in found.items()})


def known_result(state: State, asked: e.Asked) -> e.Recorded | None:
    """The call of the source whose result can be taken for the one that a person is asked about; None where there is none."""
    if state.fork is None or not asked.tool or asked.about not in ("call", "doubt", "failure", "owed"):
        return None
    call = sameness(asked.tool, asked.args, state.contracts.get(asked.tool))
    found = [state.fork.recorded[place] for place in state.fork_record.get(call) or ()]
    return next((one for one in reversed(found) if one.came_by or isinstance(one.outcome, e.CallSucceeded)), None)


def result_in(call: e.Recorded) -> Any:
    """What came of a call of the source that has a result."""
    if call.came_by:
        return call.came
    assert isinstance(call.outcome, e.CallSucceeded), "a call without a result"
    return call.outcome.value


def was_done(call: e.Recorded) -> bool:
    """Whether a call of the source had its effect, or may have had it."""
    return not isinstance(call.outcome, e.CallFailed) or call.outcome.failure.landed or bool(call.came_by)


# --- simulation ---------------------------------------------------------------------------------------------------


def is_simulated(state: State) -> bool:
    """Whether no call of this run is made, and what it says happened did not happen."""
    return state.fork is not None and state.fork.mode == "simulate"


def chosen(state: State, event: e.CallIntended, contract: Contract | None) -> CountMap:
    """The counts of a simulated run after the intent of a call, with what that call comes to: under `step:NAME` its place in the
    record, or the line of the script, counted from -1 downwards. The n-th call that is the same as calls of the record comes to
    what the n-th of those came to, and after the last of them to that again; another one to what the script says."""
    assert state.fork is not None, "only a fork is simulated"
    call = sameness(event.tool, event.args, contract)
    counts, places = state.fork_calls, state.fork_record.get(call) or ()
    made = (counts.get(call) or 0) + 1
    counts = counts.insert(call, made)
    if places:
        return counts.insert(f"step:{event.step}", places[min(made, len(places)) - 1])
    line = _line(state, event.tool, event.args)
    if line is None:
        return counts.discard(f"step:{event.step}")
    taken = f"script:{line}"
    return counts.insert(taken, (counts.get(taken) or 0) + 1).insert(f"step:{event.step}", -1 - line)


def simulated(state: State, command: CallTool | RunProbe) -> e.AnyEvent:
    """What a command of a simulated run comes to; `state` has its intent (see `chosen`). A call that neither the record nor the
    script knows fails, and says so."""
    assert state.fork is not None, "only a fork is simulated"
    if isinstance(command, RunProbe):
        return _probed(state, command)
    place = state.fork_calls.get(f"step:{command.step}")
    if place is None:
        said = f"{NO_ANSWER}: neither the record of {state.fork.source} nor the script has such a call"
        return _as_failed(command, "not_found", said)
    if place >= 0:
        return _as_recorded(state.fork.recorded[place], command)
    answer = state.fork.script[-1 - place]
    if answer.fails is not None:
        return _as_failed(command, answer.fails, answer.message)
    return e.CallSucceeded(step=command.step, attempt=command.attempt, value=answer.result)


def _line(state: State, tool: str, args: dict[str, Any]) -> int | None:
    """The line of the script that answers a call; None where none does. A line whose condition cannot be worked out does not."""
    assert state.fork is not None
    for number, line in enumerate(state.fork.script):
        taken = state.fork_calls.get(f"script:{number}") or 0
        if line.tool == tool and (not line.times or taken < line.times) and _holds(line.when, args):
            return number
    return None


def _holds(when: str, args: dict[str, Any]) -> bool:
    try:
        return not when or jmespath.search(when, args) is True
    except Exception:  # noqa: BLE001 — whatever the library thinks of an expression.
        return False


def _as_recorded(call: e.Recorded, command: CallTool) -> e.AnyEvent:
    outcome = call.outcome
    if call.came_by and not isinstance(outcome, e.CallFailed):
        return e.CallSucceeded(step=command.step, attempt=command.attempt, value=call.came)
    if outcome is None:
        return e.CallUnknown(step=command.step, attempt=command.attempt, why="the source never learned what came of it")
    fields = {name: getattr(outcome, name) for name in outcome.__struct_fields__}
    return type(outcome)(**fields | {"step": command.step, "attempt": command.attempt})


def _as_failed(command: CallTool, kind: e.FailureKind, message: str) -> e.CallFailed:
    return e.CallFailed(step=command.step, attempt=command.attempt, failure=e.Failure(kind=kind, message=message))


def _probed(state: State, command: RunProbe) -> e.ProbeAnswered:
    """Nothing of a simulated call happened in the world, so there is nothing to look at but what the record knows of it."""
    step = state.steps[command.step]
    contract = contract_of(state, step)
    call = sameness(command.tool, command.args, contract)
    known = done_by_source(state, call)
    if known is not None and known.came_by:
        return e.ProbeAnswered(step=command.step, probe=command.probe, verdict="happened", value=known.came)
    said = "it is simulated, and the record does not know what became of it"
    return e.ProbeAnswered(step=command.step, probe=command.probe, verdict="cannot_tell", message=said)
