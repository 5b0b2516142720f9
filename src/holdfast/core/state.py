"""What is known: the records that the events are folded into, and what can be asked of them.

`evolve.py` has the rules of the fold. A step moves through phases:

    blocked ─▶ ready ─▶ flying ─▶ done
                 ▲        │ │
                 │        │ └▶ diagnosis ─▶ waiting ─▶ flying …          it failed for certain
                 │        └──▶ doubt ─▶ probe_wait ─▶ probing ─▶ doubt …   nobody knows
                 └─ asking ◀── from ready, diagnosis, doubt and owed: a person decides
    checking: functions of the user's are asked whether a person is to be asked; it goes back to waiting.
    owed: the other side took the call and still owes its result.   done, skipped, failed: the ends.

The maps are persistent (they share structure), so a step costs the same at the 3,000th as at the third. They are read
by key and never walked: their order differs between processes, and nothing that is decided may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from rpds import HashTrieMap

from holdfast.core import events as e
from holdfast.core import values
from holdfast.core.contract import Contract
from holdfast.core.facts import Fact
from holdfast.core.limits import Limits
from holdfast.core.models import Part, Reserved, Usage
from holdfast.core.pending import Pending
from holdfast.core.plan import Goal, Plan, Step
from holdfast.core.policy import Policy
from holdfast.core.thinking import Acceptance, Question, Thinking
from holdfast.core.thinking import Phase as ThinkingPhase

Phase = Literal[
    "blocked",
    "ready",
    "flying",
    "diagnosis",
    "waiting",
    "doubt",
    "probe_wait",
    "probing",
    "owed",
    "checking",
    "asking",
    "done",
    "skipped",
    "failed",
]
Status = Literal["running", "waiting", "blocked", "completed", "failed", "cancelled"]

ENDED: frozenset[Phase] = frozenset({"done", "skipped", "failed"})
AT_REST: frozenset[Phase] = frozenset({"blocked", "ready", "done", "skipped", "failed"})


SettledBy = Literal["", "call", "probe", "person", "reuse", "callback", "signal", "child"]


class StepState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What is known of one step.

    reads: steps whose results it needs. missing: steps it still waits for. tool, args, key: of the call in force. edited:
    arguments that a person gave. attempt: calls in all; tries: calls since the tool, or a person, started the count anew; lost:
    those of them that ended unknown. fence: of the open intent. first_sent_at: when this key went out first. doubt_since: set
    while any call under this key may have happened unseen; settle_at: from then on a probe's "no" is final. spent: no attempt
    left. landed: the call under this key had its effect, though its answer could not be used. insisted: a person who knew what
    went wrong said to make the call all the same. contract: what held when an open call was made, kept only where the agent
    changed under it. callback: a result that was delivered before the call's own outcome was known. suppressed_by: the step, or
    the run, whose pending operation keeps this one from being made. held_since: since when a circuit or a rate limit holds it
    back. refused: it was not made, because the same call had failed before. repeats: intended repeats at deadlines. granted:
    calls that the run it started may make. probe_failure: why the result that a probe found will not do. undo: the step that
    takes its call back, before a fallback takes over. rest_args, rest: the arguments of the call for what a part left undone,
    and the step for it. cut: what was kept of a result that was too large. done_at: the entry that made it done. tainted: a
    model planned it that had read what an untrusted tool returned. approved_until: when the approval lapses; approved_by: who
    gave it. was_asked: a person was asked about it, and the question was withdrawn: it is asked whatever the policy says by
    now. ruled: the digest of the call that the last ruling was for. checks: what functions said of it. begun_before: in a fork,
    the occurrence of the call that its source had begun and that may have had its effect; 0: none."""

    step: Step
    phase: Phase = "blocked"
    reads: tuple[str, ...] = ()
    missing: int = 0
    tool: str = ""
    fallbacks_taken: int = 0
    args: dict[str, Any] | None = None
    edited: dict[str, Any] | None = None
    occurrence: int = 1
    key: str = ""
    attempt: int = 0
    tries: int = 0
    lost: int = 0
    fence: int = 0
    first_sent_at: float | None = None
    doubt_since: float | None = None
    settle_at: float = 0.0
    crashed: bool = False
    spent: bool = False
    landed: bool = False
    insisted: bool = False
    due_at: float = 0.0
    probe: int = 0
    probed_at: float = 0.0
    verdict: e.Verdict | Literal["none"] = "none"
    probe_value: Any = None
    probe_message: str = ""
    approved: str | None = None
    interrupt: str | None = None
    contract: Contract | None = None
    value: Any = None
    left: tuple[str, ...] = ()
    handle: str = ""
    owed_until: float | None = None
    failure: e.Failure | None = None
    reason: str = ""
    flagged: bool = False
    settled_by: SettledBy = ""
    callback: e.CallbackReceived | None = None
    suppressed_by: str = ""
    held_since: float | None = None
    refused: bool = False
    repeats: int = 0
    granted: int = 0
    probe_failure: e.Failure | None = None
    rest_args: dict[str, Any] | None = None
    rest: str = ""
    undo: str = ""
    cut: e.Cut | None = None
    done_at: int = 0
    believes: tuple[str, ...] = ()
    sent: str = ""
    tainted: bool = False
    approved_until: float | None = None
    approved_by: tuple[str, ...] = ()
    was_asked: int = 0
    ruled: str = ""
    checks: e.ChecksAnswered | None = None
    begun_before: int = 0


