"""A run, drawn from its row in the store and its state: in one line, and as a summary. `steps.py` adds its steps."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, Protocol, get_args

import msgspec

from holdfast.core import events as e
from holdfast.core.facts import is_guess
from holdfast.core.forks import known_result
from holdfast.core.policy import policy_title
from holdfast.core.state import ENDED, Standing, State, StepState, status
from holdfast.views.beliefs import FactView, fact_views
from holdfast.views.deadlines import next_of
from holdfast.views.entries_people import ON_STOP, asked_by
from holdfast.views.forks import ForkView, fork_view
from holdfast.views.minds import AsksView, SpentView, asks_view, spent_view
from holdfast.views.owed import OwedView, owed


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
    def imported(self) -> bool: ...
    @property
    def source(self) -> str: ...
    @property
    def lease_until(self) -> float: ...
    @property
    def created_at(self) -> float: ...
    @property
    def changed_at(self) -> float: ...
    @property
    def parent(self) -> str: ...


_ENDED = ("completed", "failed", "cancelled")

# --- a run in one line --------------------------------------------------------------------------------------------


class RunLine(msgspec.Struct, frozen=True, kw_only=True):
    """A run as the store's row has it. whole: False where it completed and something was skipped, flagged or done in part.
    reason: of one that has ended, why it failed, or what it has not wholly done. live: a worker holds it now. note: that it
    is due and nobody will take it on, came from another store, or is a fork. parent: the run that started it. spent: where
    its journal was read for that."""

    run_id: str
    agent: str
    status: str
    whole: bool = True
    reason: str = ""
    waits_for: str = ""
    due_at: float | None = None
    live: bool = False
    worker: str = ""
    note: str = ""
    tenant: str = ""
    priority: int = 0
    labels: dict[str, str] = {}
    parent: str = ""
    entries: int = 0
    created_at: float = 0.0
    changed_at: float = 0.0
    spent: SpentView | None = None


def run_line(row: Row, served: Collection[str], now: float, spent: SpentView | None = None) -> RunLine:
    """A run in one line. served: the agents that live workers have."""
    live, ended = _live(row, now), row.status in _ENDED
    return RunLine(
        run_id=row.run_id, agent=row.agent, status=row.status, whole=row.status != "completed" or not row.waits_for,
        reason=row.waits_for if ended else "", waits_for="" if ended else row.waits_for,
        due_at=None if ended else row.due_at, live=live, worker=row.worker if live else "",
        note=_note(row, served, now, live),
        tenant=row.tenant, priority=row.priority, labels=row.labels, parent=row.parent, entries=row.version,
        created_at=row.created_at, changed_at=row.changed_at, spent=spent,
    )  # fmt: skip


def _note(row: Row, served: Collection[str], now: float, live: bool) -> str:
    if row.imported:
        return "imported: it is only looked at here"
    if _overdue(row, now) and not live and row.agent not in served:
        return f"due, but {_unserved(row.agent)}"
    return f"a fork of {row.source}" if row.source else ""


def _live(row: Row, now: float) -> bool:
    return row.worker != "" and row.lease_until > now


def _overdue(row: Row, now: float) -> bool:
    return row.status not in _ENDED and row.due_at is not None and row.due_at <= now


def _unserved(agent: str) -> str:
    return f"no live worker has the agent {agent}"


# --- a run --------------------------------------------------------------------------------------------------------


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that may be answered, and what then follows."""

    decision: str
    means: str


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is asked. args: whole, never cut: an approval is bound to what was shown. asks: what the reasoner wants to
    know; facts: the guesses that a person is to say of whether they are so.

    rule: which one wants it, in words; empty where the tool or the plan does. who: roles or names of those who may decide (empty:
    anybody); not_by: those who refused the same before, and are not asked again. people: how many must approve; approvals: who
    did. recorded: the source of this fork made the same call, and its result can be taken for this one. rung: of the ladder,
    counted from 0. next_at, next: when something happens by itself before it expires, and what, in
    words."""

    interrupt: str
    kind: str
    about: str
    question: str
    step: str
    tool: str
    args: dict[str, Any]
    choices: tuple[Choice, ...]
    expires_at: float
    asks: AsksView | None = None
    facts: tuple[FactView, ...] = ()
    rule: str = ""
    who: tuple[str, ...] = ()
    not_by: tuple[str, ...] = ()
    people: int = 1
    approvals: tuple[str, ...] = ()
    recorded: bool = False
    rung: int = 0
    next_at: float | None = None
    next: str = ""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """That somebody paused a run, or took it over. until: a pause is over then by itself; None: when somebody says so."""

    by: str
    reason: str = ""
    until: float | None = None


class Instruction(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said a run is to go by."""

    by: str
    text: str


