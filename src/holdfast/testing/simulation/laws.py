"""What must hold, whatever goes wrong: looked at from outside, at every commit, every request and at the end.

Nothing here asks the recovery table or `decide` what it thinks: the laws are made from what was written, what the world
saw, and what the contracts promise. (The one exception is named `replay`: decided again, the same must be decided.)
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from holdfast.core import events as e
from holdfast.core.approval import asks_first
from holdfast.core.contract import Contract
from holdfast.core.evolve import evolve
from holdfast.core.state import State, StepState
from holdfast.journal.base import Claim, Message
from holdfast.testing.simulation import promises
from holdfast.testing.simulation.laws_people import PeopleLaws
from holdfast.testing.simulation.laws_record import check_record
from holdfast.testing.simulation.laws_thinking import ThinkingLaws
from holdfast.testing.simulation.tools import BUSINESS, STORE_WIDE
from holdfast.testing.world import Effect, Request

# Failures that say nothing of the world: the tool answered, and broke its contract.
_BROKEN = ("invalid_output", "crashed")
_SLACK = 0.002
# A policy that changed while a call was in doubt: whether it may be made says nothing of whether it was.
_FORBIDDEN, _CHANGED = "the policy forbids it by now", "changed since it was approved"
# Far longer than a run is ever left alone, clock jumps included.
_UNATTENDED = 110.0


class LawBroken(AssertionError):
    """law: which one. what: how it was seen."""

    def __init__(self, law: str, what: str):
        super().__init__(f"{law}: {what}")
        self.law = law
        self.what = what


class Intent(msgspec.Struct, frozen=True):
    """A call as it was announced, and what was promised then."""

    attempt: int
    tool: str
    key: str
    args: dict[str, Any]
    contract: Contract
    at: float
    fence: int
    promised: Contract


class Track(msgspec.Struct):
    """What an outsider knows of one step. lost: calls without an outcome since a person, or another tool, began anew.
    settle_at: from then on nothing that was sent before can land. spent: a later attempt failed for certain."""

    intents: dict[int, Intent] = {}
    words: list[tuple[str, dict[str, Any], Contract | None]] = []
    shown: dict[str, Contract | None] = {}
    lost: int = 0
    in_doubt: bool = False
    doubt_since: float = 0.0
    settle_at: float = 0.0
    spent: bool = False
    key_since: float = 0.0
    probed_at: float = 0.0
    answered_at: float = 0.0
    verdict: str = "none"
    not_before: float = 0.0
    broken_answer: bool = False
    owed: bool = False
    overdue_keys: list[str] = []
    delivered: bool = False
    fresh: bool = True
    changed: bool = False

    @property
    def last(self) -> Intent | None:
        """The call in force."""
        return next(reversed(self.intents.values()), None)

    def anew(self) -> None:
        """A person's word, or another tool: what was before does not count any more."""
        self.lost, self.in_doubt, self.doubt_since, self.settle_at, self.spent = 0, False, 0.0, 0.0, False
        self.verdict, self.not_before, self.owed = "none", 0.0, False


class Stage(promises.Stage, Protocol):
    """What the laws must know of the seed that is played."""

    @property
    def tenant_max(self) -> int | None: ...

    def now(self) -> float: ...