if TYPE_CHECKING:
    StepMap = HashTrieMap[str, StepState]
    NamesMap = HashTrieMap[str, tuple[str, ...]]
    NameMap = HashTrieMap[str, str]
    PlacesMap = HashTrieMap[str, tuple[int, ...]]
    CountMap = HashTrieMap[str, int]
else:  # The class takes no parameters at run time, and `checkpoint` reads these annotations.
    StepMap = NamesMap = NameMap = PlacesMap = CountMap = HashTrieMap


class Turn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One turn of a model: what it said, and what came of that. outcome: `plan` (its calls became steps), `keep`, `ask`,
    `interpret`, `finish`, `give_up`, `failed` (nothing of it was taken). problems: told to it after that. at: of its answer."""

    turn: int
    phase: ThinkingPhase
    model: str
    said: tuple[Part, ...] = ()
    outcome: str = ""
    problems: tuple[str, ...] = ()
    at: float = 0.0


class Setback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A request to a model that came to nothing, since one last answered. until: it is not asked again before that. context: it
    was longer than the model takes; input_bytes: the most that the next one may have. lost: who asked is gone."""

    model: str
    kind: e.FailureKind
    message: str
    until: float
    context: bool = False
    input_bytes: int = 0
    lost: bool = False


class Standing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Where an open interrupt stands. asked_at, asked_entry: when it was asked, and the entry that says so. rung, since: of its
    ladder, and since when; reminded: how often on that rung. approvals: who approved, where several must. handed_off: past the
    last rung."""

    asked_at: float
    asked_entry: int
    since: float
    rung: int = 0
    reminded: int = 0
    approvals: tuple[str, ...] = ()
    handed_off: bool = False


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What is known of a run after `version` entries.

    ready: steps that may begin, in the order in which they became so. active: steps that something is under way for.
    dependents: for each step, those that wait for it. business: which step last made a call under a business key. stopping: why
    the run is to fail once what is in flight has ended. proposing: the fence of an open proposal. pending: what is owed, by
    step. signals: words that came before anything waited for them. changes: how much of what else calls changed, by name.
    rests: steps that left something for a step of its own. stand_ins: the alternatives of a step. replaced: steps done another
    way, and by what. failed_calls: calls that failed for good, by digest, with the step, the number of effects done then, and
    how it failed. known: digests of what the reasoner was taught; news: whether its last turn taught anything; idle_turns:
    turns in a row that did not. children: runs that its steps started. stop: how far the end is under way: a person was asked
    what becomes of what was done (shown_at_stop: the digest of what they were shown), it is taken back by the steps
    `undoing`, or kept.

    thinking, accept: as declared. asking_model: the request that is under way. turns: what models said. conversation_bytes: of
    all that they said and were told. setbacks, rounds: requests that came to nothing since one was answered, and how often all
    models were tried. reason_at: no model is asked before that. spent, reserved: of the budget; what is reserved, by step, and
    under "" for the model. failures: steps that failed in a row, of those that the reasoner is told of. suspicions: why the
    plan may be wrong; while there is one, nothing new of it begins before the reasoner was asked. unseen: steps that ended
    since it was. facts: what is believed, by name. to_observe: steps that report facts, which are not read off yet. questions:
    open ones of the reasoner, by name; weighing: those of which it is not ruled yet whether a person is asked. interpreted,
    intent: what the goal means. outdated: steps that rest on what turned out not to be so. observers: which step observed a
    fact; checks: the step that looks at the proposed result, and the fact that a step observes anew. refusals, refused_because:
    results that were refused; accepted: this one is not. unanswered: questions that nobody answered, and why. recalled: whether
    the memory was asked; recalling: the fence of an open request; memories: ids of what it gave, by fact. done_calls: effects
    by tool and arguments. call_ids: of the model's calls, with the model that made them. told_suspicions, told_steps: how many
    of the suspicions, and of the unseen steps, were there when the reasoner was last asked: what came later it has not heard
    of. shaken: facts that are not what they were, or steps that rest on such, of which it is not ruled yet what that takes
    down. reobserved: for each step that waited for that, the steps that observed a fact anew.

    policy: when a person is asked. standings: where each open interrupt stands (see `Standing`). decided: who decided what about
    interrupts that are closed, in words. refused_calls: who refused a call, by the digest of what makes it the same. taints:
    steps that hold what an untrusted tool returned. unjudged: the plan that the policy has not ruled on; nothing of it begins
    before that, or while `plan_asked`, the interrupt about it, is open. plan_checks: what functions said of it; checking_plan:
    the fence of that request. paused: nothing new begins. instructions: what people said it is to go by. handoff: somebody takes
    the run over.

    records: whether all is written down that rulings are made under (see RunStarted). fork: where the run comes from, if it is a
    fork; fork_record: where its record has each call; fork_calls: in a simulated one, how often each call was made since, and
    what it comes to (see `forks.chosen`).
    """

    run_id: str
    agent: str
    goal: Goal
    agent_version: str = ""
    tenant: str = ""
    priority: int = 0
    labels: dict[str, str] = {}
    secrets: tuple[str, ...] = ()
    limits: Limits = Limits()
    contracts: dict[str, Contract] = {}
    version: int = 0
    fence: int = 0
    at: float = 0.0
    started_at: float = 0.0
    turn: int = 0
    proposing: int | None = None
    proposal_problems: tuple[str, ...] = ()
    proposal_failures: int = 0
    revision: int = 0
    planned: bool = False
    final: bool = False
    result_form: Any = None
    order: tuple[str, ...] = ()
    steps: StepMap = HashTrieMap()
    dependents: NamesMap = HashTrieMap()
    business: NameMap = HashTrieMap()
    ready: tuple[str, ...] = ()
    active: tuple[str, ...] = ()
    open_steps: int = 0
    attempts: int = 0
    interrupts: dict[str, e.Asked] = {}
    asked: int = 0
    held_by: str | None = None
    changed: e.AgentChanged | None = None
    stopping: str | None = None
    cancel: e.CancelRequested | None = None
    finishing: bool = False
    ended: Literal["", "completed", "failed", "cancelled"] = ""
    result: Any = None
    reason: str = ""
    skipped: tuple[str, ...] = ()
    flagged: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    on_stop: e.OnStop = "keep"
    parent: str = ""
    parent_step: str = ""
    depth: int = 0
    pending: dict[str, Pending] = {}
    signals: dict[str, e.SignalReceived] = {}
    changes: dict[str, float] = {}
    stand_ins: dict[str, tuple[str, ...]] = {}
    replaced: dict[str, str] = {}
    rests: tuple[str, ...] = ()
    failed_calls: dict[str, tuple[str, int, e.FailureKind]] = {}
    effects: int = 0
    known: NameMap = HashTrieMap()
    idle_turns: int = 0
    news: bool = True
    children: int = 0
    stop: Literal["", "asked", "agreed", "undo", "keep"] = ""
    shown_at_stop: str = ""
    undoing: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    thread: str = ""
    thinking: Thinking | None = None
    accept: Acceptance | None = None
    asking_model: e.ProposalRequested | None = None
    turns: tuple[Turn, ...] = ()
    conversation_bytes: int = 0
    setbacks: tuple[Setback, ...] = ()
    rounds: int = 0
    reason_at: float = 0.0
    spent: Usage = Usage()
    reserved: dict[str, Reserved] = {}
    failures: int = 0
    suspicions: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    facts: dict[str, Fact] = {}
    to_observe: tuple[str, ...] = ()
    questions: dict[str, Question] = {}
    weighing: tuple[Question, ...] = ()
    interpreted: bool = False
    intent: str = ""
    outdated: tuple[str, ...] = ()
    observers: dict[str, str] = {}
    checks: dict[str, str] = {}
    refusals: int = 0
    refused_because: tuple[str, ...] = ()
    accepted: bool = False
    unanswered: dict[str, str] = {}
    recalled: bool = False
    recalling: int | None = None
    memories: dict[str, str] = {}
    done_calls: NameMap = HashTrieMap()
    call_ids: NameMap = HashTrieMap()
    shaken: tuple[str, ...] = ()
    told_suspicions: int = 0
    told_steps: int = 0
    reobserved: dict[str, tuple[str, ...]] = {}
    policy: Policy | None = None
    standings: dict[str, Standing] = {}
    decided: NameMap = HashTrieMap()
    refused_calls: dict[str, tuple[str, ...]] = {}
    taints: tuple[str, ...] = ()
    unjudged: Plan | None = None
    plan_asked: str | None = None
    plan_checks: e.ChecksAnswered | None = None
    checking_plan: int | None = None
    paused: e.RunPaused | None = None
    instructions: tuple[e.Instructed, ...] = ()
    handoff: e.HandoffRequested | None = None
    records: int = 0
    fork: e.RunForked | None = None
    fork_record: PlacesMap = HashTrieMap()
    fork_calls: CountMap = HashTrieMap()