class Unheard(msgspec.Struct, frozen=True, kw_only=True):
    """A word from outside that no worker has taken yet. to: the interrupt, or what it is: `cancel`, `callback`, `signal`,
    `child`, `goal`, `correct`, `comment`, `pause`, `resume`, `instruct`, `handoff`, `done`."""

    to: str
    said: str


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """How much of something else the calls of a run changed. allowed: the run's limit of it."""

    name: str
    amount: float
    allowed: float | None = None


Place = Literal["done", "undone", "waiting", "not_done", "unknown", "skipped", "flagged", "not_needed"]
PLACES: tuple[Place, ...] = get_args(Place)


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """How a run stands. Each step is in exactly one of done, undone (it was done, and taken back), waiting (something is
    under way for it), not_done, unknown (nobody knows whether its call happened), skipped, flagged and not_needed (another
    step stood in for it, it was to stand in for one that is done, or a later plan dropped it).

    partial: those done of which something is left. replaced: those done another way, and by what: the tool of a fallback, or
    the step that stood in. suppressed: those not made because they would repeat what is owed, and which step or run that is.
    owed: what the run is owed, or was when it ended. changes: what else its calls changed, counted. undoing: the
    steps that take back what was done; kept: of a run that stops, those that stay done; where others are taken back, because
    they cannot be. whole: False where it completed and something was skipped, flagged or done in part.
    due_at: when it goes on by itself, or its question expires. live, worker: see RunLine. note: that no worker will take it
    on. parent, parent_step: who started it. spent: what its models and tools used. outdated: steps that are done and rest on what
    turned out not to be so; guessed: facts that were inferred or remembered, and that nobody confirmed. paused, taken_over: by
    whom nothing new begins. instructions: what people said it is to go by. policy: by which it is ruled whether a person is
    asked. fork: where it comes from, if it is a fork."""

    run_id: str
    agent: str
    agent_version: str = ""
    goal: str = ""
    inputs: dict[str, Any] = {}
    tenant: str = ""
    priority: int = 0
    labels: dict[str, str] = {}
    parent: str = ""
    parent_step: str = ""
    status: str
    whole: bool = True
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
    owed: tuple[OwedView, ...] = ()
    changes: tuple[Counted, ...] = ()
    done: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    not_done: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    flagged: tuple[str, ...] = ()
    not_needed: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    undoing: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    replaced: dict[str, str] = {}
    suppressed: dict[str, str] = {}
    spent: SpentView = SpentView()
    outdated: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()
    paused: Held | None = None
    taken_over: Held | None = None
    instructions: tuple[Instruction, ...] = ()
    policy: str = ""
    fork: ForkView | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in _ENDED


def summary(state: State, row: Row, now: float, served: Collection[str] = (), unheard: tuple[Unheard, ...] = ()) -> Summary:
    """How a run stands at `now`. served: the agents that live workers have."""
    line = run_line(row, served, now)
    served_too = bool(state.ended) or line.live or row.agent in served
    places: dict[Place, list[str]] = {place: [] for place in PLACES}
    for name in state.order:
        places[place_of(state, state.steps[name], line.live)].append(name)
    return Summary(
        run_id=state.run_id, agent=state.agent, agent_version=state.agent_version, goal=state.goal.text, inputs=state.goal.inputs,
        tenant=state.tenant, priority=state.priority, labels=state.labels, parent=state.parent, parent_step=state.parent_step,
        status=state.ended or (status(state, now) if line.live else row.status), reason=state.reason,
        whole=state.ended != "completed" or not (state.skipped or state.flagged or state.partial),
        result=state.result if state.ended else None, stopping=_stopping(state),
        waits_for="" if state.ended else line.waits_for, due_at=None if state.ended else line.due_at,
        live=line.live, worker=line.worker,
        note="" if served_too else line.note or _unserved(row.agent), started_at=state.started_at, changed_at=row.changed_at,
        entries=state.version, attempts=state.attempts, revision=state.revision,
        questions=questions(state, now), unheard=unheard, spent=spent_view(state), outdated=state.outdated,
        fork=fork_view(state), paused=held(state, state.paused), taken_over=held(state, state.handoff),
        instructions=instructions(state),
        policy=policy_title(state.policy) if state.policy is not None else "",
        guessed=_guessed(state), owed=owed(state), changes=_counted(state), undoing=state.undoing, kept=state.kept,
        replaced=state.replaced, suppressed=_suppressed(state),
        partial=tuple(name for name in state.order if state.steps[name].left),
        **{place: tuple(names) for place, names in places.items()},
    )  # fmt: skip


