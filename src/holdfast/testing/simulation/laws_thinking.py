"""Laws about a run whose reasoner is a model: what it may cost, what it may believe, and what a model cannot bring about.

Like those in `laws.py` they are made from what was written, what the world saw and what the providers charged; nothing here asks
the core what it thinks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from holdfast.core import events as e
from holdfast.core.facts import Fact
from holdfast.core.models import ZERO
from holdfast.core.plan import Step
from holdfast.core.state import State
from holdfast.reasoners.model import Message, Request, size
from holdfast.testing.simulation.hostile import HostileScript
from holdfast.testing.simulation.providers import Charge

_SLACK = 0.002
_PROPOSALS = (
    e.PlanAdopted, e.PlanKept, e.QuestionsProposed, e.GoalInterpreted, e.FinishProposed, e.GiveUpProposed, e.ProposalFailed,
)  # fmt: skip
# Between two turns in which nothing else is written nothing was learned.
_DULL = (
    e.ProposalRequested, e.ModelAnswered, e.ModelFailed, e.PlanKept, e.ProposalFailed, e.ReasonerHeld, e.QuestionsProposed,
)  # fmt: skip
_ENDED = ("done", "skipped", "failed")
_GUESSED = ("inferred", "remembered")
# A model that fails in one of these ways will fail again.
_FOR_GOOD = ("denied", "not_found", "invalid_input")
# Requests to one model without an answer: its retries, its losses, and three times a shorter request.
_RETRIES, _SHORTER = 4, 4


class Track(msgspec.Struct):
    """What an outsider knows of the thinking of one run. open: the request that is under way; owing: the turn whose answer has
    brought no proposal yet; asked_with: what was believed when it was asked; unanswered: requests since one was answered; dull:
    turns in a row that taught nothing; finish: what became of the last result that was proposed; rests: for each step, the
    guesses that its arguments were taken from."""

    open: e.ProposalRequested | None = None
    owing: int | None = None
    asked_with: Mapping[str, Fact] = {}
    sent: set[tuple[int, int]] = set()
    unanswered: int = 0
    repairs: int = 0
    plans: int = 0
    dull: int = 0
    learned: bool = True
    begun: set[str] = set()
    dropped: set[str] = set()
    not_before: dict[str, float] = {}
    out: set[str] = set()
    finish: str = ""
    rests: dict[str, frozenset[str]] = {}
    charged: Decimal = ZERO
    tokens: int = 0


class Stage(Protocol):
    """What must be known of the seed that is played."""

    def broken(self, law: str, what: str) -> None: ...


class ThinkingLaws:
    """See the module's text."""

    def __init__(self, stage: Stage, script: HostileScript):
        self._stage = stage
        self._script = script
        self.tracks: dict[str, Track] = {}
        self._states: dict[str, State] = {}

    def _break(self, law: str, what: str) -> None:
        self._stage.broken(law, what)

    def _track(self, run_id: str) -> Track:
        return self.tracks.setdefault(run_id, Track())

    # --- what is charged ------------------------------------------------------------------------------------------

    def charged(self, charge: Charge) -> None:
        """A provider, or a tool, is to be paid."""
        track = self._track(charge.run_id)
        track.charged += charge.cost_usd
        track.tokens += charge.tokens
        self._check_money(self._states[charge.run_id])

    def _check_money(self, state: State) -> None:
        """What is spent and held stays within the limit; and it is all that was charged, or more."""
        track, limits = self._track(state.run_id), state.limits
        cost = state.spent.cost_usd + sum((held.cost_usd for held in state.reserved.values()), ZERO)
        tokens = state.spent.tokens + sum(held.tokens for held in state.reserved.values())
        if limits.cost_usd_max is not None and max(cost, track.charged) > limits.cost_usd_max:
            what = (
                f"{state.run_id}: {cost} are spent and held, {track.charged} were charged, and {limits.cost_usd_max} is the limit"
            )
            self._break("no more is spent than may be", what)
        if limits.tokens_max is not None and max(tokens, track.tokens) > limits.tokens_max:
            what = f"{state.run_id}: {tokens} tokens, {track.tokens} were charged, and {limits.tokens_max} is the limit"
            self._break("no more is spent than may be", what)
        if track.charged > cost or track.tokens > tokens:
            what = f"{state.run_id}: {track.charged} and {track.tokens} tokens were charged, {cost} and {tokens} are written down"
            self._break("what was charged is written down", what)

    # --- what a model is asked ------------------------------------------------------------------------------------

    def asked(self, run_id: str, request: Request, fence: int) -> None:
        """A request reaches a model. fence: of whoever has the run."""
        track, state = self._track(run_id), self._states[run_id]
        intent = track.open
        where = f"{run_id} turn {state.turn}"
        if intent is None or intent.model != request.model or state.ended:
            self._break("no request before its intent", f"{where}: {request.model} is asked, and {intent} is written")
            return
        if state.proposing != fence:
            self._break("who lost the claim asks nobody", f"{where}: asked under {state.proposing}, and {fence} has the run")
        if (intent.turn, intent.attempt) in track.sent:
            self._break("one request for each intent", f"{where} attempt {intent.attempt} is sent twice")
        track.sent.add((intent.turn, intent.attempt))
        held = intent.reserved
        if held is None or size(request) > held.input_tokens or request.output_tokens_max > held.output_tokens:
            what = f"{where}: {size(request)} bytes, answer of {request.output_tokens_max}, and {held} is held"
            self._break("a request is within what is held for it", what)
        self._check_conversation(where, request.messages)

    def _check_conversation(self, where: str, messages: tuple[Message, ...]) -> None:
        """Each call has one result, in the message after it, and there are no others."""
        seen = Counter[str]()
        for number, message in enumerate(messages):
            if message.role == (messages[number - 1].role if number else "assistant"):
                self._break("two sides take turns", f"{where}: message {number} of {message.role}")
            calls = [part.id for part in message.parts if part.kind == "call"]
            after = messages[number + 1].parts if number + 1 < len(messages) else ()
            results = [part.id for part in after if part.kind == "result"]
            if message.role == "assistant" and sorted(calls) != sorted(results):
                self._break("each call has one result", f"{where}: calls {calls}, results {results}")
            seen.update(calls)
        if twice := [id for id, count in seen.items() if count > 1 or not id]:
            self._break("the id of a call is its own", f"{where}: {twice}")
        if messages and any(part.kind == "result" for part in messages[0].parts):
            self._break("each call has one result", f"{where}: results without calls")

    # --- what is written ------------------------------------------------------------------------------------------

    def begun(self, state: State) -> None:
        """A run is in the store."""
        self._states[state.run_id] = state

    def written(self, before: State, event: e.AnyEvent, after: State, at: float) -> None:
        """An event was written."""
        self._states[before.run_id] = after
        track = self._track(before.run_id)
        if track.owing is not None and not isinstance(event, (*_PROPOSALS, e.FactsLearned)):
            self._break("an answer brings a proposal", f"{before.run_id} turn {track.owing}: {type(event).__name__} follows it")
        track.learned = track.learned or not isinstance(event, _DULL)
        check = _CHECKS.get(type(event))
        if check is not None:
            check(self, track, before, event, at)
        if isinstance(event, _PROPOSALS):
            self._proposed(track, before, event)
        if before.facts is not after.facts:
            self._check_facts(before, event, after)
        self._check_money(after)

    def _requested(self, track: Track, state: State, event: e.ProposalRequested, at: float) -> None:
        where, limits, thinking = f"{state.run_id} turn {event.turn}", state.limits, state.thinking
        assert thinking is not None, "only a model is asked here"
        if track.open is not None:
            self._break("one outcome for each request", f"{where}: {track.open.model} was asked, and nothing is written of it")
        track.open, track.asked_with = event, state.facts
        track.unanswered += 1
        if track.unanswered > len(thinking.models) * (_RETRIES + _SHORTER + limits.lost_max + 1):
            self._break("a model is asked a bounded number of times", f"{where}: {track.unanswered} requests, and no answer")
        if event.turn > limits.turns_max:
            self._break("turns are bounded", f"{where} of {limits.turns_max}")
        if event.attempt == 1:
            track.dull, track.learned = 0 if track.learned else track.dull + 1, False
            if track.dull > limits.idle_turns_max:
                self._break("turns that teach nothing are bounded", f"{where}: {track.dull} in a row")
        if at < track.not_before.get(event.model, 0.0) - _SLACK:
            self._break("a time that a provider named is kept", f"{where}: {event.model} is asked too early")
        if event.model in track.out:
            self._break("who will not answer is not asked", f"{where}: {event.model}")

    def _closed(self, track: Track, state: State, event: Any, at: float) -> None:
        """The one outcome of a request."""
        intent = track.open
        if intent is None or (intent.turn, intent.model) != (event.turn, event.model):
            self._break(
                "one outcome for each request", f"{state.run_id}: {type(event).__name__} of {event.model}, asked: {intent}"
            )
        track.open = None

    def _answered(self, track: Track, state: State, event: e.ModelAnswered, at: float) -> None:
        self._closed(track, state, event, at)
        track.owing, track.unanswered = event.turn, 0
        track.not_before.pop(event.model, None)

    def _failed(self, track: Track, state: State, event: e.ModelFailed, at: float) -> None:
        self._closed(track, state, event, at)
        failure = event.failure
        if failure.retry_after_seconds:
            track.not_before[event.model] = at + min(failure.retry_after_seconds, 1e9)
        if failure.kind in _FOR_GOOD and failure.detail is None:
            track.out.add(event.model)

    def _anew(self, track: Track) -> None:
        """Somebody said that the models are to be asked again, or they are others now."""
        track.not_before, track.out, track.unanswered = {}, set(), 0

    def _thinking_changed(self, track: Track, state: State, event: e.ThinkingChanged, at: float) -> None:
        self._anew(track)

    def _heard(self, track: Track, state: State, event: e.Answered, at: float) -> None:
        asked = state.interrupts.get(event.interrupt)
        if asked is not None and asked.about == "reasoner" and event.decision == "approve":
            self._anew(track)
        if asked is not None and asked.about == "handoff" and event.decision == "respond":
            track.finish = "accepted"  # Whoever took the run over says that its goal is reached.

    def _proposed(self, track: Track, state: State, event: Any) -> None:
        thinking = state.thinking
        assert thinking is not None, "only a model proposes here"
        if track.owing != event.turn:
            self._break(
                "an answer brings a proposal", f"{state.run_id} turn {event.turn}: {type(event).__name__}, owing {track.owing}"
            )
        track.owing = None
        track.repairs = track.repairs + 1 if isinstance(event, e.ProposalFailed) else 0
        if track.repairs > thinking.repairs_max:
            self._break("repairs are bounded", f"{state.run_id}: {track.repairs} of {thinking.repairs_max}")
        if isinstance(event, e.FinishProposed):
            track.finish = "proposed"
        if isinstance(event, e.PlanAdopted):
            self._adopted(track, state, event)

    def _adopted(self, track: Track, state: State, event: e.PlanAdopted) -> None:
        track.plans += 1
        horizon = state.thinking.horizon if state.thinking is not None else 1
        if horizon != 1 and track.plans > state.limits.revisions_max:
            self._break("plans are bounded", f"{state.run_id}: {track.plans} of {state.limits.revisions_max}")
        track.dropped |= {name for name in event.dropped if name not in track.begun}
        for step in event.plan.steps:
            if step.id in state.steps:
                self._break("what is planned stays planned", f"{state.run_id}: {step.id} is planned again")
            track.rests[step.id] = frozenset(_taken_from(step, track.asked_with))

    # --- what is begun --------------------------------------------------------------------------------------------

    def _intended(self, track: Track, state: State, event: e.CallIntended, at: float) -> None:
        name, where = event.step, f"{state.run_id} {event.step} of {event.tool}"
        step, contract = state.steps[name], state.contracts[event.tool]
        if name in track.dropped and name not in track.begun:
            self._break("a dropped step never begins", where)
        if name not in track.begun and contract.safety not in ("read", "idempotent") and not step.step.undoes:
            self._check_repeat(state, event, where)
        meant = step.edited is not None or bool(step.step.undoes) or name in track.begun
        if (contract.safety == "irreversible" or contract.approve == "always") and not meant:
            self._check_guesses(track, state, name, where)
        track.begun.add(name)

    def _check_repeat(self, state: State, event: e.CallIntended, where: str) -> None:
        mine = state.steps[event.step]
        if mine.edited is not None or mine.insisted:
            return
        for name in state.order:
            other = state.steps[name]
            same = other.tool == event.tool and other.args == event.args and other.occurrence == mine.occurrence
            made = other.attempt and other.phase not in ("skipped", "failed", "ready", "blocked") and name not in state.undone
            if name != event.step and same and made:
                self._break("a model repeats no effect", f"{where} is the call of {name}, which is {other.phase}")

    def _check_guesses(self, track: Track, state: State, name: str, where: str) -> None:
        """What cannot be taken back rests on no guess that no person has confirmed."""
        for guess in sorted(self._beneath(track, state, name)):
            self._break("nothing final rests on a guess", f"{where} rests on {guess}: {state.facts[guess]}")

    def _beneath(self, track: Track, state: State, name: str) -> set[str]:
        left, seen, found = [f"steps.{name}"], set[str](), set[str]()
        while left:
            each = left.pop()
            if each in seen:
                continue
            seen.add(each)
            if each.startswith("steps.") and (step := state.steps.get(each.removeprefix("steps."))) is not None:
                form = step.step
                left.extend((*form.rests_on, *form.needs_fresh, *track.rests.get(form.id, ())))
                left.extend(_references(form.args))
            elif (fact := state.facts.get(each)) is not None:
                left.extend(fact.rests_on)
                if fact.source in _GUESSED and not fact.confirmed_by and not fact.stale:
                    found.add(each)
        return found

    # --- what is believed -----------------------------------------------------------------------------------------

    def _check_facts(self, before: State, event: e.AnyEvent, after: State) -> None:
        for name, old in before.facts.items():
            new = after.facts.get(name)
            if new is old:
                continue
            where = f"{before.run_id} {name[:60]}, by {type(event).__name__}"
            if new is None:
                self._break("what was known is not forgotten", where)
                continue
            firm = old.pinned or (old.source not in _GUESSED and not old.stale)
            if firm and new.source in _GUESSED:
                self._break("a guess is not believed over what was seen or said", f"{where}: {old} became {new}")
            if new.confirmed_by and not old.confirmed_by and not isinstance(event, e.Answered):
                self._break("only a person confirms a guess", where)
        noted = event.facts if isinstance(event, e.FactsLearned) and event.reason.startswith("noted") else ()
        if any(fact.source != "inferred" or fact.confirmed_by or fact.pinned for fact in noted):
            self._break("what a model says is a guess", f"{before.run_id}: {noted}")
        if isinstance(event, e.GoalInterpreted):
            said = [fact for fact in event.facts if fact.source != "inferred"]
            known = (*before.goal.inputs.values(), *before.goal.text.replace(",", " ").replace(".", " ").split())
            if any(fact.value not in known for fact in said):
                self._break("what a model says is a guess", f"{before.run_id}: the goal says nothing of {said}")

    # --- the end --------------------------------------------------------------------------------------------------

    def _ruled(self, track: Track, state: State, event: e.FinishRuled, at: float) -> None:
        track.finish = "accepted" if event.accepted else "refused"

    def _goal_changed(self, track: Track, state: State, event: e.GoalChanged, at: float) -> None:
        track.finish = ""

    def _completed(self, track: Track, state: State, event: e.RunCompleted, at: float) -> None:
        wanted = ("accepted",) if self._script.accepting else ("proposed", "accepted")
        if track.finish not in wanted:
            self._break(
                "a refused finish completes nothing", f"{state.run_id}: {event.result!r} was {track.finish or 'not proposed'}"
            )
        ok = isinstance(event.result, dict) and event.result.get("ok") is True
        formed = isinstance(event.result, dict) and "ok" in event.result
        if (self._script.accepting and not ok) or (self._script.result_schema is not None and not formed):
            self._break("a refused finish completes nothing", f"{state.run_id}: completed with {event.result!r}")
        open_ones = [name for name in state.order if state.steps[name].phase not in _ENDED]
        if open_ones or state.pending:
            self._break("a run completes when all has ended", f"{state.run_id}: {open_ones} {list(state.pending)}")

    def check_end(self, states: Mapping[str, State]) -> None:
        """Once everything has landed."""
        for run_id, state in states.items():
            self._states[run_id] = state
            self._check_money(state)
            track = self._track(run_id)
            if track.open is not None:
                self._break("one outcome for each request", f"{run_id} ended, and nothing is written of {track.open}")
            if state.reserved:
                self._break("nothing is held when a run has ended", f"{run_id}: {state.reserved}")