def contract_of(state: State, step: StepState) -> Contract | None:
    """What the tool in force promises; for an open call, what it promised when the call was made."""
    return step.contract or state.contracts.get(step.tool)


def secret_names(state: State) -> frozenset[str]:
    """The names whose values are never written down in this run."""
    return values.SECRET_NAMES | frozenset(state.secrets)


def standing_effect(state: State, call: str, occurrence: int) -> str | None:
    """The step that did the very same call, or is doing it, so that it is not to be made again; None where it may be made: it
    was never made, came to nothing, was taken back, or a repeat is meant. call: the digest of the tool and its arguments."""
    name = state.done_calls.get(call)
    if name is None or name in state.undone:
        return None
    before = state.steps[name]
    if (before.phase in ("skipped", "failed") and not before.landed) or before.occurrence < occurrence:
        return None
    return name


def source_of(state: State, step: str) -> str | None:
    """Whose result stands for a step's: its own where it was done, else that of the first alternative that was; None where
    nothing was done."""
    if state.steps[step].phase == "done":
        return step
    for other in state.stand_ins.get(step, ()):
        if (found := source_of(state, other)) is not None:
            return found
    return None


def result_of(state: State, step: str) -> Any:
    """The result of a finished step, or of what stood in for it; None where neither was done."""
    source = source_of(state, step)
    return state.steps[source].value if source is not None else None


