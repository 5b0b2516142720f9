"""Laws about what is owed, what the runs of a store share, what is taken back, and who started whom.

Like those in `laws.py` they are made from what was written, what the world saw and what the contracts promise. Times are those
of the commits. Where the clock was set back, two workers do not agree on what a stretch of time is: then nothing is said
about rates and circuits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from holdfast.core import events as e
from holdfast.core.contract import Breaker, digest
from holdfast.core.state import State
from holdfast.journal.base import REFUSALS_MAX, Delivery
from holdfast.testing.memory import MemoryStore
from holdfast.testing.simulation.tools import UNDO, UNDOABLE
from holdfast.testing.world import Effect, World

_SLACK = 0.002
_OUTCOMES = (e.CallSucceeded, e.CallPartial, e.CallDeferred, e.CallFailed, e.CallUnknown)
_UNDER_WAY = frozenset({"flying", "doubt", "probe_wait", "probing", "owed"})
# Far longer than a run is ever left alone, clock jumps included.
_UNATTENDED = 110.0
# How long a call that finds out whether a circuit may close is waited for.
_TRIAL_SECONDS = 60.0


class Circuit(msgspec.Struct):
    """What an outsider knows of a tool's circuit. trial_at: when the last call was made to find out, until it ended."""

    failures: list[float] = []
    open_until: float = 0.0
    trial_at: float | None = None


class Stage(Protocol):
    """What must be known of the seed that is played."""

    @property
    def world(self) -> World: ...

    @property
    def store(self) -> MemoryStore: ...

    @property
    def set_back(self) -> bool: ...

    @property
    def skew(self) -> float: ...

    def broken(self, law: str, what: str) -> None: ...


class Reader(Protocol):
    """Who reads along, and knows the states and what was waited for in vain."""

    states: dict[str, State]

    def overdue(self, run_id: str, step: str) -> list[str]: ...


