"""A run, drawn from its row in the store, its state and its entries: in one line, as a summary, with all its steps."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Literal, Protocol, get_args

import msgspec

from holdfast.core import events as e
from holdfast.core.contract import Safety
from holdfast.core.plan import waits_for
from holdfast.core.state import ENDED, Phase, State, StepState, contract_of, status
from holdfast.views.words import shortened


class Row(Protocol):
    """What a store knows of a run without reading its journal; `journal.base.RunRow` is one."""

    @property
    def run_id(self) -> str: ...
    @property
    def agent(self) -> str: ...
    @property
    def tenant(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def labels(self) -> dict[str, str]: ...
    @property
    def status(self) -> str: ...
    @property
    def waits_for(self) -> str: ...
    @property
    def due_at(self) -> float | None: ...
    @property
    def version(self) -> int: ...
    @property
    def worker(self) -> str: ...
    @property
    def lease_until(self) -> float: ...
    @property
    def created_at(self) -> float: ...
    @property
    def changed_at(self) -> float: ...


# --- a run in one line --------------------------------------------------------------------------------------------


class RunLine(msgspec.Struct, frozen=True, kw_only=True):
    """A run as the store's row has it. live: a worker holds it now. note: that it is due and nobody will take it on."""

    run_id: str
    agent: str
    status: str
    waits_for: str = ""
    due_at: float | None = None
    live: bool = False
    worker: str = ""
    note: str = ""
    tenant: str = ""
    priority: int = 0
    labels: dict[str, str] = {}
    entries: int = 0
    created_at: float = 0.0
    changed_at: float = 0.0


def run_line(row: Row, served: Collection[str], now: float) -> RunLine:
    """A run in one line. served: the agents that live workers have."""
    live, ended = _live(row, now), row.status in ("completed", "failed", "cancelled")
    return RunLine(
        run_id=row.run_id, agent=row.agent, status=row.status, waits_for="" if ended else row.waits_for,
        due_at=None if ended else row.due_at, live=live, worker=row.worker if live else "",
        note=f"due, but {_unserved(row.agent)}" if _overdue(row, now) and not live and row.agent not in served else "",
        tenant=row.tenant, priority=row.priority, labels=row.labels, entries=row.version, created_at=row.created_at,
        changed_at=row.changed_at,
    )  # fmt: skip


def _live(row: Row, now: float) -> bool:
    return row.worker != "" and row.lease_until > now


def _overdue(row: Row, now: float) -> bool:
    return row.status not in ("completed", "failed", "cancelled") and row.due_at is not None and row.due_at <= now


def _unserved(agent: str) -> str:
    return f"no live worker has the agent {agent}"


# --- a run --------------------------------------------------------------------------------------------------------


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that may be answered, and what then follows."""

    decision: str
    means: str


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is asked. args: whole, never cut: an approval is bound to what was shown."""

    interrupt: str
    kind: str
    about: str
    question: str
    step: str
    tool: str
    args: dict[str, Any]
    choices: tuple[Choice, ...]
    expires_at: float


