"""A run told event by event: what the tables of the core tests are written in.

    story = Story([step("a")], tool("t", "keyed", key_ttl_seconds=60.0))
    story.decide()                                   # a is called
    story.lose("a")                                  # the call ends unknown
    story.decide()

`decide` takes what is decided into the history, as the driver would, and checks what holds for every decision there is:
its state is the fold of its events, each command has its intent and each intent its command, and the run is at no dead
end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core.commands import AskReasoner, CallTool, Command, RunProbe, child_run_id
from holdfast.core.contract import Contract, Retry
from holdfast.core.decide import Decision, Room, decide
from holdfast.core.evolve import evolve, fold
from holdfast.core.forks import carried, recorded
from holdfast.core.limits import Limits
from holdfast.core.plan import Goal, Plan, Step
from holdfast.core.state import State, StepState

T0 = 1_000_000.0
EMPTY = Room()
AT_ONCE = Retry(attempts_max=3, backoff_seconds=1.0, backoff_seconds_max=60.0, jitter=0.0)


def tool(name: str = "t", safety: Any = "read", **fields: Any) -> Contract:
    """A contract with plain times, and a probe where its safety needs one."""
    fields.setdefault("retry", AT_ONCE)
    fields.setdefault("probe", safety == "reconcilable")
    fields.setdefault("timeout_seconds", 10.0)
    return Contract(tool=name, safety=safety, **fields)


def step(name: str, called: str = "t", **fields: Any) -> Step:
    """A step of a plan."""
    return Step(id=name, tool=called, **fields)


def ref(expression: str, **default: Any) -> dict[str, Any]:
    """A reference in arguments."""
    return {"$ref": expression, **default}


class Story:
    """A run with its history so far. `now` only moves when a test says so."""

    def __init__(
        self,
        steps: Iterable[Step] | None,
        *contracts: Contract,
        limits: Limits | None = None,
        inputs: dict[str, Any] | None = None,
        final: bool = True,
        result: Any = None,
        start: dict[str, Any] | None = None,
    ):
        self.now = T0
        self.fence = 1
        self.entries: list[e.Entry] = []
        self.state: State | None = None
        self.commands: list[Command] = []
        self.last: Decision | None = None
        goal, bounds = Goal(text="g", inputs=inputs or {}), limits or Limits()
        given: dict[str, Any] = {
            "run_id": "r1",
            "agent": "a",
            "goal": goal,
            "contracts": contracts,
            "limits": bounds,
            **(start or {}),
        }
        self.tell(e.RunStarted(**given))
        if steps is not None:
            self.tell(e.ProposalRequested(turn=1))
            self.tell(e.PlanAdopted(turn=1, revision=1, plan=Plan(steps=tuple(steps), final=final, result=result)))

    # --- what the world says --------------------------------------------------------------------------------------

    def tell(self, *events: e.AnyEvent, at: float | None = None) -> Story:
        """Events into the history, at the present or a given time."""
        self.now = self.now if at is None else at
        for event in events:
            entry = e.Entry(len(self.entries) + 1, self.now, self.fence, event)
            self.entries.append(entry)
            self.state = evolve(self.state, entry)
        return self

    def wait(self, seconds: float) -> Story:
        """Time passes."""
        self.now += seconds
        return self

    def crash(self, after: float = 0.0) -> Story:
        """The worker is gone; another takes the run on under a higher fence."""
        self.now += after
        self.fence += 1
        self.commands.clear()
        return self.tell(e.RunResumed(worker=f"w{self.fence}"))

    def succeed(self, name: str, value: Any = None) -> Story:
        """The call under way comes back with a value."""
        return self.tell(e.CallSucceeded(step=name, attempt=self[name].attempt, value=value))

    def fail(self, name: str, kind: Any = "transient", **fields: Any) -> Story:
        """The call under way fails for certain."""
        return self.tell(e.CallFailed(step=name, attempt=self[name].attempt, failure=e.Failure(kind=kind, **fields)))

    def lose(self, name: str, why: str = "it did not end in time") -> Story:
        """The call under way ends, and nobody knows how."""
        return self.tell(e.CallUnknown(step=name, attempt=self[name].attempt, why=why))

    def defer(self, name: str, until: float | None = None, **fields: Any) -> Story:
        """The other side took the call and will be done later."""
        fields.setdefault("handle", "h")
        return self.tell(e.CallDeferred(step=name, attempt=self[name].attempt, until=until, **fields))

    def part(self, name: str, value: Any = None, left: tuple[str, ...] = ("seat",), **fields: Any) -> Story:
        """Some of the call under way was done."""
        return self.tell(e.CallPartial(step=name, attempt=self[name].attempt, value=value, left=left, **fields))

    def probed(self, name: str, verdict: Any, value: Any = None, **fields: Any) -> Story:
        """The probe under way answers, or the look for what is owed."""
        owed = self.run.pending.get(name)
        probe = owed.looks if owed is not None and owed.looking is not None else self[name].probe
        return self.tell(e.ProbeAnswered(step=name, probe=probe, verdict=verdict, value=value, **fields))

    def deliver(self, name: str, value: Any = None, failure: e.Failure | None = None, key: str | None = None) -> Story:
        """The other side calls back about the call in force."""
        key = self[name].key if key is None else key
        return self.tell(e.CallbackReceived(step=name, key=key, value=value, failure=failure, by="them"))

    def signal(self, name: str, value: Any = None) -> Story:
        """A word by name."""
        return self.tell(e.SignalReceived(name=name, value=value, by="them"))

    def child(self, name: str, status: Any = "completed", result: Any = None, **fields: Any) -> Story:
        """The run that a step started has ended."""
        fields.setdefault("child", child_run_id(self.run.run_id, name, self[name].occurrence))
        return self.tell(e.ChildEnded(step=name, status=status, result=result, **fields))

    def cancel(self, on_stop: Any = None) -> Story:
        """Somebody wants the run to end."""
        return self.tell(e.CancelRequested(by="bob", on_stop=on_stop))

    def answer(self, decision: Any, value: Any = None, interrupt: str | None = None, note: str = "") -> Story:
        """A person answers what is asked."""
        (only,) = self.open if interrupt is None else (interrupt,)
        return self.tell(e.Answered(interrupt=only, decision=decision, by="ann", value=value, note=note))

    def change(self, *contracts: Contract, weaker: bool = False, what: str = "safety") -> Story:
        """The agent is found changed when the run is taken on."""
        from holdfast.core.contract import differences

        assert self.state is not None
        found = differences(self.state.contracts, {contract.tool: contract for contract in contracts})
        assert any(d.weaker for d in found) is weaker, f"{found} is {'not ' if weaker else ''}weaker"
        return self.tell(e.AgentChanged(differences=found, contracts=contracts, weaker=weaker))

    def fork(self, at: int | None = None, *, mode: Any = "blocked", contracts: Any = None, **fields: Any) -> Story:
        """A fork of this run after its entry `at`, as whoever makes one begins it."""
        at = len(self.entries) if at is None else at
        before, run = fold(self.entries[:at]), self.run
        forked = e.RunForked(
            run_id=fields.pop("run_id", "f1"),
            source=run.run_id,
            entry=at,
            link="",
            mode=mode,
            agent=run.agent,
            contracts=tuple(run.contracts.values()) if contracts is None else contracts,
            limits=fields.pop("limits", run.limits),
            thinking=fields.pop("thinking", run.thinking),
            accept=run.accept,
            policy=fields.pop("policy", run.policy),
            recorded=recorded(self.entries, run, at, whole=mode == "simulate"),
            **fields,
        )
        told = Story.__new__(type(self))
        told.__dict__ |= self.__dict__ | {"entries": self.entries[:at], "state": before, "commands": [], "last": None}
        told.fence = before.fence + 1
        return told.tell(forked, *carried(self.entries, run, before)).tell(e.RunResumed(worker="w"))

    # --- what the core says ---------------------------------------------------------------------------------------

    def decide(self, after: float = 0.0, full: Iterable[str] = (), room: Room | None = None) -> Decision:
        """What is decided now, taken into the history and checked. full: tools without a place; room: in whole."""
        self.now += after
        assert self.state is not None
        room = Room(free=dict.fromkeys(full, 0)) if room is None else room
        decision = decide(self.state, self.now, room)
        self.tell(*decision.events)
        assert decision.state == self.state, "the decision's state is the fold of its events"
        _check_intents(decision)
        self.commands.extend(decision.commands)
        self.last = decision
        if not room.free:  # Who drives the run looks for places again by itself.
            check_alive(decision)
            check_said(decision, self.now, room)
        return decision

    def called(self, after: float = 0.0, full: Iterable[str] = (), room: Room | None = None) -> list[str]:
        """The steps that a decision now calls."""
        return [command.step for command in self.decide(after, full, room).commands if isinstance(command, CallTool)]

    def looked(self, after: float = 0.0) -> list[str]:
        """The steps that a decision now probes, or looks for what is owed to."""
        return [command.step for command in self.decide(after).commands if isinstance(command, RunProbe)]

    def __getitem__(self, name: str) -> StepState:
        assert self.state is not None
        return self.state.steps[name]

    @property
    def run(self) -> State:
        """What is known of the run."""
        assert self.state is not None
        return self.state

    @property
    def ended(self) -> str:
        """How the run ended, if it has."""
        return self.run.ended

    @property
    def phases(self) -> dict[str, str]:
        """The phase of each step."""
        return {name: self[name].phase for name in self.run.order}

    @property
    def open(self) -> list[str]:
        """The interrupts that wait for a person."""
        return list(self.run.interrupts)

    @property
    def asked(self) -> e.Asked:
        """The one thing that a person is asked."""
        (asked,) = self.run.interrupts.values()
        return asked

    @property
    def keys(self) -> list[str]:
        """The keys of all calls made, in order."""
        return [entry.event.key for entry in self.entries if isinstance(entry.event, e.CallIntended)]

    def events(self, kind: type[Any]) -> list[Any]:
        """All events of a kind so far."""
        return [entry.event for entry in self.entries if isinstance(entry.event, kind)]

    def rows(self) -> list[str]:
        """The rows of the recovery table, and of that of what is owed, that were applied, in order."""
        return [event.row for entry in self.entries if isinstance(event := entry.event, (e.RecoveryRuled, e.PendingRuled))]

    def refold(self) -> State:
        """The whole history folded from its beginning."""
        return fold(self.entries)


def _check_intents(decision: Decision) -> None:
    """Each command has its intent among the events, and each intent its command."""
    intended = []
    for event in decision.events:
        match event:
            case e.CallIntended():
                intended.append(("call", event.step, event.attempt))
            case e.ProbeIntended():
                intended.append(("probe", event.step, event.probe))
            case e.ProposalRequested():
                intended.append(("reasoner", "", event.turn))
            case _:
                pass
    commanded = []
    for command in decision.commands:
        match command:
            case CallTool():
                commanded.append(("call", command.step, command.attempt))
            case RunProbe():
                commanded.append(("probe", command.step, command.probe))
            case AskReasoner():
                commanded.append(("reasoner", "", command.turn))
    assert sorted(intended) == sorted(commanded)


def in_flight(state: State) -> bool:
    """Whether anything is under way that will bring an outcome."""
    return (
        state.proposing == state.fence
        or any(state.steps[name].phase in ("flying", "probing") for name in state.active)
        or any((step := state.steps[name]).phase == "checking" and step.fence == state.fence for name in state.active)
        or state.checking_plan == state.fence
        or any(owed.looking == state.fence for owed in state.pending.values())
    )


def check_alive(decision: Decision) -> None:
    """The run has ended, has something in flight, or knows when to look again; a person may keep it waiting, but not for
    ever, so an open interrupt has a wake time too."""
    state = decision.state
    assert state.ended or in_flight(state) or decision.wake_at is not None, f"a dead end: {phases(state)}"
    if state.ended:
        assert not in_flight(state), "ended with something in flight"
        assert not decision.commands


def check_said(decision: Decision, now: float, room: Room = EMPTY) -> None:
    """Everything that could be said was said: asked again at the same moment, there is nothing to add."""
    again = decide(decision.state, now, room)
    assert (again.events, again.commands) == ((), ()), f"left unsaid: {again.events}"
    if not decision.state.ended and again.wake_at is not None:
        assert decision.wake_at is not None and decision.wake_at <= again.wake_at, "woken too late"


def phases(state: State) -> dict[str, str]:
    """The phase of each step, for messages."""
    return {name: state.steps[name].phase for name in state.order}


def with_entry(entries: list[e.Entry], event: e.AnyEvent, at: float, fence: int) -> list[e.Entry]:
    """A history with one more event."""
    return [*entries, e.Entry(len(entries) + 1, at, fence, event)]


def weaker(contract: Contract, **fields: Any) -> Contract:
    """The contract with some promises changed."""
    return replace(contract, **fields)