def unknown_steps(state: State) -> tuple[str, ...]:
    """The steps of which nobody knows whether they happened, and those whose result is still owed."""
    # Of an undo that a person was asked about in vain.
    undoing = tuple(name for name in state.undoing if (step := state.steps[name]).phase == "skipped" and step.flagged)
    return undoing + tuple(
        name
        for name in state.active
        if (step := state.steps[name]).doubt_since is not None
        or step.phase in ("owed", "flying")
        or step.landed
        or (step.interrupt is not None and state.interrupts[step.interrupt].about == "owed")
    )


def status(state: State, now: float) -> Status:
    """The one word for the run: blocked means that only a person can move it on."""
    if state.ended:
        return state.ended
    if state.stop == "asked":
        return "blocked"
    # What waits to be called again waits for a person where the agent became weaker.
    held = state.held_by is not None
    phases = [phase for name in state.active if (phase := state.steps[name].phase) != "waiting" or not held]
    looking = any(owed.looking is not None for owed in state.pending.values())
    if "flying" in phases or "probing" in phases or looking or state.proposing is not None:
        return "running"
    if "checking" in phases or (state.checking_plan is not None and state.unjudged is not None):
        return "running"
    undoing = state.stop == "undo"
    if state.paused is not None and state.paused.until is not None and not undoing:
        return "waiting"
    if not undoing and (state.paused is not None or state.handoff is not None or state.plan_asked is not None):
        return "blocked"
    if state.interrupts and all(phase == "asking" for phase in phases):
        return "blocked"
    unasked = state.reason_at > 0  # No model may be asked before that.
    if (phases or state.pending or unasked) and all(phase in ("waiting", "probe_wait", "owed", "asking") for phase in phases):
        due = [step.due_at for name in state.active if (step := state.steps[name]).phase in ("waiting", "probe_wait")]
        due += [state.reason_at] if unasked else []
        due += [min(owed.due_at or owed.until, owed.until) for owed in state.pending.values()]
        return "waiting" if min(due, default=now) > now else "running"
    return "running"