class Unheard(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word that was said and that no worker has taken yet. to: the interrupt, or `cancel`."""

    to: str
    said: str


Place = Literal["done", "waiting", "not_done", "unknown", "skipped", "flagged"]
PLACES: tuple[Place, ...] = get_args(Place)


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """How a run stands. Each step is in exactly one of done, waiting (something is under way for it), not_done, unknown
    (nobody knows whether its call happened), skipped and flagged; `partial` names those done that still owe something.
    due_at: when it goes on by itself, or its question expires. live, worker: see RunLine. note: that no worker will take it
    on."""

    run_id: str
    agent: str
    agent_version: str = ""
    goal: str = ""
    inputs: dict[str, Any] = {}
    tenant: str = ""
    priority: int = 0
    labels: dict[str, str] = {}
    status: str
    reason: str = ""
    result: Any = None
    stopping: str = ""
    waits_for: str = ""
    due_at: float | None = None
    live: bool = False
    worker: str = ""
    note: str = ""
    started_at: float
    changed_at: float
    entries: int
    attempts: int
    revision: int
    questions: tuple[Question, ...] = ()
    unheard: tuple[Unheard, ...] = ()
    done: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    not_done: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    flagged: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()


def summary(state: State, row: Row, now: float, served: Collection[str] = (), unheard: tuple[Unheard, ...] = ()) -> Summary:
    """How a run stands at `now`. served: the agents that live workers have."""
    line = run_line(row, served, now)
    served_too = bool(state.ended) or line.live or row.agent in served
    places: dict[Place, list[str]] = {place: [] for place in PLACES}
    for name in state.order:
        places[_place(state, state.steps[name], line.live)].append(name)
    return Summary(
        run_id=state.run_id, agent=state.agent, agent_version=state.agent_version, goal=state.goal.text, inputs=state.goal.inputs,
        tenant=state.tenant, priority=state.priority, labels=state.labels,
        status=state.ended or (status(state, now) if line.live else row.status), reason=state.reason,
        result=state.result if state.ended else None, stopping=_stopping(state),
        waits_for="" if state.ended else line.waits_for, due_at=None if state.ended else line.due_at,
        live=line.live, worker=line.worker,
        note="" if served_too else line.note or _unserved(row.agent), started_at=state.started_at, changed_at=row.changed_at,
        entries=state.version, attempts=state.attempts, revision=state.revision,
        questions=tuple(question(asked) for asked in state.interrupts.values()), unheard=unheard,
        partial=tuple(name for name in state.order if state.steps[name].left),
        **{place: tuple(names) for place, names in places.items()},
    )  # fmt: skip


def _place(state: State, step: StepState, live: bool) -> Place:
    if step.phase == "done":
        return "done"
    if step.phase == "skipped":
        return "flagged" if step.flagged else "skipped"
    # A call under a fence that no live worker holds any more is in doubt, though nobody has written that down yet.
    in_doubt = step.doubt_since is not None or (step.phase == "flying" and not live)
    if step.step.id in state.unknown or (in_doubt and not state.ended):
        return "unknown"
    return "not_done" if state.ended or step.phase in ("failed", "blocked", "ready") else "waiting"


def _stopping(state: State) -> str:
    if state.ended:
        return ""
    if state.cancel is not None:
        return f"{state.cancel.by} wants it cancelled" + (f": {state.cancel.reason}" if state.cancel.reason else "")
    return state.stopping or ""


def question(asked: e.Asked) -> Question:
    """What a person is asked, with everything that they need to decide."""
    return Question(
        interrupt=asked.interrupt, kind=asked.kind, about=asked.about, question=asked.question, step=asked.step, tool=asked.tool,
        args=asked.args, choices=tuple(Choice(decision=option.decision, means=option.means) for option in asked.options),
        expires_at=asked.expires_at,
    )  # fmt: skip


# --- its steps ----------------------------------------------------------------------------------------------------


class RowApplied(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the recovery table that was applied to a call of the step, and when."""

    row: str
    action: str
    reason: str
    at: float


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """One step. args: of its call, or as the plan has them while they are not known; after: steps that must have ended
    before it. phase: in people's words; place: its list in the summary. due_at: when something happens next, if that is
    known. value: its result; where that is long, the beginning of its JSON as text, and value_characters says how long the
    whole is. settled_by: who said how it ended: the call, a probe, a person, or another step (reuse)."""

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
    left: tuple[str, ...] = ()
    settled_by: str = ""
    interrupt: str = ""
    began_at: float | None = None
    ended_at: float | None = None
    recovery: tuple[RowApplied, ...] = ()


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """A run and its steps, in plan order."""

    run: Summary
    steps: tuple[StepView, ...]


class _Past(msgspec.Struct):
    """What the entries say of one step that its state does not keep."""

    began_at: float | None = None
    ended_at: float | None = None
    rows: list[RowApplied] = []


def tree(
    state: State, entries: Iterable[e.Entry], row: Row, now: float, served: Collection[str] = (),
    unheard: tuple[Unheard, ...] = (),
) -> Tree:  # fmt: skip
    """A run and its steps at `now`. entries: of the whole run; times and recovery rows come from them."""
    run = summary(state, row, now, served, unheard)
    places: dict[str, Place] = {name: place for place in PLACES for name in getattr(run, place)}
    pasts = _pasts(entries)
    steps = (_step(state, state.steps[name], places[name], pasts.get(name, _Past()), run.live) for name in state.order)
    return Tree(run=run, steps=tuple(steps))


def _step(state: State, step: StepState, place: Place, past: _Past, live: bool) -> StepView:
    contract = contract_of(state, step)
    value, characters = shortened(step.value) if step.phase == "done" else (None, 0)
    ended = step.phase in ENDED
    return StepView(
        id=step.step.id, tool=step.tool, phase=_words(step, place, bool(state.ended), live), place=place, attempts=step.attempt,
        safety=contract.safety if contract else "", after=waits_for(step.step),
        args=step.step.args if step.args is None else step.args, due_at=None if state.ended else _due(step),
        reason=_reason(step), value=value, value_characters=characters, left=step.left, settled_by=step.settled_by,
        interrupt=step.interrupt or "", began_at=past.began_at, ended_at=past.ended_at if ended else None,
        recovery=tuple(past.rows),
    )  # fmt: skip


def _pasts(entries: Iterable[e.Entry]) -> dict[str, _Past]:
    pasts: dict[str, _Past] = {}
    for entry in entries:
        event = entry.event
        name = event.interrupt.rpartition("-")[0] if isinstance(event, e.Answered) else getattr(event, "step", "")
        if not name:
            continue
        past = pasts.setdefault(name, _Past())
        past.ended_at = entry.at  # The last word on a step that has ended is the one that ended it.
        if isinstance(event, e.CallIntended) and past.began_at is None:
            past.began_at = entry.at
        elif isinstance(event, e.RecoveryRuled):
            past.rows.append(RowApplied(row=event.row, action=event.action, reason=event.reason, at=entry.at))
    return pasts


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
    "asking": "asks a person",
    "done": "done",
    "skipped": "skipped",
    "failed": "failed",
}