class Promises:
    """See the module's text."""

    def __init__(self, stage: Stage, laws: Reader):
        self._stage = stage
        self._laws = laws
        self._sent: dict[str, list[float]] = {}
        self._circuits: dict[str, Circuit] = {}
        self._taken: Counter[str] = Counter()
        self._refused: dict[str, Counter[str]] = {}
        self._delivered: dict[tuple[str, str], str] = {}
        self._heard: Counter[tuple[str, str]] = Counter()
        self._done_at: dict[tuple[str, str], int] = {}
        self._undone_last: dict[str, int] = {}
        self._keys: dict[tuple[str, str], set[str]] = {}
        self._children: dict[tuple[str, str], list[str]] = {}
        self._child_ends: Counter[str] = Counter()
        self._changes: dict[str, Counter[str]] = {}
        self._looked_at: dict[tuple[str, str], float] = {}
        self._repeats: Counter[tuple[str, str]] = Counter()
        self._failed: dict[tuple[str, str, int], str] = {}
        self._order: list[str] = []  # Runs, as they ended.
        self._too_late: set[str] = set()  # Those that took back what they did when somebody said what is to become of it.

    def _break(self, law: str, what: str) -> None:
        self._stage.broken(law, what)

    # --- what is written ------------------------------------------------------------------------------------------

    def begun(self, event: e.RunStarted) -> None:
        """A run is in the store."""
        if event.parent:
            self._children.setdefault((event.parent, event.parent_step), []).append(event.run_id)
            calls = len(self._keys.get((event.parent, event.parent_step), ()))
            found = self._children[event.parent, event.parent_step]
            if len(found) > calls:
                self._break("a call starts one run", f"{event.parent} {event.parent_step} was made {calls} times: {found}")

    def written(self, before: State, event: e.AnyEvent, after: State, at: float) -> None:
        """An event was written."""
        if isinstance(event, e.CallIntended):
            self._intended(before, event, at)
        elif isinstance(event, _OUTCOMES):
            self._ended(before, event, at)
        elif isinstance(event, e.CallbackReceived):
            self._received(before, event)
        elif isinstance(event, e.ProbeIntended):
            self._looked_at[before.run_id, event.step] = at
        elif isinstance(event, e.PendingRuled):
            self._ruled(before, event, at)
        elif isinstance(event, e.CancelRequested) and before.stop == "undo":
            self._too_late.add(before.run_id)
        elif isinstance(event, (e.StepSkipped, e.StepFailed, e.FallbackRuled)):
            self._given_up(before, event.step)
        elif isinstance(event, e.ChildEnded):
            self._child_ends[event.child] += 1
            if self._child_ends[event.child] > 1:
                self._break("the end of a child is heard once", f"{before.run_id} hears of {event.child} again")
        step = getattr(event, "step", "")
        if (
            step
            and isinstance(step, str)
            and step in after.steps
            and after.steps[step].phase == "done" != before.steps[step].phase
        ):
            self._done_at[before.run_id, step] = after.version
        if isinstance(event, (e.CallPartial, e.CallSucceeded)):
            self._check_what_came(before, event, after)

    def committed(self, state: State, at: float) -> None:
        """A whole batch was written."""
        if state.ended:
            self._order += [state.run_id] if state.run_id not in self._order else []
            return
        for name, owed in state.pending.items():
            asking = owed.interrupt is not None or state.steps[name].phase == "asking"
            if at > owed.until + _UNATTENDED and not asking:
                self._break("nothing is owed for ever", f"{state.run_id} {name} is owed {at - owed.until:.0f} s after its time")

    def _check_what_came(self, before: State, event: e.CallPartial | e.CallSucceeded, after: State) -> None:
        """What is not all, or not enough, or not to be seen yet, is not taken for all."""
        step, where = before.steps[event.step], f"{before.run_id} {event.step}"
        contract = before.contracts[step.tool]
        if isinstance(event, e.CallPartial):
            if event.left and event.step not in (after.pending if event.rest is None else after.rests):
                self._break("what is left of a part is owed", f"{where}: {event.left}")
            return
        judged = contract.sufficient is not None or (step.step.expect is not None)
        if judged and isinstance(event.value, dict) and event.value.get("amount") == 0:
            self._break("what is not enough is no success", f"{where}: {event.value}")
        looked_for = contract.visible_within_seconds is not None and (contract.probe or contract.poll)
        if looked_for and event.step not in after.pending:
            self._break("what may not be seen yet is waited for", where)

    def _ruled(self, state: State, event: e.PendingRuled, at: float) -> None:
        """At its deadline, and not before, and after one last look, there follows what the contract says."""
        owed, step, where = state.pending[event.step], state.steps[event.step], f"{state.run_id} {event.step}"
        contract = step.contract or state.contracts[owed.tool]
        if owed.found in ("came", "failed"):
            if event.action != ("settle" if owed.found == "came" else "fail"):
                self._break("what was heard of what is owed counts", f"{where}: it {owed.found}, and {event.action} was ruled")
            return
        if at < owed.until:
            self._break("what is owed has its time", f"{where}: {event.row} {owed.until - at:.3f} s too early")
        looks = (contract.probe or contract.poll) and contract.agent is None
        if looks and self._looked_at.get((state.run_id, event.step), 0.0) < owed.until:
            self._break("it is looked for once more at the deadline", f"{where}: {event.row}")
        self._repeats[state.run_id, event.step] += event.action == "repeat"
        may_repeat = owed.about != "rest" and self._repeats[state.run_id, event.step] <= contract.repeats_max
        wanted = {contract.at_deadline} - ({"repeat"} if not may_repeat else set())
        if contract.at_deadline == "repeat" and (owed.about != "result" or step.repeats or not may_repeat):
            wanted.add("ask")
        if event.action not in wanted:
            self._break("at a deadline there follows what the contract says", f"{where}: {event.action}, not {sorted(wanted)}")

    def _given_up(self, state: State, name: str) -> None:
        step = state.steps[name]
        failure = step.failure
        if failure is not None and _by_arguments(failure) and failure.detail != e.BY_A_PERSON and step.args is not None:
            self._failed[state.run_id, digest([step.tool, step.args]), step.occurrence] = name

    def _intended(self, state: State, event: e.CallIntended, at: float) -> None:
        contract = state.contracts[event.tool]
        self._keys.setdefault((state.run_id, event.step), set()).add(event.key)
        self._check_follow_up(state, event)
        if self._delivered.get((state.run_id, event.step)) == event.key:
            self._break("what was delivered counts", f"{state.run_id} {event.step} is called again, and its result was delivered")
        step = state.steps[event.step]
        failed_in = self._failed.get((state.run_id, digest([event.tool, event.args]), step.occurrence), event.step)
        meant = step.insisted or bool(step.step.undoes) or step.doubt_since is not None
        if failed_in != event.step and not meant and _by_arguments(state.steps[failed_in].failure):
            self._break("what failed for good is not tried again", f"{state.run_id} {event.step} is the call of {failed_in}")
        if contract.business_scope == "store":
            self._check_other_runs(state, event)
        if contract.rate is not None:
            sent = self._sent.setdefault(event.tool, [])
            sent.append(at)
            sent.sort()
            for first, last in zip(sent, sent[contract.rate.calls :], strict=False):
                if last - first < contract.rate.per_seconds - _SLACK and self._clocks_agree():
                    what = f"{contract.rate.calls + 1} calls of {event.tool} in {last - first:.3f} s"
                    self._break("a rate holds over all workers", what)
        if contract.rate is not None or contract.breaker is not None:
            self._check_circuit(event, at)
        undoes = step.step.undoes
        if event.step in state.undoing and event.attempt == 1 and step.occurrence == 1:
            self._check_order(state, undoes)

    def _check_follow_up(self, state: State, event: e.CallIntended) -> None:
        """While something is owed, whatever would repeat it is not made; but on purpose."""
        mine = state.steps[event.step]
        for name, owed in state.pending.items():
            other = state.steps[name]
            same = owed.tool == event.tool and owed.args == event.args and other.occurrence == mine.occurrence
            repeats = same and state.contracts[event.tool].safety != "read" and not mine.insisted and name != event.step
            if owed.key == event.key or repeats:
                self._break("no follow-up while it is owed", f"{state.run_id} {event.step} repeats {name}, which is owed")

    def _check_other_runs(self, state: State, event: e.CallIntended) -> None:
        for run_id, other in self._laws.states.items():
            if run_id == state.run_id or other.ended:
                continue
            for name in other.order:
                step = other.steps[name]
                owed = other.pending.get(name)
                if (step.key == event.key and step.phase in _UNDER_WAY) or (owed is not None and owed.key == event.key):
                    what = f"{state.run_id} {event.step} is the same call as {run_id} {name}, which is {step.phase}"
                    self._break("two runs do not make the same call at once", what)

    # --- deliveries -----------------------------------------------------------------------------------------------

    def delivered(self, digest: str, delivery: Delivery) -> None:
        """The store said what became of a delivery by token."""
        if delivery.refused:
            self._refused.setdefault(delivery.run_id, Counter())[digest] += 1
            return
        self._taken[digest] += 1
        if self._taken[digest] > 1:
            self._break(
                "a token is good for one delivery", f"{delivery.run_id} {delivery.step}: {self._taken[digest]} were taken"
            )

    def _received(self, state: State, event: e.CallbackReceived) -> None:
        self._heard[state.run_id, event.key] += 1
        if self._heard[state.run_id, event.key] > 1:
            self._break("a delivery has one effect", f"{state.run_id} {event.step} hears it again")
        if event.failure is None and state.steps[event.step].key == event.key:
            self._delivered[state.run_id, event.step] = event.key

    # --- gates ----------------------------------------------------------------------------------------------------

    def _clocks_agree(self) -> bool:
        return not self._stage.set_back

    def _check_circuit(self, event: e.CallIntended, at: float) -> None:
        circuit = self._circuits.setdefault(event.tool, Circuit())
        if not self._clocks_agree():
            return
        # A commit that took its time to arrive is one by a clock that is behind.
        if at < circuit.open_until - _SLACK - self._stage.skew:
            what = f"{event.step} calls {event.tool} {circuit.open_until - at:.3f} s too early"
            self._break("an open circuit is left alone", what)
        if circuit.open_until and self._breaker(event.tool) is not None:
            if circuit.trial_at is not None and at < circuit.trial_at + _TRIAL_SECONDS - _SLACK:
                self._break("one call finds out whether a circuit may close", f"{event.step} calls {event.tool} beside it")
            circuit.trial_at = at

    def _breaker(self, tool: str) -> Breaker | None:
        found = [state.contracts[tool].breaker for state in self._laws.states.values() if tool in state.contracts]
        return found[0] if found else None

    def _ended(self, state: State, event: Any, at: float) -> None:
        self._count_changes(state, event)
        tool = state.steps[event.step].tool
        contract = state.contracts[tool]
        if contract.rate is None and contract.breaker is None:
            return
        circuit, breaker = self._circuits.setdefault(tool, Circuit()), contract.breaker
        trying = circuit.trial_at is not None or 0 < circuit.open_until <= at
        if isinstance(event, e.CallUnknown):
            said = "other" if event.crashed else "failed"
        elif isinstance(event, e.CallFailed):
            kind = event.failure.kind
            bad = kind in ("transient", "unavailable", "crashed")
            said = "limited" if kind == "rate_limited" else "failed" if bad else "other"
        else:
            said = "ok"
        circuit.trial_at = None
        if said == "limited":
            wait = event.failure.retry_after_seconds
            wait = breaker.open_seconds if wait is None and trying and breaker is not None else wait
            circuit.open_until = max(circuit.open_until, at + wait) if wait else circuit.open_until
        elif said == "ok":
            circuit.failures = []
            circuit.open_until = circuit.open_until if at < circuit.open_until and not trying else 0.0
        elif said == "failed" and breaker is not None and (trying or at >= circuit.open_until):
            circuit.failures = [*(f for f in circuit.failures if f >= at - breaker.within_seconds), at][-breaker.failures_max :]
            if trying or len(circuit.failures) >= breaker.failures_max:
                circuit.open_until = max(circuit.open_until, at + breaker.open_seconds)

    # --- what else is changed -------------------------------------------------------------------------------------

    def _count_changes(self, state: State, event: Any) -> None:
        if isinstance(event, e.CallUnknown):
            return
        like = (state.run_id, event.step, event.attempt)
        told: Counter[str] = Counter()
        for request in self._stage.world.requests:
            if (request.run_id, request.step, request.attempt) == like:
                for name, amount in request.changes:
                    told[name] += amount  # type: ignore[assignment]
        noted = {change.name: change.amount for change in event.changes}
        if noted != dict(told):
            self._break("what else was changed is written down", f"{like}: {noted} is written, {dict(told)} was told")
        self._changes.setdefault(state.run_id, Counter()).update(told)

    # --- taking back ----------------------------------------------------------------------------------------------

    def happened(self, effect: Effect) -> None:
        """An effect landed in the world."""
        if effect.tool not in UNDO:
            return
        found = [one for one in self._stage.world.ledger if one.receipt["id"] == effect.item]
        if not found or found[0].run_id != effect.run_id:
            self._break("only what was done is taken back", f"{effect.run_id} {effect.step} takes back {effect.item}")
        elif sum(one.occurrence == effect.occurrence for one in self._stage.world.undone(found[0])) > 1:
            self._break("what was done is taken back once", f"{effect.run_id} {effect.step} takes back {effect.item} again")

    def _check_order(self, state: State, undoes: str) -> None:
        done_at, last = self._done_at.get((state.run_id, undoes), 0), self._undone_last.get(state.run_id)
        if last is not None and done_at > last:
            self._break(
                "the last thing that was done is taken back first", f"{state.run_id} takes back {undoes} after older ones"
            )
        self._undone_last[state.run_id] = done_at

    def _check_undone(self, state: State) -> None:
        policy = state.on_stop
        if state.cancel is not None and state.cancel.on_stop is not None:
            policy = state.cancel.on_stop
        undone = state.stop == "undo"
        for effect in self._stage.world.effects(run_id=state.run_id):
            if effect.tool not in UNDOABLE or effect.by_hand:
                continue
            what = f"{state.run_id} {effect.step}: {effect.receipt['id']} (policy {policy}, {state.ended})"
            taken_back = bool(self._stage.world.undone(effect))
            step = state.steps[effect.step]
            another_way = bool(step.undo) or step.fallbacks_taken > 0 or self._is_taken_back_by_plan(state, effect.step)
            keeps = policy == "keep" and state.run_id not in self._too_late
            if taken_back and not another_way and (not undone or keeps or state.ended == "completed"):
                self._break("what is kept is kept", what)
            if policy == "undo" and state.ended != "completed" and not taken_back and not self._is_named(state, effect):
                self._break("what was done is taken back", what)
            undoing = [name for name in state.undoing if state.steps[name].step.undoes == effect.step]
            known = all(name not in state.unknown for name in undoing)
            if taken_back and known and not another_way and effect.step not in state.undone and not self._is_named(state, effect):
                self._break("what was taken back is said to be", what)

    def _is_taken_back_by_plan(self, state: State, name: str) -> bool:
        """Whether a model planned to take a step back."""
        return any(state.steps[other].step.undoes == name and other not in state.undoing for other in state.order)

    def _is_named(self, state: State, effect: Effect) -> bool:
        """Whether the run says of this effect that it stays, or that it does not know; or was right not to count on it."""
        step, overdue = state.steps[effect.step], self._laws.overdue(state.run_id, effect.step)
        superseded = effect.occurrence != step.occurrence or effect.tool != step.tool
        return effect.step in (*state.kept, *state.unknown) or effect.key in overdue or superseded

    # --- the end --------------------------------------------------------------------------------------------------

    def check_end(self, states: Mapping[str, State]) -> None:
        """Once everything has landed and was delivered."""
        for run_id, state in states.items():
            self._check_undone(state)
            self._check_refusals(run_id)
            if state.ended == "completed" and state.rests:
                self._break("what is left of a part is owed", f"{run_id}: {state.rests} have no step of their own")
            totals = dict(self._changes.get(run_id, {}))
            if {name: amount for name, amount in state.changes.items() if amount} != totals:
                self._break("what else was changed is counted", f"{run_id}: {state.changes}, and {totals} was told")
            for (of, name), key in self._delivered.items():
                step = state.steps.get(name)
                if state.stop == "undo" and name in state.unknown:
                    continue  # It came while the run took back what it did, and is named.
                if of == run_id and step is not None and step.key == key and step.phase != "done":
                    self._break("what was delivered counts", f"{run_id} {name} is {step.phase} ({step.reason})")
        for (parent, _), children in self._children.items():
            for child in children:
                self._check_family(states[parent], states[child])

    def _check_refusals(self, run_id: str) -> None:
        """Each delivery that was refused is recorded, up to a bound."""
        wanted = sum(min(count, REFUSALS_MAX) for count in self._refused.get(run_id, {}).values())
        letters = [letter.message for letter in self._stage.store.run(run_id).letters]
        found = sum(message.kind == "refused" for message in letters)
        if found != wanted:
            self._break("a refused delivery is recorded", f"{run_id}: {wanted} were refused, {found} are recorded")

    def _check_family(self, parent: State, child: State) -> None:
        letters = [letter.message.slot for letter in self._stage.store.run(child.run_id).letters]
        first = self._order.index(parent.run_id) < self._order.index(child.run_id)
        if first and "parent-ended" not in letters:
            self._break(
                "a run that ended leaves no child behind", f"{child.run_id} went on, and {parent.run_id} was {parent.ended}"
            )
        slots = [letter.message.slot for letter in self._stage.store.run(parent.run_id).letters]
        if not first and f"child:{child.run_id}" not in slots:
            self._break(
                "a run is told of the end of its child", f"{parent.run_id} was not told that {child.run_id} {child.ended}"
            )
        step = parent.steps[child.parent_step]
        if step.settled_by == "child" and not self._child_ends[child.run_id] and step.occurrence == 1:
            self._break("the end of a child is heard once", f"{parent.run_id} {child.parent_step} is done without {child.run_id}")


def _by_arguments(failure: e.Failure | None) -> bool:
    """Whether no change of the world makes the same call work."""
    return failure is not None and failure.kind in ("invalid_input", "denied", "too_expensive")
