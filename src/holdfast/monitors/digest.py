"""A run in a few numbers: what the monitors look at, drawn from its journal in one pass.

A digest says nothing that the journal does not, and judges nothing; all monitors are functions over digests, so they can be
tested without a store. Of a fork, what its source did does not count: those were the source's calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, cast

import msgspec

from holdfast.core import events as e
from holdfast.core.contract import Contract
from holdfast.core.facts import RANK
from holdfast.core.models import Usage
from holdfast.monitors.sizes import Size, parts_of

Outcome = Literal["ok", "partial", "deferred", "failed", "unknown"]
Ended = Literal["", "completed", "failed", "cancelled"]
Contradicted = Literal["observed", "guessed", "refused", "happened", "late", "unseen"]
# Failures that say that the tool answered, and that its answer was not enough.
_NOT_ENOUGH = ("insufficient", "invalid_output")
MODEL = "model "


class Call(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A call of a tool that came to an end; a request to a model counts as one of the tool `model NAME`. entry, at: of the
    outcome. seconds: how long it took, known of those that returned a result. cost_usd: what was reported, or declared; None
    where neither was."""

    tool: str
    step: str
    entry: int
    at: float
    outcome: Outcome
    seconds: float | None = None
    cost_usd: float | None = None

    @property
    def is_good(self) -> bool:
        """Whether the tool did what it was called for, or took it on."""
        return self.outcome in ("ok", "partial", "deferred")