def _references(form: Any) -> Iterator[str]:
    """What arguments refer to: facts by name, steps as `steps.ID`."""
    if isinstance(form, dict):
        to = form.get("$ref")
        if isinstance(to, str):
            root, _, rest = to.partition(".")
            if root == "facts":
                yield rest
                yield rest.partition(".")[0]
            elif root == "steps":
                yield f"steps.{rest.partition('.')[0]}"
        for name, part in form.items():
            yield from _references(part) if name != "$literal" else ()
    elif isinstance(form, list):
        for part in form:
            yield from _references(part)


def _taken_from(step: Step, facts: Mapping[str, Fact]) -> Iterator[str]:
    """The facts whose values stand among the arguments of a step as they are."""
    words = {part.strip().casefold() for part in _texts(step.args)}
    for name, fact in facts.items():
        if isinstance(fact.value, str) and len(fact.value.strip()) > 1 and fact.value.strip().casefold() in words:
            yield name


def _texts(form: Any) -> Iterator[str]:
    if isinstance(form, str):
        yield form
    elif isinstance(form, dict):
        for name, part in form.items():
            if name not in ("$ref", "$secret"):
                yield from _texts(part)
    elif isinstance(form, list):
        for part in form:
            yield from _texts(part)


_CHECKS: dict[type[e.Event], Any] = {
    e.ProposalRequested: ThinkingLaws._requested,
    e.ModelAnswered: ThinkingLaws._answered,
    e.ModelFailed: ThinkingLaws._failed,
    e.ModelCallLost: ThinkingLaws._closed,
    e.ThinkingChanged: ThinkingLaws._thinking_changed,
    e.Answered: ThinkingLaws._heard,
    e.CallIntended: ThinkingLaws._intended,
    e.FinishRuled: ThinkingLaws._ruled,
    e.GoalChanged: ThinkingLaws._goal_changed,
    e.RunCompleted: ThinkingLaws._completed,
}
