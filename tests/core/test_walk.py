"""Random stories: whatever the world, people, crashes and changed agents do, in any order.

Each story is a random plan over random contracts. A small world keeps the truth: which effects landed, when, and which
may still land. After every decision the run must be alive (see `story.check_alive`), everything that can be said must be
said, and no effect may have landed twice. In the end the world becomes kind, and then the run must end.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from holdfast.core import events as e
from holdfast.core.commands import AskReasoner, CallTool, Command, RunProbe
from holdfast.core.contract import Contract
from holdfast.core.diagnosis import BROKEN_ANSWER
from holdfast.core.evolve import fold
from holdfast.core.plan import Plan
from holdfast.core.state import State
from holdfast.journal import codec
from tests import strategies as s
from tests.core.story import Story

HARMLESS = ("read", "idempotent")
ACTIONS = ("work", "work", "work", "work", "answer", "time", "time", "crash", "change", "cancel", "look")


class World:
    """The truth about effects. landed: times by key, for each call that was not recognised as a repeat."""

    def __init__(self) -> None:
        self.landed: dict[str, list[float]] = {}
        self.seen: dict[str, float] = {}
        self.late: list[tuple[float, CallTool]] = []
        self.by_step: dict[str, set[tuple[str, float]]] = {}

    def land(self, call: CallTool, at: float) -> None:
        """A request arrives. The other side drops what carries a key that it remembers."""
        contract = call.contract
        if contract.safety == "keyed":
            first = self.seen.get(call.key)
            ttl = contract.key_ttl_seconds
            if first is not None and (ttl is None or at <= first + ttl):
                return
            self.seen[call.key] = at
        times = self.landed.setdefault(call.key, [])
        times.append(at)
        self.by_step.setdefault(call.step, set()).add((call.key, at))

    def settle(self, now: float) -> None:
        """What was still on its way by then has arrived."""
        due = sorted((item for item in self.late if item[0] <= now), key=lambda item: item[0])
        self.late = [item for item in self.late if item[0] > now]
        for at, call in due:
            self.land(call, at)

    def happened(self, key: str) -> bool:
        """Whether the call with this key has landed by now."""
        return bool(self.landed.get(key))

    def coming(self, key: str) -> float | None:
        """When a request with this key is still to land."""
        return max((at for at, call in self.late if call.key == key), default=None)


class Walk:
    """One random story under way."""

    def __init__(self, data: st.DataObject):
        self.data = data
        self.tools: tuple[Contract, ...] = data.draw(s.toolboxes, label="tools")
        self.limits = data.draw(s.limits, label="limits")
        self.story = Story(None, *self.tools, limits=self.limits)
        self.world = World()
        self.flying: dict[str, Command] = {}
        self.due: dict[str, float] = {}
        self.plans = 0
        self.kind = False
        self.free_hand = False  # a person changed the course in a way that may lawfully repeat an effect

    def draw(self, strategy: st.SearchStrategy[Any], label: str) -> Any:
        return self.data.draw(strategy, label=label)

    def decide(self) -> None:
        self.world.settle(self.story.now)
        for command in self.story.decide().commands:
            name = f"{type(command).__name__} {getattr(command, 'step', '')}"
            self.flying[name] = command
            self.due[name] = self.story.now + getattr(command, "timeout_seconds", 600.0)

    # --- what may happen next -------------------------------------------------------------------------------------

    def act(self, action: str) -> None:
        match action:
            case "work" if self.flying:
                name = self.draw(st.sampled_from(sorted(self.flying)), "work on")
                self.work(self.flying.pop(name))
            case "time":
                self.pass_time()
            case "answer" if self.story.open:
                self.answer(self.draw(st.sampled_from(self.story.open), "interrupt"))
            case "crash":
                self.crash()
            case "change" if not self.kind:
                self.crash()
                self.change()
            case "cancel" if not self.kind and self.draw(st.integers(0, 5), "really cancel") == 0:
                self.story.tell(e.CancelRequested(by="bob"))
            case _:
                pass
        self.decide()

    def pass_time(self) -> None:
        wake_at = self.story.last.wake_at if self.story.last is not None else None
        seconds = self.draw(st.sampled_from([0.5, 9.0, 95.0, 4000.0]), "seconds") if not self.kind else 0.0
        if wake_at is not None and (self.kind or self.draw(st.booleans(), "until it wakes")):
            seconds = max(wake_at - self.story.now, 0.0)
        # A call ends within its time, one way or another.
        self.story.wait(min([seconds, *(self.due[name] - self.story.now for name in self.flying)]))

    def work(self, command: Command) -> None:
        match command:
            case CallTool():
                self.story.tell(self.call(command))
            case RunProbe():
                self.story.tell(self.probe(command))
            case AskReasoner():
                self.story.tell(self.propose(command))

    def call(self, call: CallTool) -> e.AnyEvent:
        told = ["ok"] if self.kind else ["ok", "ok", "partial", "deferred", "failed", "failed", "broken", "unknown", "unknown"]
        now = self.story.now
        name: dict[str, Any] = {"step": call.step, "attempt": call.attempt}
        match self.draw(st.sampled_from(told), "outcome"):
            case "ok":
                self.world.land(call, now)
                return e.CallSucceeded(**name, value={"n": 1})
            case "partial":
                self.world.land(call, now)
                return e.CallPartial(**name, value={"n": 1}, left=("x",))
            case "deferred":
                self.world.land(call, now)
                return e.CallDeferred(**name, until=self.draw(st.none() | st.just(now + 200), "until"))
            case "broken":
                self.world.land(call, now)
                return e.CallFailed(**name, failure=e.Failure(kind=self.draw(st.sampled_from(sorted(BROKEN_ANSWER)), "kind")))
            case "failed":
                kind = self.draw(st.sampled_from(["transient", "rate_limited", "conflict", "denied"]), "kind")
                after = self.draw(st.sampled_from([None, 50.0]), "retry after")
                return e.CallFailed(**name, failure=e.Failure(kind=kind, retry_after_seconds=after))
            case _:
                self.lose(call)
                return e.CallUnknown(**name, why="no answer")

    def lose(self, call: CallTool) -> None:
        """The request of a lost call landed, will land, or never will."""
        match self.draw(st.sampled_from(["landed", "late", "never"]), "lost"):
            case "landed":
                self.world.land(call, self.story.now)
            case "late":
                delay = self.draw(st.floats(0.01, 1.0), "late by") * call.contract.settles_within_seconds
                self.world.late.append((self.story.now + delay, call))
            case _:
                pass

    def probe(self, probe: RunProbe) -> e.AnyEvent:
        self.world.settle(self.story.now)
        truth: Any = "happened" if self.world.happened(probe.key) else "not_happened"
        verdict = truth if self.kind else self.draw(st.sampled_from([truth, truth, truth, "not_yet", "cannot_tell"]), "verdict")
        return e.ProbeAnswered(
            step=probe.step, probe=probe.probe, verdict=verdict, value={"n": 2} if verdict == "happened" else None
        )

    def propose(self, command: AskReasoner) -> e.AnyEvent:
        told = ["finish"] if self.kind else ["plan", "plan", "finish", "give up", "nonsense"]
        said = self.draw(st.sampled_from(told), "proposal") if self.plans else "plan"
        if said == "plan":
            plan: Plan = self.draw(s.plans(tuple(self.story.run.contracts.values()), self.plans), "plan")
            self.plans += 1
            return e.PlanAdopted(turn=command.turn, revision=self.story.run.revision + 1, plan=plan)
        if said == "finish":
            return e.FinishProposed(turn=command.turn, result=1)
        if said == "give up":
            return e.GiveUpProposed(turn=command.turn, reason="no")
        return e.ProposalFailed(turn=command.turn, problems=("no",))

    def answer(self, interrupt: str) -> None:
        """A person says one of the things that they may say, and says the truth about what happened."""
        asked = self.story.run.interrupts[interrupt]
        if asked.expires_at <= self.story.now:
            return
        said = self.draw(
            st.sampled_from([option.decision for option in asked.options if not self.kind or option.decision != "cancel"]), "said"
        )
        value: Any = {"n": 3}
        if asked.about in ("doubt", "failure", "owed"):
            step = self.story[asked.step]
            coming = self.world.coming(step.key)
            if coming is not None and coming > self.story.now:
                if self.flying:
                    return
                self.story.wait(coming - self.story.now)
                if asked.expires_at <= self.story.now:
                    return
            self.world.settle(self.story.now)
            happened = self.world.happened(step.key) and self.safety(step.tool) not in HARMLESS
            if happened and said in ("approve", "edit", "reject"):
                said = "respond"
        if said == "edit":
            value = {**asked.args, "to": "z"}
        self.story.tell(e.Answered(interrupt=interrupt, decision=said, by="ann", value=value))

    def safety(self, called: str) -> str:
        contract = self.story.run.contracts.get(called)
        return contract.safety if contract is not None else "irreversible"

    def crash(self) -> None:
        for command in self.flying.values():
            if isinstance(command, CallTool):
                self.lose(command)
        self.flying.clear()
        self.story.crash(after=self.draw(st.sampled_from([0.0, 20.0, 500.0]), "down for"))

    def change(self) -> None:
        from holdfast.core.contract import differences

        state = self.story.run
        now = self.draw(st.sampled_from(["same", "start", "text", "other"]), "change")
        tools = tuple(state.contracts.values())
        if now == "start":
            tools = self.tools
        elif now == "text":
            tools = tuple(_described(contract, f"{self.story.fence}") for contract in tools)
        elif now == "other":
            tools = self.draw(s.toolboxes, "tools")
        found = differences(state.contracts, {contract.tool: contract for contract in tools})
        if found or state.changed is not None:
            self.story.tell(e.AgentChanged(differences=found, contracts=tools, weaker=any(d.weaker for d in found)))
            self.free_hand = self.free_hand or now != "text"

    # --- what must hold -------------------------------------------------------------------------------------------

    def check_once(self) -> None:
        """No step has landed two effects that are not harmless; with one key, no call has."""
        if self.free_hand:
            return  # Promises that change while calls are in flight are checked elsewhere, one by one.
        for contract in self.tools:
            if contract.safety in HARMLESS:
                return  # Keys do not name tools; a story with harmless tools says nothing simple here.
        for key, times in self.world.landed.items():
            assert len(times) <= 1, f"{key} landed at {times}"
        for step, effects in self.world.by_step.items():
            assert len(effects) <= 1, f"step {step} landed {effects}"

    def check_nothing_hidden(self) -> None:
        """What landed, or still may, is done in the eyes of the run, or named: unknown, or broken in its answer."""
        state = self.story.run
        effects = {*self.world.by_step, *(call.step for _, call in self.world.late)}
        for name in sorted(effects):
            step = state.steps[name]
            under_way = not state.ended and step.phase not in ("skipped", "failed")
            known = step.phase == "done" or step.landed or name in state.unknown
            assert under_way or known, f"{name} is {step.phase}, and had its effect"

    def check_history(self) -> None:
        """The fold of a part and then the rest is the fold of all; and what is stored is what was said."""
        entries, whole = self.story.entries, self.story.run
        at = self.draw(st.integers(1, len(entries)), "cut at")
        part = fold(entries[:at])
        assert fold(entries[at:], part) == whole == fold(entries)
        told = tuple(entry.event for entry in entries)
        body, blobs = codec.encode(told)
        assert codec.decode(body, blobs.__getitem__) == told
        check_lists(whole)


def _described(contract: Contract, text: str) -> Contract:
    from msgspec.structs import replace

    return replace(contract, description=text)


def check_lists(state: State) -> None:
    """The lists that the state keeps beside its steps say what the steps say."""
    from holdfast.core.state import ENDED

    phase = {name: state.steps[name].phase for name in state.order}
    assert sorted(state.ready) == sorted(name for name in phase if phase[name] == "ready")
    assert sorted(state.active) == sorted(name for name in phase if phase[name] not in (*ENDED, "blocked", "ready"))
    assert state.open_steps == sum(1 for name in phase if phase[name] not in ENDED)
    if not state.ended:
        open_ones = {state.steps[name].interrupt for name in phase if phase[name] == "asking"}
        assert open_ones | ({state.held_by} - {None}) == set(state.interrupts)
    assert all(state.steps[name].doubt_since is None for name in phase if phase[name] == "done")


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_no_story_comes_to_a_dead_end(data: st.DataObject) -> None:
    """Any order of outcomes, answers, crashes, changes and waits: always alive, nothing done twice, and it ends."""
    walk = Walk(data)
    walk.decide()
    for _ in range(data.draw(st.integers(5, 60), label="actions")):
        if walk.story.run.ended:
            break
        walk.act(data.draw(st.sampled_from(ACTIONS), label="action"))
    walk.kind = True
    for round in range(400):
        if walk.story.run.ended:
            break
        walk.act("work" if walk.flying else "answer" if walk.story.open and round % 2 else "time")
    assert walk.story.run.ended, f"it never ends: {walk.story.phases}"
    event(f"ended {walk.story.run.ended}")
    walk.check_once()
    walk.check_history()


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_no_effect_lands_twice(data: st.DataObject) -> None:
    """The same over tools that are all harmful to repeat, so that every story counts."""
    walk = Walk(data)
    walk.tools = data.draw(
        st.tuples(*(s.contracts(name, ("keyed", "reconcilable", "irreversible")) for name in s.TOOLS)), label="harmful"
    )
    assume(all(contract.key_ttl_seconds != 0.0 for contract in walk.tools))
    walk.story = Story(None, *walk.tools, limits=walk.limits)
    walk.decide()
    for _ in range(data.draw(st.integers(5, 60), label="actions")):
        if walk.story.run.ended:
            break
        action = data.draw(st.sampled_from([name for name in ACTIONS if name != "change"]), label="action")
        walk.act(action)
        walk.check_once()
        walk.check_nothing_hidden()
    walk.check_history()