class Laws:
    """The outsider who reads along."""

    def __init__(self, stage: Stage):
        self._stage = stage
        self.states: dict[str, State] = {}
        self.tracks: dict[tuple[str, str], Track] = {}
        self.claims: dict[str, Claim] = {}
        self.heard: dict[str, list[str]] = {}
        self.expired: dict[tuple[str, str], e.Asked] = {}
        self.promises = promises.Promises(stage, self)
        self.thinking: ThinkingLaws | None = None
        self.people = PeopleLaws(stage)

    def _break(self, law: str, what: str) -> None:
        self._stage.broken(law, what)

    def track(self, run_id: str, step: str) -> Track:
        """What is known of a step."""
        found = self.tracks.get((run_id, step))
        if found is None:
            found = self.tracks[(run_id, step)] = Track()
        return found

    # --- the store ------------------------------------------------------------------------------------------------

    def overdue(self, run_id: str, step: str) -> list[str]:
        """The keys of calls that were waited for in vain."""
        return self.track(run_id, step).overdue_keys

    def claimed(self, claim: Claim, now: float) -> None:
        """A worker was given a run."""
        before = self.claims.get(claim.run_id)
        if before is not None:
            if claim.fence <= before.fence:
                self._break("a fence grows with each claim", f"{claim.run_id}: {claim.fence} after {before.fence}")
            if before.until > now and before.worker:
                self._break("a run has one owner", f"{claim.run_id}: {before.worker} has it until {before.until}")
        self.claims[claim.run_id] = claim

    def lease(self, run_id: str, worker: str, until: float) -> None:
        """A lease was made longer, or given back."""
        claim = self.claims[run_id]
        self.claims[run_id] = msgspec.structs.replace(claim, worker=worker, until=until)

    def committed(self, run_id: str, first: int, fence: int, at: float, events: tuple[e.AnyEvent, ...]) -> None:
        """A batch was written."""
        claim = self.claims.get(run_id)
        if claim is not None and fence != claim.fence:
            self._break("a worker that lost its claim writes nothing", f"{run_id} was written under {fence}, not {claim.fence}")
        state = self.states.get(run_id)
        for offset, event in enumerate(events):
            if state is not None:
                check = _CHECKS.get(type(event))
                if check is not None:
                    check(self, state, event, at)
            before, state = state, evolve(state, e.Entry(first + offset, at, fence, event))
            if before is not None:
                self.promises.written(before, event, state, at)
                self.people.written(before, event, state, at)
                if self.thinking is not None:
                    self.thinking.written(before, event, state, at)
            elif isinstance(event, e.RunStarted):
                self.promises.begun(event)
                if self.thinking is not None:
                    self.thinking.begun(state)
        assert state is not None
        self.promises.committed(state, at)
        for asked in state.interrupts.values():
            if at > asked.expires_at + _UNATTENDED:
                self._break(
                    "every wait has a deadline", f"{asked.interrupt} is open {at - asked.expires_at:.0f} s after it expired"
                )
        self.states[run_id] = state
        self._check_slots()

    def _check_slots(self) -> None:
        used: dict[str, int] = {}
        for state in self.states.values():
            for name in () if state.ended else state.active:
                step = state.steps[name]
                contract = state.contracts.get(step.tool)
                if step.phase == "flying" and contract is not None and contract.parallel_max is not None:
                    self._use(used, step.tool, contract.parallel_max)
                if step.phase == "flying" and self._stage.tenant_max is not None:
                    self._use(used, f"of tenant {state.tenant!r}", self._stage.tenant_max)

    def _use(self, used: dict[str, int], name: str, allowed: int) -> None:
        used[name] = used.get(name, 0) + 1
        if used[name] > allowed:
            self._break("capacity holds over all workers", f"{used[name]} calls {name} at once")

    # --- what is written ------------------------------------------------------------------------------------------

    def _call_intended(self, state: State, event: e.CallIntended, at: float) -> None:
        track, step = self.track(state.run_id, event.step), state.steps[event.step]
        where = f"{event.step} attempt {event.attempt} of {event.tool}"
        if step.phase in ("done", "skipped", "failed"):
            self._break("finished work stays finished", f"{where} was begun, and the step is {step.phase}")
        if track.lost >= state.limits.lost_max:
            self._break("a call is lost a bounded number of times", f"{where} was begun after {track.lost} were lost")
        if track.in_doubt and not self._may_repeat(state, track, event, at):
            self._break("a doubt is not repeated blindly", f"{where} was begun, and the one before it may have happened")
        if state.changed is not None:
            self._break("weaker promises hold only after a person said so", f"{where} was begun, and nobody was heard")
        if at < track.not_before - _SLACK:
            self._break("a time that the other side named is kept", f"{where} was begun {track.not_before - at:.3f} s too early")
        last = track.last
        if last is None or last.key != event.key or track.fresh:
            track.key_since, track.fresh = at, False
        if not (last is not None and track.in_doubt and last.tool == event.tool):
            contract = state.contracts[event.tool]
        else:
            contract = last.contract
            if last.key != event.key:
                self._break("a call in doubt keeps its key", f"{where} has {event.key}, not {last.key}")
        track.changed = track.changed and track.in_doubt
        track.intents[event.attempt] = Intent(
            event.attempt, event.tool, event.key, event.args, contract, at, state.fence, state.contracts[event.tool]
        )

    def _may_repeat(self, state: State, track: Track, event: e.CallIntended, at: float) -> bool:
        """Whether a call in doubt may be sent again without asking anybody: by what was promised then, and now."""
        assert track.last is not None
        now_promised = state.contracts[event.tool]
        return all(self._is_harmless(state, track, event.step, promised, at) for promised in (track.last.contract, now_promised))

    def _is_harmless(self, state: State, track: Track, step: str, contract: Contract, at: float) -> bool:
        return contract.safety in ("read", "idempotent") or (
            contract.safety == "keyed" and at <= self._key_dies_at(state, step, contract)
        )

    def _key_dies_at(self, state: State, step: str, contract: Contract) -> float:
        """The last moment at which a repeat may go out and still be known by its key when it lands."""
        timeout = state.steps[step].step.timeout_seconds or contract.timeout_seconds
        life = contract.key_ttl_seconds if contract.key_ttl_seconds is not None else float("inf")
        return self.track(state.run_id, step).key_since + life - timeout - contract.settles_within_seconds + _SLACK

    def _call_unknown(self, state: State, event: e.CallUnknown, at: float) -> None:
        track = self.track(state.run_id, event.step)
        contract = track.intents[event.attempt].contract
        track.lost += 1
        track.in_doubt, track.doubt_since, track.verdict = contract.safety != "read", at, "none"
        unseen = contract.visible_within_seconds or 0.0
        track.settle_at = max(track.settle_at, at + contract.settles_within_seconds + unseen)

    def _call_failed(self, state: State, event: e.CallFailed, at: float) -> None:
        track = self.track(state.run_id, event.step)
        track.broken_answer = track.broken_answer or event.failure.kind in _BROKEN or event.failure.landed
        track.spent = track.spent or track.in_doubt
        contract = track.intents[event.attempt].contract
        happened = event.failure.landed or (event.failure.kind in _BROKEN and contract.undo is not None)
        if happened and contract.safety in ("idempotent", "keyed"):
            track.in_doubt = False  # It had its effect; by its key the one before it was the same.
        track.not_before = at + (event.failure.retry_after_seconds or 0.0)

    def _call_done(self, state: State, event: e.CallSucceeded | e.CallPartial | e.CallDeferred, at: float) -> None:
        track = self.track(state.run_id, event.step)
        track.in_doubt, track.verdict, track.owed = False, "none", isinstance(event, e.CallDeferred)

    def _probe_intended(self, state: State, event: e.ProbeIntended, at: float) -> None:
        track = self.track(state.run_id, event.step)
        track.probed_at = at
        if event.step in state.pending:
            return  # It is looked for what is owed.
        last = track.last
        assert last is not None, f"{event.step} is probed, and was never called"
        now_promised = state.contracts.get(last.tool)
        if not last.contract.probe and not (now_promised is not None and now_promised.probe):
            self._break("who has no probe is not probed", f"{event.step} of {last.tool}")
        over = track.doubt_since + last.contract.probe_window_seconds + _SLACK
        if track.verdict == "cannot_tell" or (track.verdict == "not_yet" and track.answered_at > over):
            self._break("probing ends", f"{event.step} of {last.tool} is probed again after {track.verdict}")

    def _probe_answered(self, state: State, event: e.ProbeAnswered, at: float) -> None:
        track = self.track(state.run_id, event.step)
        track.broken_answer = track.broken_answer or event.failure is not None
        if event.step in state.pending:
            return
        track.verdict, track.answered_at = event.verdict, at
        if event.verdict == "not_happened" and track.probed_at >= track.settle_at - _SLACK:
            track.in_doubt = False

    def _recovery_ruled(self, state: State, event: e.RecoveryRuled, at: float) -> None:
        track = self.track(state.run_id, event.step)
        last = track.last
        assert last is not None, f"{event.step} is recovered from, and was never called"
        if event.row == "failed":
            # A tool that can be asked is asked, whatever it said itself: until then it is in doubt.
            track.in_doubt, track.doubt_since, track.settle_at = True, at, max(track.settle_at, at)
        if event.row == "callback-failed":
            # Whoever had the call says that it could not be done.
            track.in_doubt = False
            return
        taken = event.action == "take" and last.contract.agent is None
        if taken and not self._stage.world.effects(key=last.key):
            self._break("what is taken from a probe happened", f"{event.step}: there is no effect under {last.key}")
        track.in_doubt = track.in_doubt and event.action != "take"
        if event.action == "fail" and not self._stops(state):
            tries_left = track.lost < state.limits.lost_max and not track.spent
            if track.in_doubt and track.verdict != "not_happened":
                self._break("a doubt is not taken for a failure", f"{event.step} of {last.tool} was given up in doubt")
            if tries_left:
                self._break("nothing is given up that can be tried", f"{event.step} of {last.tool} after {track.lost} lost")

    def _stops(self, state: State) -> bool:
        return state.stopping is not None or state.cancel is not None

    def _fallback_ruled(self, state: State, event: e.FallbackRuled, at: float) -> None:
        track = self.track(state.run_id, event.step)
        if track.in_doubt:
            self._break("a doubt is not taken for a failure", f"{event.step} falls back to {event.tool} in doubt")
        track.anew()
        track.fresh = True

    def _reuse_ruled(self, state: State, event: e.ReuseRuled, at: float) -> None:
        mine, other = state.steps[event.step], state.steps[event.same_as]
        suppressed = mine.suppressed_by == event.same_as  # It was to be made once, and the other was made again.
        if (mine.occurrence, mine.tool) != (other.occurrence, other.tool) and not suppressed:
            self._break("an intended repeat is made", f"{event.step} takes the result of {event.same_as}")

    def _given_up(self, state: State, event: e.StepSkipped | e.StepFailed, at: float) -> None:
        undoes = state.steps[event.step].step.undoes  # Given up in doubt, an undo is named unknown: see `_check_truth`.
        if self.track(state.run_id, event.step).in_doubt and not undoes:
            self._break("a doubt is not taken for a failure", f"{event.step} was given up in doubt: {event.reason}")

    def _asked(self, state: State, event: e.Asked, at: float) -> None:
        if event.step:
            self.track(state.run_id, event.step).shown[event.interrupt] = state.contracts.get(event.tool)
        forbidden = self.people.office is not None and (_FORBIDDEN in event.question or _CHANGED in event.question)
        if event.about == "doubt" and not forbidden and not self._needs_person(state, event.step, at):
            track = self.track(state.run_id, event.step)
            self._break("nobody is asked what can be settled", f"{event.interrupt}: {event.question} (verdict {track.verdict})")

    def _needs_person(self, state: State, step: str, at: float) -> bool:
        """Whether nothing but a person can settle this doubt: from the promises, not from the table."""
        track = self.track(state.run_id, step)
        last = track.last
        assert last is not None, f"{step} is doubted, and was never called"
        contract = last.contract
        # A tool that was another one for a while, or is now, is not relied on: whatever held then may not hold.
        if track.changed or state.contracts.get(last.tool) != contract:
            return True
        if contract.safety == "irreversible":
            return True
        if contract.safety == "read":
            return False
        # What the run may change in all is used up: a repeat would be refused.
        exhausted = track.lost >= state.limits.lost_max or track.spent or state.steps[step].refused
        dies_in = self._key_dies_at(state, step, contract) - at
        if contract.safety == "idempotent" or (contract.safety == "keyed" and dies_in > 0):
            return exhausted or (contract.safety == "keyed" and dies_in < 3 * _SLACK)
        if not contract.probe or track.verdict == "cannot_tell":
            return True
        return track.verdict == "not_yet" and at >= track.doubt_since + contract.probe_window_seconds - _SLACK

    def _agent_changed(self, state: State, event: e.AgentChanged, at: float) -> None:
        for (run_id, _), track in self.tracks.items():
            track.changed = track.changed or run_id == state.run_id

    def _answered(self, state: State, event: e.Answered, at: float) -> None:
        asked = state.interrupts[event.interrupt]
        said = self._said(state.run_id, event)
        self._hear(state.run_id, said, event.interrupt)
        if said is None or (at if asked.about in ("call", "plan") else said.at) >= asked.expires_at:
            self._break("an answer that expired is refused", f"{event.interrupt} was taken at {at:.3f}, {said}")
        if not asked.step:
            return
        if asked.about == "fact":
            return  # It says nothing of the call.
        track = self.track(state.run_id, asked.step)
        if event.decision in ("approve", "edit"):
            args = event.value if event.decision == "edit" else asked.args
            track.words.append((asked.tool, args, track.shown.get(event.interrupt)))
        if not (event.decision == "cancel" and asked.about in ("doubt", "owed")):
            track.anew()

    def _expired(self, state: State, event: e.InterruptExpired, at: float) -> None:
        self.expired[(state.run_id, event.interrupt)] = state.interrupts[event.interrupt]

    def _voided(self, state: State, event: e.AnswerVoided, at: float) -> None:
        asked = state.interrupts.get(event.interrupt) or self.expired.get((state.run_id, event.interrupt))
        said = self._said(state.run_id, event)
        self._hear(state.run_id, said, event.interrupt)
        if asked is None or not self._may(state, asked, event.by):
            return
        if asked.about not in ("call", "plan") and said is not None and said.at < asked.expires_at:
            self._break("what was said in time counts", f"{event.interrupt}, said at {said.at:.3f}: {event.reason}")

    def _cancel_requested(self, state: State, event: e.CancelRequested, at: float) -> None:
        self.heard.setdefault(state.run_id, []).append("parent-ended" if event.by.startswith("run ") else "cancel")

    def _callback_received(self, state: State, event: e.CallbackReceived, at: float) -> None:
        track = self.track(state.run_id, event.step)
        if event.failure is not None:
            track.broken_answer = track.broken_answer or event.failure.landed
        elif (last := track.last) is not None and last.key == event.key and track.in_doubt:
            track.delivered = True

    def _pending_ruled(self, state: State, event: e.PendingRuled, at: float) -> None:
        track = self.track(state.run_id, event.step)
        if event.action == "repeat":
            track.anew()
        track.owed = track.owed and event.action == "ask"
        # From here on it counts as failed, whatever may come of it: that is what its contract says.
        if event.row.startswith("late") and event.action in ("fail", "give_up", "repeat"):
            track.overdue_keys.append(state.pending[event.step].key)

    # --- the world ------------------------------------------------------------------------------------------------

    def requested(self, request: Request) -> None:
        """A request reaches the world."""
        track = self.track(request.run_id, request.step)
        intent = track.intents.get(request.attempt)
        where = f"{request.run_id} {request.step} attempt {request.attempt} of {request.tool}"
        if intent is None or (intent.tool, intent.key) != (request.tool, request.key):
            self._break("no effect before its intent", f"{where} was sent, and {intent} is written")
            return
        if (intent.args.get("item", intent.args.get("id")), intent.args.get("amount", 1)) != (request.item, request.amount):
            self._break("no effect before its intent", f"{where} was sent with other arguments than {intent.args}")
        state = self.states[request.run_id]
        if intent.fence != self.claims[request.run_id].fence:
            what = f"{where} was sent under {intent.fence}, and {self.claims[request.run_id].worker} has the run"
            self._break("who lost the claim sends nothing", what)
        dies_at = self._key_dies_at(state, request.step, intent.contract)
        if track.in_doubt and intent.contract.safety == "keyed" and self._stage.now() > dies_at:
            self._break("a repeat goes out while its key lives", f"{where} was sent {self._stage.now() - dies_at:.3f} s too late")
        # Where there is a policy, `laws_people` says what must be asked about.
        if self.people.office is None and asks_first(intent.promised, state.steps[request.step].step):
            self._check_word(request, track, intent, where)

    def _check_word(self, request: Request, track: Track, intent: Intent, where: str) -> None:
        said = [word for word in track.words if word == (intent.tool, intent.args, intent.promised)]
        if not said:
            self._break("nothing that asks first goes unasked", f"{where} was sent, and people said {track.words}")
        sent = [r.attempt for r in self._stage.world.requests if (r.run_id, r.step) == (request.run_id, request.step)]
        step = self.states[request.run_id].steps[request.step].step
        asked = [n for n in sent if track.intents[n].tool == intent.tool and asks_first(track.intents[n].contract, step)]
        if intent.contract.safety == "irreversible" and len(asked) > len(track.words):
            self._break("a person's word is used once", f"{where} is the {len(asked)}th for {len(track.words)} words")

    def happened(self, effect: Effect) -> None:
        """An effect lands in the world."""
        self.promises.happened(effect)
        world = self._stage.world
        mine = world.effects(run_id=effect.run_id, step=effect.step, occurrence=effect.occurrence)
        # One that was taken back before another way was tried does not count any more.
        overdue = self.track(effect.run_id, effect.step).overdue_keys
        mine = [one for one in mine if one is effect or not (world.undone(one) or one.key in overdue)]
        if len(mine) > 1 and effect.key not in overdue:
            self._break("no effect is made twice", f"{effect.run_id} {effect.step}: {_shown(mine)}")
        intents = self.track(effect.run_id, effect.step).intents
        if any(intent.contract.business_key for intent in intents.values() if intent.tool == effect.tool):
            like = {"run_id": effect.run_id, "tool": effect.tool, "item": effect.item, "occurrence": effect.occurrence}
            same = self._stage.world.effects(**like)
            if len(same) > 1:
                self._break("no effect is made twice", f"{effect.run_id} {effect.tool} of {effect.item}: {_shown(same)}")

    # --- the end --------------------------------------------------------------------------------------------------

    def check_end(self) -> None:
        """Once everything has landed: what the runs say is what the world saw, and the record is whole."""
        for run_id, state in self.states.items():
            check_record(self._stage.store, run_id, state, self._break)
            if not state.ended:
                self._break("every run ends", f"{run_id} has not ended")
            for name in state.order:
                self._check_truth(state, state.steps[name])
            self._check_words(run_id)
        self.promises.check_end(self.states)
        self.people.check_end()
        if self.thinking is not None:
            self.thinking.check_end(self.states)

    def _check_truth(self, state: State, step: StepState) -> None:
        name, run_id = step.step.id, state.run_id
        track = self.track(run_id, name)
        last = track.last
        effects = self._stage.world.effects(run_id=run_id, step=name)
        happened = bool(effects if step.phase == "done" else [one for one in effects if one.key not in track.overdue_keys])
        if step.phase == "done":
            changes = last is not None and last.contract.safety != "read" and last.contract.agent is None
            if step.tool in BUSINESS and not happened:
                # By the business key it is the same call as in another step, and that one is what was found.
                item = (step.args or step.step.args).get("item")
                like = {} if step.tool in STORE_WIDE else {"run_id": run_id}
                happened = bool(self._stage.world.effects(tool=step.tool, item=item, **like))
            if step.settled_by != "reuse" and changes and not happened:
                self._break("what is reported done happened", f"{run_id} {name} of {step.tool} is done by {step.settled_by}")
        elif happened and name not in state.unknown and not track.broken_answer:
            what = f"{run_id} {name} of {step.tool} is {step.phase} ({step.reason}), and it happened"
            self._break("what is reported undone did not happen, or is named unknown", what)
        if name in state.unknown and step.phase == "done":
            self._break("what is named unknown is not known", f"{run_id} {name} is done and named unknown")
        if name in state.unknown and not (track.in_doubt or track.owed or track.broken_answer):
            self._break("what is named unknown is not known", f"{run_id} {name} is {step.phase} and nothing about it is in doubt")

    def _check_words(self, run_id: str) -> None:
        """One answer to a question is kept, and each word is taken once, however often it was sent."""
        heard = self.heard.get(run_id, [])
        slots = [slot for letter in self._stage.store.run(run_id).letters if (slot := letter.message.slot) is not None]
        for slot in slots:
            if slots.count(slot) > 1:
                self._break("one answer to a question", f"{run_id}: {slot} was answered {slots.count(slot)} times")
            if heard.count(slot) > 1:
                self._break("a word is taken once", f"{run_id}: {slot} was taken {heard.count(slot)} times")

    def _said(self, run_id: str, event: e.Answered | e.AnswerVoided) -> Message | None:
        """The answer to a question, as it lies in the mailbox."""
        said = event.decision if isinstance(event, e.Answered) else None
        for letter in self._stage.store.run(run_id).letters:
            body = letter.message.body
            same = (body.get("interrupt"), body.get("by")) == (event.interrupt, event.by)
            is_new = letter.message.slot not in self.heard.get(run_id, ())
            if letter.message.kind == "answer" and same and is_new and said in (None, body["decision"]):
                return letter.message
        return None

    def _hear(self, run_id: str, said: Message | None, interrupt: str) -> None:
        slot = said.slot if said is not None else None
        self.heard.setdefault(run_id, []).append(slot or interrupt)

    def _may(self, state: State, asked: e.Asked, name: str) -> bool:
        """Whether what somebody said counts by itself: it is for them, and for them alone."""
        office = self.people.office
        standing = state.standings.get(asked.interrupt)
        approved = standing.approvals if standing is not None else ()
        barred = name in asked.not_by or name in approved
        return office is None or (asked.people == 1 and office.may(name, asked.who) and not barred)