def _words(step: StepState, place: Place, run_ended: bool, live: bool) -> str:
    if step.phase == "done":
        return "done in part" if step.left else "done"
    if place == "flagged":
        return "skipped and flagged"
    if step.phase in ENDED:
        return _PHASES[step.phase]
    if place == "unknown":
        told = not run_ended and step.phase != "doubt" and (step.phase != "flying" or live)
        return f"unknown; {_PHASES[step.phase]}" if told else "unknown"
    if run_ended:
        return "not done"
    return "to be called" if step.phase == "waiting" and not step.tries else _PHASES[step.phase]


def under_way(state: State, now: float) -> tuple[str, ...]:
    """Each step that something is under way for, in a few words."""
    told = []
    for name in state.active:
        step = state.steps[name]
        words = _words(step, _place(state, step, live=True), bool(state.ended), live=True)
        since = f", {now - step.first_sent_at:.0f} s" if step.phase == "flying" and step.first_sent_at is not None else ""
        told.append(f"{name} ({words}{since})")
    return tuple(told)


def _due(step: StepState) -> float | None:
    if step.phase in ("waiting", "probe_wait"):
        return step.due_at
    return step.due_at or step.owed_until if step.phase == "owed" else None


def _reason(step: StepState) -> str:
    if step.phase == "diagnosis" and step.failure is not None:
        return f"{step.failure.kind}: {step.failure.message}" if step.failure.message else step.failure.kind
    return step.reason
