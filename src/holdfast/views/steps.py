"""A run with its steps one by one: what each of them is, has come to, and waits for; and the runs that they started."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

import msgspec

from holdfast.core import events as e
from holdfast.core.contract import Safety
from holdfast.core.plan import waits_for
from holdfast.core.state import ENDED, Phase, State, StepState, contract_of
from holdfast.views.beliefs import FactView, fact_views
from holdfast.views.entries import held_words
from holdfast.views.entries_thinking import FOR_PHASE
from holdfast.views.memory import RecalledView, recalled_views
from holdfast.views.minds import ThinkingView, TurnView, thinking_view, turn_views
from holdfast.views.owed import owed_view
from holdfast.views.runs import PLACES, Place, Row, RunLine, Summary, Unheard, held_back, place_of, run_line, summary
from holdfast.views.words import bytes_of, cut, listed, moment, shortened


class RowApplied(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table of calls in doubt, or of that of what is owed, that was applied to the step, and when."""

    row: str
    action: str
    reason: str
    at: float


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """One step. args: of its call, or as the plan has them while they are not known; after: steps that must have ended
    before it. phase: in people's words; place: its list in the summary. due_at: when something happens next, if that is
    known. value: its result; where that is long, the beginning of its JSON as text, and value_characters says how long the
    whole is. whole_bytes: of a result that was too large and was cut when it came, the size of the whole; stored: the store has
    it. settled_by: who said how it ended: the call, a probe, a callback, a signal, a person, the run that it started, or another
    step (reuse). replaced_by: the fallback's tool that did it, or the step that stood in. alternative_to, undoes: the step that
    it stands in for, or takes back. suppressed_by: the step or run whose open operation it would repeat. changes: what else its
    calls changed. recovery: the rows that were applied, of both tables. by_hand: who did it by hand."""

    id: str
    tool: str
    phase: str
    place: Place
    args: dict[str, Any] = {}
    attempts: int = 0
    safety: Safety | Literal[""] = ""
    after: tuple[str, ...] = ()
    due_at: float | None = None
    reason: str = ""
    value: Any = None
    value_characters: int = 0
    whole_bytes: int = 0
    kept_bytes: int = 0
    stored: bool = False
    left: tuple[str, ...] = ()
    settled_by: str = ""
    replaced_by: str = ""
    alternative_to: str = ""
    undoes: str = ""
    suppressed_by: str = ""
    changes: tuple[e.Change, ...] = ()
    interrupt: str = ""
    began_at: float | None = None
    ended_at: float | None = None
    recovery: tuple[RowApplied, ...] = ()
    by_hand: str = ""


class ChildView(msgspec.Struct, frozen=True, kw_only=True):
    """A run that a step started. step: which one, where the journal tells."""

    run: RunLine
    step: str = ""


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """A run, its steps in plan order, and the runs that they started. thinking, turns: where its reasoner is a model. facts: all
    that it believes; recalled: what it began with, out of earlier runs."""

    run: Summary
    steps: tuple[StepView, ...]
    children: tuple[ChildView, ...] = ()
    thinking: ThinkingView | None = None
    turns: tuple[TurnView, ...] = ()
    facts: tuple[FactView, ...] = ()
    recalled: tuple[RecalledView, ...] = ()


class _Past(msgspec.Struct):
    """What the entries say of one step that its state does not keep. settled: its last call has ended it, and what is said of
    it later ends it no more."""

    began_at: float | None = None
    ended_at: float | None = None
    settled: bool = False
    held: str = ""
    by_hand: str = ""
    checks: tuple[str, ...] = ()
    rows: list[RowApplied] = []
    changes: list[e.Change] = []