def _shown(effects: list[Effect]) -> str:
    return "; ".join(
        f"{one.tool} of {one.item} for {one.amount} at {one.at:.3f}, key {one.key[:9]}, occurrence {one.occurrence}"
        for one in effects
    )


_CHECKS: dict[type[e.Event], Any] = {
    e.CallIntended: Laws._call_intended,
    e.CallUnknown: Laws._call_unknown,
    e.CallFailed: Laws._call_failed,
    e.CallSucceeded: Laws._call_done,
    e.CallPartial: Laws._call_done,
    e.CallDeferred: Laws._call_done,
    e.ProbeIntended: Laws._probe_intended,
    e.ProbeAnswered: Laws._probe_answered,
    e.RecoveryRuled: Laws._recovery_ruled,
    e.FallbackRuled: Laws._fallback_ruled,
    e.ReuseRuled: Laws._reuse_ruled,
    e.StepSkipped: Laws._given_up,
    e.StepFailed: Laws._given_up,
    e.Asked: Laws._asked,
    e.AgentChanged: Laws._agent_changed,
    e.Answered: Laws._answered,
    e.AnswerVoided: Laws._voided,
    e.InterruptExpired: Laws._expired,
    e.CancelRequested: Laws._cancel_requested,
    e.CallbackReceived: Laws._callback_received,
    e.PendingRuled: Laws._pending_ruled,
}