class Tries(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How often a step called a tool. entry, at: of the last of these calls."""

    tool: str
    step: str
    count: int
    entry: int
    at: float


class Contradiction(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What was believed and what was found differ. observed: a tool found a fact to be otherwise; guessed: a guess was wrong, as
    somebody said or saw; refused: a tool said ok, and its result did not do; happened: a call that had failed had happened; late:
    a delivery says otherwise than what was settled; unseen: what was done never showed. name: of the fact, where it is one."""

    kind: Contradicted
    entry: int
    at: float
    what: str
    step: str = ""
    name: str = ""


class Refused(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A proposed result that did not count as done."""

    entry: int
    by: str
    reason: str


class RunDigest(msgspec.Struct, frozen=True, kw_only=True):
    """See the module's text.

    status: empty while it goes on. started_at, ended_at, changed_at: seconds since the epoch. end: the entry with which it ended.
    parts: how much there is of its result, by name, and of all of it under "". steps: planned and not given up again; skipped,
    replaced, flagged, partial, outdated: as in `RunCompleted`; unknown: those that may have changed the world and of which nobody
    knows. accept: what was to count as done, in words; accepted: whether the last verdict was a yes (None: there was none);
    refused: the verdicts that were a no. asked: questions to people. document: what conditions of users look at, of a completed
    run, where it was wanted. simulated: nothing of it happened.
    """

    run_id: str
    agent: str
    status: Ended
    started_at: float
    changed_at: float
    ended_at: float | None = None
    entries: int = 0
    end: int = 0
    parts: dict[str, Size] = {}
    steps: int = 0
    skipped: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    flagged: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    accept: str = ""
    accepted: bool | None = None
    refused: tuple[Refused, ...] = ()
    asked: int = 0
    calls: tuple[Call, ...] = ()
    tries: tuple[Tries, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    cost_usd: float = 0.0
    document: dict[str, Any] | None = None
    simulated: bool = False

    @property
    def is_completed(self) -> bool:
        """Whether it says that it is done."""
        return self.status == "completed"


def digest(entries: Iterable[e.Entry], *, document: bool = False) -> RunDigest | None:
    """The digest of a journal, whole and in order; None of an empty one. document: what conditions look at is kept with it."""
    walk = _Walk()
    for entry in entries:
        walk.take(entry)
    return walk.whole(document) if walk.started else None


class _Walk:
    """One pass over a journal."""

    def __init__(self) -> None:
        self.started = False

    def _begin(self, event: e.RunStarted, entry: e.Entry) -> None:
        self.started = True
        self.run_id, self.agent = event.run_id, event.agent
        self.goal, self.tenant, self.labels = event.goal, event.tenant, event.labels
        self.started_at = entry.at
        self.contracts: dict[str, Contract] = {contract.tool: contract for contract in event.contracts}
        self.accept = event.accept
        self.planned: dict[str, None] = {}
        self.facts: dict[str, int] = {}
        self.ended: e.RunCompleted | e.RunFailed | e.RunCancelled | None = None
        self.end = 0
        self.ended_at: float | None = None
        self.fork: e.RunForked | None = None
        self.doubts: dict[str, None] = {}
        # What the run takes a step to have come to: done, failed, or nothing yet.
        self.believed: dict[str, Literal["done", "failed"]] = {}
        self.open: dict[str, tuple[str, float]] = {}
        self._clear()

    def _clear(self) -> None:
        """Forget what was counted so far."""
        self.calls: list[Call] = []
        self.tries: dict[tuple[str, str], Tries] = {}
        self.contradictions: list[Contradiction] = []
        self.refused: list[Refused] = []
        self.accepted: bool | None = None
        self.asked: dict[str, e.Asked] = {}
        self.cost = 0.0

    def take(self, entry: e.Entry) -> None:
        event = entry.event
        self.entry = entry
        if isinstance(event, e.RunStarted):
            self._begin(event, entry)
            return
        heard = _HEARD.get(type(event))
        if heard is not None:
            heard(self, event)

    # --- calls ----------------------------------------------------------------------------------------------------

    def _intended(self, event: e.CallIntended) -> None:
        self.open[event.step] = (event.tool, self.entry.at)
        key = (event.step, event.tool)
        before = self.tries.get(key)
        self.tries[key] = Tries(
            tool=event.tool, step=event.step, count=1 + (before.count if before else 0), entry=self.entry.sequence,
            at=self.entry.at,
        )  # fmt: skip

    def _called(
        self, event: e.CallSucceeded | e.CallPartial | e.CallDeferred | e.CallFailed | e.CallUnknown, outcome: Outcome,
        seconds: float | None = None,
    ) -> None:  # fmt: skip
        tool, _ = self.open.get(event.step, ("", 0.0))
        contract = self.contracts.get(tool)
        cost: float | None = None
        if event.spent is not None:
            cost = float(event.spent.cost_usd)
        elif contract is not None and contract.cost_usd is not None and outcome == "ok":
            cost = float(contract.cost_usd)
        place = self.entry
        self._count(Call(
            tool=tool, step=event.step, entry=place.sequence, at=place.at, outcome=outcome, seconds=seconds, cost_usd=cost
        ))  # fmt: skip

    def _count(self, call: Call) -> None:
        self.calls.append(call)
        self.cost += call.cost_usd or 0.0

    def _succeeded(self, event: e.CallSucceeded) -> None:
        self._called(event, "ok", event.seconds)
        self._done(event.step)

    def _in_part(self, event: e.CallPartial) -> None:
        self._called(event, "partial")
        self._done(event.step)

    def _deferred(self, event: e.CallDeferred) -> None:
        self._called(event, "deferred")
        self.doubts.pop(event.step, None)
        self.believed.pop(event.step, None)

    def _done(self, step: str) -> None:
        self.doubts.pop(step, None)
        self.believed[step] = "done"

    def _failed(self, event: e.CallFailed) -> None:
        self._called(event, "failed")
        self.believed[event.step] = "failed"
        if event.failure.landed or event.failure.kind in _NOT_ENOUGH:
            self._apart("refused", f"the tool said ok, and its result did not do: {event.failure.message}", event.step)

    def _unknown(self, event: e.CallUnknown) -> None:
        self._called(event, "unknown")
        contract = self.contracts.get(self.open.get(event.step, ("", 0.0))[0])
        if contract is None or contract.safety != "read":
            self.doubts[event.step] = None

    def _probed(self, event: e.ProbeAnswered) -> None:
        if event.verdict == "happened":
            if self.believed.get(event.step) == "failed":
                self._apart("happened", "the call had failed, and a probe found that it had happened", event.step)
            self._done(event.step)
            if event.failure is not None:
                self._apart("refused", f"a probe found it, and it did not do: {event.failure.message}", event.step)
        elif event.verdict == "not_happened":
            self.doubts.pop(event.step, None)

    def _recovered(self, event: e.RecoveryRuled) -> None:
        if event.action in ("take", "fail"):
            self.doubts.pop(event.step, None)

    def _delivered(self, event: e.CallbackReceived) -> None:
        believed = self.believed.get(event.step)
        if believed == "failed" and event.failure is None:
            self._apart("late", "it counted as failed, and its result was delivered all the same", event.step)
        elif believed == "done" and event.failure is not None:
            self._apart(
                "late", f"it counted as done, and the other side says that it was not: {event.failure.message}", event.step
            )
        self.doubts.pop(event.step, None)
        self.believed[event.step] = "failed" if event.failure is not None else "done"

    def _refused_delivery(self, event: e.CallbackRefused) -> None:
        if self.believed.get(event.step) == "failed":
            self._apart("late", f"it counted as failed, and was delivered when it was too late: {event.reason}", event.step)

    def _owed(self, event: e.PendingRuled) -> None:
        if event.action in ("settle", "repeat"):
            return
        if self.believed.get(event.step) == "done":
            self._apart("unseen", f"it was done, and {event.reason}", event.step)
        elif event.action in ("fail", "give_up"):
            self.believed[event.step] = "failed"

    def _by_hand(self, event: e.StepDoneByHand) -> None:
        self._done(event.step)

    def _child(self, event: e.ChildEnded) -> None:
        self.believed[event.step] = "failed" if event.failure is not None or event.status != "completed" else "done"

    # --- models ---------------------------------------------------------------------------------------------------

    def _answered_by_model(self, event: e.ModelAnswered) -> None:
        self._modelled(event.model, "ok", event.usage, event.seconds)

    def _model_failed(self, event: e.ModelFailed) -> None:
        self._modelled(event.model, "failed", event.usage)

    def _model_lost(self, event: e.ModelCallLost) -> None:
        self._modelled(event.model, "unknown", event.usage)

    def _modelled(self, model: str, outcome: Outcome, usage: Usage, seconds: float | None = None) -> None:
        place = self.entry
        cost = float(usage.cost_usd)
        self._count(Call(
            tool=MODEL + model, step="", entry=place.sequence, at=place.at, outcome=outcome, seconds=seconds, cost_usd=cost
        ))  # fmt: skip

    # --- the plan, and what counts as done --------------------------------------------------------------------------

    def _adopted(self, event: e.PlanAdopted) -> None:
        for dropped in event.dropped:
            self.planned.pop(dropped, None)
        self.planned.update(dict.fromkeys(step.id for step in event.plan.steps))

    def _skipped(self, event: e.StepSkipped) -> None:
        self.believed[event.step] = "failed"
        if event.needless:
            self.planned.pop(event.step, None)

    def _verdict(self, event: e.FinishRuled) -> None:
        self.accepted = event.accepted
        if not event.accepted:
            self.refused.append(Refused(entry=self.entry.sequence, by=event.by, reason=event.reason))

    def _changed_agent(self, event: e.AgentChanged) -> None:
        self.contracts = {contract.tool: contract for contract in event.contracts}

    def _changed_goal(self, event: e.GoalChanged) -> None:
        inputs = {**self.goal.inputs, **event.goal.inputs}
        self.goal = msgspec.structs.replace(event.goal, inputs=inputs)

    def _forked(self, event: e.RunForked) -> None:
        self.fork = event
        self.run_id, self.agent, self.accept = event.run_id, event.agent, event.accept
        self.contracts = {contract.tool: contract for contract in event.contracts}
        self.started_at = self.entry.at
        self._clear()

    # --- what is believed -------------------------------------------------------------------------------------------

    def _learned(self, event: e.FactsLearned) -> None:
        told = {fact.name for fact in event.facts if fact.source == "told"}
        for drift in event.drifts:
            guess = RANK[drift.source] < RANK["observed"]
            if guess or drift.name not in told:
                who = event.reason if drift.name in told else f"step {event.step} observed it" if event.step else event.reason
                said = f"{drift.name} was believed to be {_brief(drift.believed)}, and is {_brief(drift.observed)} ({who})"
                self._apart("guessed" if guess else "observed", said, event.step, drift.name)

    def _question(self, event: e.Asked) -> None:
        self.asked[event.interrupt] = event

    def _answered(self, event: e.Answered) -> None:
        asked = self.asked.get(event.interrupt)
        if asked is None:
            return
        if asked.about in ("doubt", "owed") and asked.step:
            self.doubts.pop(asked.step, None)
        elif asked.about == "fact" and event.decision == "edit" and isinstance(event.value, dict):
            for name, value in event.value.items():
                if name in asked.facts:
                    self._apart("guessed", f"{name} was a guess; {event.by} says that it is {_brief(value)}", name=name)

    def _apart(self, kind: Contradicted, what: str, step: str = "", name: str = "") -> None:
        place = self.entry
        self.contradictions.append(
            Contradiction(kind=kind, entry=place.sequence, at=place.at, what=what[:_WHAT_MAX], step=step, name=name)
        )

    # --- the end ----------------------------------------------------------------------------------------------------

    def _ended(self, event: e.RunCompleted | e.RunFailed | e.RunCancelled) -> None:
        self.ended, self.end, self.ended_at = event, self.entry.sequence, self.entry.at

    def whole(self, document: bool) -> RunDigest:
        """The digest of what was taken."""
        given: dict[str, Any] = {}
        done = self.ended if isinstance(self.ended, e.RunCompleted) else None
        if done is not None:
            given = {
                "parts": parts_of(done.result), "skipped": done.skipped, "replaced": tuple(done.replaced),
                "flagged": done.flagged, "partial": done.partial, "outdated": done.outdated, "unknown": tuple(self.doubts),
            }  # fmt: skip
            if document:
                given["document"] = self._document(done)
        return RunDigest(
            run_id=self.run_id, agent=self.agent, status=_STATUS.get(type(self.ended), ""), started_at=self.started_at,
            changed_at=self.entry.at, ended_at=self.ended_at, entries=self.entry.sequence, end=self.end, steps=len(self.planned),
            accept=_accept_words(self.accept), accepted=self.accepted, refused=tuple(self.refused), asked=len(self.asked),
            calls=tuple(self.calls), tries=tuple(self.tries.values()), contradictions=tuple(self.contradictions),
            cost_usd=self.cost, simulated=self.fork is not None and self.fork.mode == "simulate", **given,
        )  # fmt: skip

    def _document(self, done: e.RunCompleted) -> dict[str, Any]:
        return {
            "result": done.result, "inputs": self.goal.inputs, "agent": self.agent, "tenant": self.tenant, "labels": self.labels,
            "spent_usd": self.cost, "seconds": self.entry.at - self.started_at,
        }  # fmt: skip


# What a condition of a user's on a completed run may start at; `_Walk._document` lays it out.
CHECK_WORDS = ("result", "inputs", "agent", "tenant", "labels", "spent_usd", "seconds")
_WHAT_MAX, _BRIEF_MAX = 400, 80
_STATUS: dict[Any, Ended] = {e.RunCompleted: "completed", e.RunFailed: "failed", e.RunCancelled: "cancelled"}
_HEARD: dict[type[e.Event], Any] = cast(
    dict[type[e.Event], Any],
    {
        e.CallIntended: _Walk._intended, e.CallSucceeded: _Walk._succeeded, e.CallPartial: _Walk._in_part,
        e.CallDeferred: _Walk._deferred, e.CallFailed: _Walk._failed, e.CallUnknown: _Walk._unknown,
        e.ProbeAnswered: _Walk._probed, e.RecoveryRuled: _Walk._recovered, e.CallbackReceived: _Walk._delivered,
        e.CallbackRefused: _Walk._refused_delivery, e.PendingRuled: _Walk._owed, e.StepDoneByHand: _Walk._by_hand,
        e.ChildEnded: _Walk._child, e.ModelAnswered: _Walk._answered_by_model, e.ModelFailed: _Walk._model_failed,
        e.ModelCallLost: _Walk._model_lost, e.PlanAdopted: _Walk._adopted, e.StepSkipped: _Walk._skipped,
        e.FinishRuled: _Walk._verdict, e.AgentChanged: _Walk._changed_agent, e.GoalChanged: _Walk._changed_goal,
        e.RunForked: _Walk._forked, e.FactsLearned: _Walk._learned, e.Asked: _Walk._question, e.Answered: _Walk._answered,
        e.RunCompleted: _Walk._ended, e.RunFailed: _Walk._ended, e.RunCancelled: _Walk._ended,
    },
)  # fmt: skip


def _accept_words(accept: Any) -> str:
    return "" if accept is None else " and ".join(filter(None, (accept.that, accept.tool)))


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _BRIEF_MAX else f"{text[:_BRIEF_MAX]}…"