def tree(
    state: State, entries: Sequence[e.Entry], row: Row, now: float, served: Collection[str] = (),
    unheard: tuple[Unheard, ...] = (), children: Iterable[Row] = (),
) -> Tree:  # fmt: skip
    """A run and its steps at `now`. entries: of the whole run; times, rows and changes come from them. children: the rows of
    the runs that it started."""
    run = summary(state, row, now, served, unheard)
    places: dict[str, Place] = {name: place for place in PLACES for name in getattr(run, place)}
    pasts, started = _pasts(entries)
    steps = (_step(state, state.steps[name], places[name], pasts.get(name, _Past()), run.live) for name in state.order)
    started |= {one.child: one.step for one in state.pending.values() if one.child}
    lines = (run_line(child, served, now) for child in children)
    turns = turn_views(entries, state) if state.thinking is not None else ()
    return Tree(
        run=run, steps=tuple(steps), children=tuple(ChildView(run=line, step=started.get(line.run_id, "")) for line in lines),
        thinking=thinking_view(state, entries, turns, now), turns=turns, facts=fact_views(state, now),
        recalled=tuple(recalled_views(entries, state)) if state.recalled else (),
    )  # fmt: skip


def _step(state: State, step: StepState, place: Place, past: _Past, live: bool) -> StepView:
    contract = contract_of(state, step)
    name, done, ended = step.step.id, step.phase == "done", step.phase in ENDED
    value, characters = shortened(step.value) if done else (None, 0)
    held = past.held if step.phase == "waiting" and step.held_since is not None else ""
    if step.phase == "checking":
        held = f"asks {listed(past.checks)} whether a person is to be asked"
    return StepView(
        id=name, tool=step.tool, phase=_words(state, step, place, live, past), place=place, attempts=step.attempt,
        safety=contract.safety if contract else "", after=waits_for(step.step),
        args=step.step.args if step.args is None else step.args, due_at=None if state.ended else _due(state, step),
        reason=_reason(state, step) or held, value=value, value_characters=characters,
        whole_bytes=step.cut.bytes if step.cut else 0, kept_bytes=bytes_of(step.value) if step.cut else 0,
        stored=step.cut is not None and bool(step.cut.digest), left=step.left, settled_by=step.settled_by,
        replaced_by=state.replaced.get(name, ""), alternative_to=step.step.alternative_to, undoes=step.step.undoes,
        suppressed_by=step.suppressed_by, changes=tuple(past.changes),
        interrupt=step.interrupt or "", began_at=past.began_at, ended_at=past.ended_at if ended else None,
        recovery=tuple(past.rows), by_hand=past.by_hand if done else "",
    )  # fmt: skip


def _pasts(entries: Iterable[e.Entry]) -> tuple[dict[str, _Past], dict[str, str]]:
    """What the entries say of each step, and which step started each run."""
    pasts: dict[str, _Past] = {}
    started: dict[str, str] = {}
    for entry in entries:
        event = entry.event
        name = event.interrupt.rpartition("-")[0] if isinstance(event, e.Answered) else getattr(event, "step", "")
        if not name or not isinstance(name, str):
            continue  # What is planned for a check, or to look again, is a whole step, and nothing of it has happened.
        past = pasts.setdefault(name, _Past())
        if not past.settled and not isinstance(event, e.CallbackRefused):
            past.ended_at = entry.at  # The last word on a step that has ended is the one that ended it.
        if isinstance(event, e.CallIntended):
            past.began_at = entry.at if past.began_at is None else past.began_at
        elif isinstance(event, e.CallSucceeded | e.CallPartial):
            past.settled = True
        elif isinstance(event, e.RecoveryRuled | e.PendingRuled):
            past.rows.append(RowApplied(row=event.row, action=event.action, reason=event.reason, at=entry.at))
        elif isinstance(event, e.CallHeld):
            past.held = held_words(event)
        elif isinstance(event, e.ChecksIntended):
            past.checks = event.checks
        elif isinstance(event, e.StepDoneByHand):
            past.by_hand, past.settled = event.by, True
        elif isinstance(event, e.ChildEnded):
            started[event.child] = event.step
        past.changes.extend(getattr(event, "changes", ()))
    return pasts, started


_PHASES: dict[Phase, str] = {
    "blocked": "waits for other steps",
    "ready": "next",
    "flying": "being called",
    "diagnosis": "failed",
    "waiting": "to be tried again",
    "doubt": "unknown",
    "probe_wait": "to be looked up",
    "probing": "being looked up",
    "owed": "its result is owed",
    "checking": "a rule is being checked",
    "asking": "asks a person",
    "done": "done",
    "skipped": "skipped",
    "failed": "failed",
}