def place_of(state: State, step: StepState, live: bool) -> Place:
    """The list of the summary that a step is in. live: a worker holds the run."""
    name = step.step.id
    if step.phase == "done":
        return "undone" if name in state.undone else "done"
    if step.phase == "skipped":
        if step.flagged and (not state.ended or name in state.flagged):
            return "flagged"
        return "skipped" if name in state.skipped else "not_needed"
    # A call under a fence that no live worker holds any more is in doubt, though nobody has written that down yet.
    in_doubt = step.doubt_since is not None or (step.phase == "flying" and not live)
    if name in state.unknown or (in_doubt and not state.ended):
        return "unknown"
    if held_back(step) and not state.ended:
        return "waiting"
    return "not_done" if state.ended or step.phase in ("failed", "blocked", "ready") else "waiting"


def held_back(step: StepState) -> bool:
    """Whether a step is not made because it would repeat what is owed, or was never made for that."""
    return step.suppressed_by != "" and (step.phase in ("ready", "waiting") or (step.phase != "done" and not step.attempt))


def _suppressed(state: State) -> dict[str, str]:
    return {name: state.steps[name].suppressed_by for name in state.order if held_back(state.steps[name])}


def _counted(state: State) -> tuple[Counted, ...]:
    allowed = state.limits.changes
    return tuple(Counted(name=name, amount=much, allowed=allowed.get(name)) for name, much in sorted(state.changes.items()))


def _stopping(state: State) -> str:
    if state.ended:
        return ""
    if state.cancel is None:
        return _with(state.stopping or "", _ending(state))
    wants = f"{state.cancel.by} wants it cancelled" + (f": {state.cancel.reason}" if state.cancel.reason else "")
    wish = "" if state.stop or state.cancel.on_stop is None else ON_STOP[state.cancel.on_stop]
    return _with(wants, _ending(state)) + (f", {wish}" if wish else "")


def _ending(state: State) -> str:
    """How far the end is under way."""
    if state.stop == "undo":
        left = sum(state.steps[name].phase not in ENDED for name in state.undoing)
        calls = len(state.undoing)
        return f"what was done is being taken back, {calls - left} of {calls} calls for it have ended"
    return "a person is asked what becomes of what was done" if state.stop == "asked" else ""


def _with(words: str, more: str) -> str:
    return "; ".join(filter(None, (words, more)))


def held(state: State, word: e.RunPaused | e.HandoffRequested | None) -> Held | None:
    """Who keeps a run from going on by this word; None where nobody does, or it has ended."""
    if word is None or state.ended:
        return None
    return Held(by=word.by, reason=word.reason, until=word.until if isinstance(word, e.RunPaused) else None)


def instructions(state: State) -> tuple[Instruction, ...]:
    """What people said a run is to go by, the oldest first."""
    return tuple(Instruction(by=one.by, text=one.text) for one in state.instructions)


def questions(state: State, now: float) -> tuple[Question, ...]:
    """All that people are asked."""
    believed = fact_views(state, now) if any(asked.facts for asked in state.interrupts.values()) else ()
    return tuple(_question(asked, state, believed, now) for asked in state.interrupts.values())


def _question(asked: e.Asked, state: State, believed: tuple[FactView, ...], now: float) -> Question:
    """What a person is asked, with everything that they need to decide."""
    standing = state.standings.get(asked.interrupt) or Standing(asked_at=state.at, asked_entry=0, since=state.at)
    next_at, following = next_of(asked, standing, now)
    return Question(
        interrupt=asked.interrupt, kind=asked.kind, about=asked.about, question=asked.question, step=asked.step, tool=asked.tool,
        args=asked.args, choices=tuple(Choice(decision=option.decision, means=option.means) for option in asked.options),
        expires_at=asked.expires_at, asks=None if asked.asks is None else asks_view(asked.asks, state.thinking),
        facts=tuple(fact for fact in believed if fact.name in asked.facts),
        rule=asked_by(asked), who=asked.who, not_by=asked.not_by, people=asked.people, approvals=standing.approvals,
        recorded=known_result(state, asked) is not None, rung=standing.rung,
        next_at=next_at if following else None, next=following,
    )  # fmt: skip


def _guessed(state: State) -> tuple[str, ...]:
    """As the end of a run names them."""
    return tuple(name for name, fact in state.facts.items() if is_guess(fact) and not fact.stale)
