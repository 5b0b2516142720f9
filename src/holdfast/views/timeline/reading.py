"""A journal, entry by entry, as a timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from holdfast.core import events as e
from holdfast.core.evolve import evolve
from holdfast.core.forks import is_simulated
from holdfast.core.models import Usage
from holdfast.core.pending import Pending
from holdfast.core.state import State, status
from holdfast.views.entries import told
from holdfast.views.entries_people import asked_words
from holdfast.views.runs import questions
from holdfast.views.steps import step_words
from holdfast.views.timeline.records import (
    Bar,
    Lane,
    Line,
    Mark,
    Outcome,
    PlanMade,
    Sign,
    Spent,
    Timeline,
    Wait,
    What,
    Why,
)
from holdfast.views.words import FIELD_MAX, cut, listed, moment, span, usd

RUN, MODELS = "", "\0models"
_CALLS: dict[type[e.Event], Outcome] = {
    e.CallSucceeded: "ok",
    e.CallPartial: "part",
    e.CallDeferred: "deferred",
    e.CallFailed: "failed",
    e.CallUnknown: "unknown",
}
_VERDICTS: dict[e.Verdict, Outcome] = {
    "happened": "ok", "not_happened": "ok", "not_yet": "deferred", "cannot_tell": "unknown",
}  # fmt: skip
# What ends a request to a reasoner that is no model.
_PROPOSALS = (
    e.PlanAdopted, e.PlanKept, e.QuestionsProposed, e.GoalInterpreted, e.FinishProposed, e.GiveUpProposed, e.ProposalFailed,
)  # fmt: skip
_SIGNS: dict[type[e.Event], Sign] = {
    e.ApprovalGiven: "yes", e.StepDoneByHand: "yes",
    e.InterruptExpired: "no", e.CallRefused: "no", e.StepFailed: "no", e.CallbackRefused: "no", e.AnswerVoided: "no",
    e.WordVoided: "no", e.LimitReached: "no", e.FollowUpSuppressed: "no",
    e.Reminded: "word", e.Escalated: "word", e.Commented: "word", e.CallbackReceived: "word", e.ChildEnded: "word",
    e.SignalReceived: "word", e.Instructed: "word", e.GoalChanged: "word", e.CancelRequested: "word", e.HandoffRequested: "word",
    e.RunPaused: "word", e.RunContinued: "word", e.AgentChanged: "word", e.PolicyChanged: "word", e.ThinkingChanged: "word",
    e.StepSkipped: "ruling", e.FallbackRuled: "ruling", e.ReuseRuled: "ruling", e.RestPlanned: "ruling",
    e.UndoPlanned: "ruling", e.PlanSuspected: "ruling", e.FactsInvalidated: "ruling", e.FinishRuled: "ruling",
    e.InterruptWithdrawn: "ruling", e.RoomRefused: "ruling", e.Inferred: "ruling",
}  # fmt: skip
# Those are rough: something did not go as planned, or somebody had to be waited for.
_ROUGH: frozenset[Outcome] = frozenset({"failed", "unknown", "part", "open"})


class _Open(msgspec.Struct, frozen=True, kw_only=True):
    """An intent without its outcome."""

    what: What
    lane: str
    at: float
    entry: int
    attempt: int
    words: str


class _Draft(msgspec.Struct):
    """A lane that is being filled."""

    bars: list[Bar] = []
    waits: list[Wait] = []
    marks: list[Mark] = []
    plan: int = 0


def timeline(entries: Sequence[e.Entry], now: float | None = None) -> Timeline:
    """A run over time. entries: at least one. now: where the run still goes on, the end of what is shown; None: its last
    entry."""
    reading = _Reading()
    for entry in entries:
        reading.read(entry)
    return reading.finish(now)


class _Reading:
    """What was read up to now."""

    def __init__(self) -> None:
        self.state: State | None = None
        self.begin = self.at = 0.0
        self.drafts: dict[str, _Draft] = {}
        self.open: dict[tuple[What, str], _Open] = {}
        self.waiting: dict[tuple[str, str], tuple[str, Wait]] = {}
        self.lines: list[Line] = []
        self.plans: list[PlanMade] = []
        self.costs: list[Spent] = []
        self.simulated = False

    def read(self, entry: e.Entry) -> None:
        before = self.state
        state = self.state = evolve(before, entry)
        if before is None:
            self.begin = self.at = entry.at
        # A clock that was set back does not turn a picture around.
        self.at = max(self.at, entry.at)
        event = entry.event
        step = getattr(event, "step", "")
        name = step if isinstance(step, str) else ""
        if name and not isinstance(event, e.Asked):
            self.stop(("try", name))
        self.effects(entry, event, state)
        self.waits(event, name, state)
        self.changes(before, state)
        self.moments(event, state)
        if isinstance(event, e.Answered):
            sign: Sign = "no" if event.decision in ("reject", "cancel") else "yes"
            self.mark(entry, sign, self.lane_of(event, before, name), told(event, state) or "")
        elif type(event) in _SIGNS and (words := told(event, state) or _untold(event)):
            self.mark(entry, _SIGNS[type(event)], self.lane_of(event, before, name), words)
        elif isinstance(event, e.PolicyRuled) and event.ruling.verdict == "block":
            self.mark(entry, "no", name, told(event, state) or "")

    # --- what was done --------------------------------------------------------------------------------------------

    def effects(self, entry: e.Entry, event: e.AnyEvent, state: State) -> None:
        """Intents begin bars, outcomes end them."""
        match event:
            case e.CallIntended(step=step, attempt=attempt):
                self.intend(entry, "call", step, attempt, told(event, state) or "")
            case e.ProbeIntended(step=step, probe=probe):
                self.intend(entry, "probe", step, probe, told(event, state) or "")
            case e.ChecksIntended(step=step):
                self.intend(entry, "check", step, 1, told(event, state) or "")
            case e.ProposalRequested(model=model, attempt=attempt):
                self.stop(("model", MODELS))
                self.intend(entry, "model" if model else "reasoner", MODELS, attempt, told(event, state) or "asks its reasoner")
            case e.RecallIntended():
                self.intend(entry, "memory", MODELS, 1, told(event, state) or "")
            case e.ProbeAnswered(step=step, verdict=verdict, failure=failure):
                self.end("probe", step, "failed" if failure is not None else _VERDICTS[verdict], told(event, state) or "")
            case e.ChecksAnswered(step=step, answers=answers):
                unsure = any(answer.holds is None for answer in answers.values())
                self.end("check", step, "unknown" if unsure else "ok", told(event, state) or "")
            case e.ModelAnswered():
                self.end("model", MODELS, "ok", told(event, state) or "", _usage_brief(event.usage))
            case e.ModelFailed():
                self.end("model", MODELS, "failed", told(event, state) or "")
            case e.ModelCallLost():
                self.end("model", MODELS, "unknown", told(event, state) or "")
            case e.MemoryRecalled(failure=failure):
                self.end("memory", MODELS, "failed" if failure else "ok", told(event, state) or "")
            case _ if type(event) in _CALLS:
                self.end("call", str(getattr(event, "step", "")), _CALLS[type(event)], told(event, state) or "")
            case _ if isinstance(event, _PROPOSALS):
                failed = isinstance(event, e.ProposalFailed | e.GiveUpProposed)
                self.end("reasoner", MODELS, "failed" if failed else "ok", told(event, state) or "")
            case _:
                pass

    def intend(self, entry: e.Entry, what: What, lane: str, attempt: int, words: str) -> None:
        self.end(what, lane, "unknown", "nobody heard of it again")
        self.open[what, lane] = _Open(what=what, lane=lane, at=self.at, entry=entry.sequence, attempt=attempt, words=words)

    def end(self, what: What, lane: str, outcome: Outcome, words: str, brief: str = "") -> None:
        begun = self.open.pop((what, lane), None)
        if begun is not None:
            self.draft(lane).bars.append(_bar(begun, outcome, self.at, words, brief))

    def draft(self, lane: str) -> _Draft:
        return self.drafts.setdefault(lane, _Draft())

    # --- what was waited for --------------------------------------------------------------------------------------

    def waits(self, event: e.AnyEvent, name: str, state: State) -> None:
        """Waits that an entry begins and the next one about the same ends."""
        match event:
            case e.RetryRuled(due_at=due_at):
                self.wait(("try", name), name, "retry", "next try", told(event, state) or "", due_at)
            case e.RecoveryRuled(due_at=due_at) if due_at > self.at:
                self.wait(("try", name), name, "retry", "looks again", told(event, state) or "", due_at)
            case e.CallHeld(until=until):
                self.wait(("try", name), name, "held", "held back", told(event, state) or "", until)
            case e.ReasonerHeld(until=until):
                self.wait(("model", MODELS), MODELS, "held", "no model", told(event, state) or "", until)
            case _:
                pass

    def changes(self, before: State | None, state: State) -> None:
        """Waits that begin and end with what the state has."""
        asked = before.interrupts if before is not None else {}
        if asked is not state.interrupts:
            for interrupt in asked.keys() - state.interrupts.keys():
                self.stop(("asked", interrupt))
            for interrupt, question in state.interrupts.items():
                if interrupt not in asked:
                    who = asked_words(question)
                    words = f"asks {who}: {cut(question.question)}; until {moment(question.expires_at)}"
                    lane = question.step if question.step in state.steps else RUN
                    brief = listed(question.who, 3) if question.who else question.kind
                    self.wait(("asked", interrupt), lane, "person", f"asked: {brief}", words, question.expires_at)
        owed = before.pending if before is not None else {}
        if owed is not state.pending:
            for name, one in owed.items():
                if name not in state.pending or state.pending[name].about != one.about:
                    self.stop(("owed", name))
            for name, one in state.pending.items():
                if name not in owed or owed[name].about != one.about:
                    self.wait(("owed", name), name, "owed", _owed_brief(one), _owed_words(one), one.until)
        held = before is not None and (before.paused is not None or before.handoff is not None)
        if (state.paused is not None or state.handoff is not None) is not held:
            if held:
                self.stop(("paused", RUN))
            else:
                by = state.paused.by if state.paused is not None else state.handoff.by if state.handoff is not None else ""
                until = state.paused.until if state.paused is not None else None
                self.wait(("paused", RUN), RUN, "paused", "paused", f"nothing new begins: {cut(by or 'somebody')}", until)

    def wait(self, key: tuple[str, str], lane: str, why: Why, brief: str, words: str, until: float | None) -> None:
        self.stop(key)
        self.waiting[key] = lane, Wait(why=why, begin=self.at, end=self.at, brief=brief, words=words, until=until)

    def stop(self, key: tuple[str, str]) -> None:
        lane, begun = self.waiting.pop(key, ("", None))
        if begun is not None:
            self.draft(lane).waits.append(msgspec.structs.replace(begun, end=self.at))

    # --- moments --------------------------------------------------------------------------------------------------

    def moments(self, event: e.AnyEvent, state: State) -> None:
        """What happened to the run as a whole."""
        match event:
            case e.RunResumed(worker=worker) if self.open:
                left = listed(dict.fromkeys(one.lane if one.lane != MODELS else "a model" for one in self.open.values()))
                words = f"a worker was lost while it was at {left or 'the plan'}; {cut(worker, FIELD_MAX)} took the run on"
                self.lines.append(Line(kind="crash", at=self.at, words=words))
            case e.RunForked(source=source, entry=at, mode=mode, by=by):
                said = f" by {cut(by, FIELD_MAX)}" if by else ""
                words = f"forked{said} from entry {at} of {cut(source, FIELD_MAX)} ({mode}); what is before this is its record"
                self.lines.append(Line(kind="fork", at=self.at, words=words))
                for (what, lane), begun in list(self.open.items()):
                    if what != "call":
                        self.end(what, lane, "unknown", f"{begun.words}: what came of it belongs to the source")
            case e.PlanAdopted(revision=revision, reason=reason):
                self.plans.append(PlanMade(revision=revision, at=self.at, reason=cut(reason)))
            case _:
                pass
        for name in _adds(event):
            self.draft(name).plan = state.revision
        if not self.costs or self.costs[-1].usd != state.spent.cost_usd:
            self.costs.append(Spent(at=self.at, usd=state.spent.cost_usd))

    def mark(self, entry: e.Entry, sign: Sign, lane: str, words: str) -> None:
        self.draft(lane).marks.append(Mark(sign=sign, at=self.at, entry=entry.sequence, words=words))

    def lane_of(self, event: e.AnyEvent, before: State | None, name: str) -> str:
        """The step that an entry is about, or the run."""
        interrupt = getattr(event, "interrupt", "")
        if not name and before is not None and interrupt in before.interrupts:
            name = before.interrupts[interrupt].step
        return name if before is not None and name in before.steps else RUN

    # --- the end --------------------------------------------------------------------------------------------------

    def finish(self, now: float | None) -> Timeline:
        state = self.state
        assert state is not None, "a run has an entry"
        end = self.at if state.ended or now is None else max(self.at, now)
        for lane, wait in self.waiting.values():
            self.draft(lane).waits.append(msgspec.structs.replace(wait, end=end, is_open=not state.ended))
        for begun in self.open.values():
            self.draft(begun.lane).bars.append(_bar(begun, "open", end, "nobody knows yet"))
        return Timeline(
            run_id=state.run_id, begin=self.begin, end=end, agent=state.agent, goal=state.goal.text,
            status=status(state, state.at), reason=_reason(state), entries=state.version, steps=len(state.order),
            attempts=state.attempts, spent_usd=state.spent.cost_usd, tokens=state.spent.tokens,
            source=state.fork.source if state.fork is not None else "", simulated=is_simulated(state),
            lanes=tuple(self.lanes(state)), lines=tuple(self.lines), plans=tuple(self.plans),
            costs=tuple(self.costs) if state.spent.cost_usd else (),
        )  # fmt: skip

    def lanes(self, state: State) -> list[Lane]:
        found = []
        run, models = self.drafts.get(RUN, _Draft()), self.drafts.get(MODELS, _Draft())
        if run.bars or run.waits or run.marks:
            found.append(_lane("run", "the run", run))
        # That a plan as written was taken up is nothing to look at.
        if any(bar.what != "reasoner" for bar in models.bars) or len(models.bars) > 1 or models.waits:
            count = sum(bar.what == "model" for bar in models.bars)
            said = _usage_brief(state.spent) if count else ""
            found.append(_lane("models", "models" if count else "reasoner", models, outcome=said))
        for name in state.order:
            step = state.steps[name]
            draft = self.drafts.get(name, _Draft())
            lane = _lane("step", name, draft, tool=step.tool or step.step.tool, outcome=step_words(state, step))
            why = step.reason if step.phase in ("failed", "skipped") else ""
            found.append(msgspec.structs.replace(lane, outcome=f"{lane.outcome}: {cut(why, FIELD_MAX)}") if why else lane)
        return found


def _bar(begun: _Open, outcome: Outcome, end: float, words: str, brief: str = "") -> Bar:
    whole = "; ".join(filter(None, (begun.words, words)))
    return Bar(
        what=begun.what, outcome=outcome, begin=begun.at, end=end, entry=begun.entry, attempt=begun.attempt, words=whole,
        brief=brief or span(end - begun.at),
    )  # fmt: skip


def _lane(kind: Literal["run", "models", "step"], name: str, draft: _Draft, *, tool: str = "", outcome: str = "") -> Lane:
    bars = tuple(sorted(draft.bars, key=lambda bar: (bar.begin, bar.entry)))
    waits = tuple(sorted(draft.waits, key=lambda wait: (wait.begin, wait.end, wait.why, wait.brief)))
    is_smooth = not draft.marks and not waits and not any(bar.outcome in _ROUGH for bar in bars)
    return Lane(
        kind=kind, name=name, tool=tool, plan=draft.plan, outcome=outcome, is_smooth=is_smooth, bars=bars, waits=waits,
        marks=tuple(draft.marks),
    )  # fmt: skip


def _adds(event: e.AnyEvent) -> tuple[str, ...]:
    """The steps that an entry adds."""
    match event:
        case e.PlanAdopted(plan=plan):
            return tuple(step.id for step in plan.steps)
        case e.UndoPlanned(steps=steps):
            return tuple(step.id for step in steps)
        case e.RestPlanned(rest=step) | e.CheckPlanned(step=step) | e.ReobservationPlanned(step=step):
            return (step.id,)
        case _:
            return ()


def _usage_brief(usage: Usage) -> str:
    return f"{usage.tokens:,} tokens" + (f", {usd(usage.cost_usd)}" if usage.cost_usd else "")


def _untold(event: e.AnyEvent) -> str:
    """What is told nowhere else."""
    if isinstance(event, e.RoomRefused):
        names = dict.fromkeys((*event.free, *event.held, *event.holders))
        return f"there is no room now for {listed(names) or 'another call'}"
    return ""


def _owed_brief(one: Pending) -> str:
    by = f" by {cut(one.by, 40)}" if one.by else ""
    return f"its {one.about} is owed{by}" if one.about != "sight" else "not to be seen yet"


def _owed_words(one: Pending) -> str:
    items = f" ({listed(one.items)})" if one.items else ""
    return f"{one.step}: {_owed_brief(one)}{items}, until {moment(one.until)}"


def _reason(state: State) -> str:
    if state.ended:
        return state.reason
    return listed((asked.question for asked in questions(state, state.at)), 3)