def _words(state: State, step: StepState, place: Place, live: bool, past: _Past | None = None) -> str:
    """The phase of a step in people's words."""
    name, run_ended = step.step.id, bool(state.ended)
    if step.phase == "done":
        if place == "done" and past is not None and past.by_hand:
            return "done by hand"
        return "done, and taken back" if place == "undone" else _done_words(state, step)
    if place == "flagged":
        return "skipped and flagged"
    if place == "not_needed":
        return f"done by {state.replaced[name]}" if name in state.replaced else "not needed"
    if step.phase in ENDED and step.failure is not None and step.failure.detail == e.BY_A_POLICY:
        return "blocked by a policy"
    if step.phase in ENDED:
        return "refused" if step.refused and step.phase == "failed" else _PHASES[step.phase]
    if place == "unknown":
        told = not run_ended and step.phase != "doubt" and (step.phase != "flying" or live)
        return f"unknown; {_PHASES[step.phase]}" if told else "unknown"
    if run_ended:
        return "not done"
    if held_back(step) or (step.phase == "waiting" and step.held_since is not None):
        return "held back"
    if step.phase == "owed" and name in state.pending and state.pending[name].child:
        return "its run goes on"
    return "to be called" if step.phase == "waiting" and not step.tries else _PHASES[step.phase]


def step_words(state: State, step: StepState) -> str:
    """The phase of a step in people's words, for a run that nobody may hold."""
    return _words(state, step, place_of(state, step, live=False), live=False)


def _done_words(state: State, step: StepState) -> str:
    if step.left:
        return "done in part"
    open_one = state.pending.get(step.step.id)
    return "done; not to be seen yet" if open_one is not None and open_one.about == "sight" and not state.ended else "done"


def under_way(state: State, now: float) -> tuple[str, ...]:
    """Each step that something is under way for, in a few words."""
    told = []
    asked = state.asking_model
    if asked is not None and state.proposing is not None and not state.ended:
        told.append(f"{asked.model} ({FOR_PHASE[asked.phase]}, turn {asked.turn})")
    for name in state.active:
        step = state.steps[name]
        words = _words(state, step, place_of(state, step, live=True), live=True)
        open_one = state.pending.get(name)
        if step.phase == "flying" and step.first_sent_at is not None:
            words += f", {now - step.first_sent_at:.0f} s"
        elif step.phase == "owed" and open_one is not None:
            seen = owed_view(state, open_one)
            words += f", {cut(seen.by, _BY_MAX)}" if seen.child else f" by {cut(seen.by, _BY_MAX)}"
            words += f", until {moment(seen.until)}{_ways(seen.settled_by)}"
        told.append(f"{name} ({words})")
    return tuple(told)


_BY_MAX = 40


def _ways(settled_by: tuple[str, ...]) -> str:
    return f"; {', '.join(settled_by)}" if settled_by else ""


def _due(state: State, step: StepState) -> float | None:
    open_one = state.pending.get(step.step.id)
    if open_one is not None and step.phase in ("owed", "done"):
        return owed_view(state, open_one).due_at or open_one.until
    if step.phase in ("waiting", "probe_wait"):
        return step.due_at or None
    return step.due_at or step.owed_until if step.phase == "owed" else None


def _reason(state: State, step: StepState) -> str:
    if step.phase == "diagnosis" and step.failure is not None:
        return f"{step.failure.kind}: {step.failure.message}" if step.failure.message else step.failure.kind
    if held_back(step) and step.phase not in ENDED:
        return step.reason or f"it would repeat {step.suppressed_by}, which is owed"
    open_one = state.pending.get(step.step.id)
    if step.phase == "owed" and open_one is not None:
        seen = owed_view(state, open_one)
        return f"owed by {cut(seen.by, _BY_MAX)}{_ways(seen.settled_by)}{f'; {open_one.message}' if open_one.message else ''}"
    return step.reason
