"""Random stories: whatever the world, people, crashes and changed agents do, in any order.

Each story is a random plan over random contracts. A small world keeps the truth: which effects landed, when, which may
still land, and which the other side owes. After every decision the run must be alive (see `story.check_alive`), everything
that can be said must be said, and no effect may have landed twice. In the end the world becomes kind, and then the run must
end, and what it took back is what it did.
"""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from holdfast.core import events as e
from holdfast.core.commands import AskReasoner, CallTool, Command, RunProbe, once_name
from holdfast.core.contract import Contract
from holdfast.core.decide import Room, decide
from holdfast.core.diagnosis import BROKEN_ANSWER
from holdfast.core.evolve import fold
from holdfast.core.facts import Fact
from holdfast.core.plan import Plan
from holdfast.core.state import ENDED, State, unknown_steps
from holdfast.journal import codec
from tests import strategies as s
from tests.core.story import Story
from tests.thorough import ALL

HARMLESS = ("read", "idempotent")
ACTIONS = (
    "work",
    "work",
    "work",
    "work",
    "answer",
    "time",
    "time",
    "crash",
    "change",
    "cancel",
    "look",
    "callback",
    "signal",
    "tell",
)


class World:
    """The truth about effects. landed: times by key, for each call that was not recognised as a repeat."""

    def __init__(self) -> None:
        self.landed: dict[str, list[float]] = {}
        self.seen: dict[str, float] = {}
        self.late: list[tuple[float, CallTool]] = []
        self.by_step: dict[str, set[tuple[str, float]]] = {}
        self.arrived: set[tuple[str, int]] = set()
        self.made: dict[str, CallTool] = {}
        self.refused: set[str] = set()

    def land(self, call: CallTool, at: float) -> None:
        """A request arrives, once. The other side drops what carries a key that it remembers."""
        contract = call.contract
        if (call.step, call.attempt) in self.arrived:
            return
        self.arrived.add((call.step, call.attempt))
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
        self.tools: tuple[Contract, ...] = (*data.draw(s.toolboxes, label="tools"), data.draw(s.undo_tools, label="undo"))
        self.limits = data.draw(s.limits, label="limits")
        self.on_stop = data.draw(st.sampled_from(["keep", "undo", "undo", "ask"]), label="on stop")
        self.begin()

    def begin(self) -> None:
        """A run that knows nothing yet, in a world in which nothing has happened."""
        self.story = Story(None, *self.tools, limits=self.limits, start={"on_stop": self.on_stop})
        self.world = World()
        # How often a step's effect was taken back before another tool took over.
        self.compensated: dict[str, int] = {}
        self.flying: dict[str, Command] = {}
        self.due: dict[str, float] = {}
        self.plans = 0
        self.kind = False
        self.free_hand = False  # a person changed the course in a way that may lawfully repeat an effect

    def draw(self, strategy: st.SearchStrategy[Any], label: str) -> Any:
        return self.data.draw(strategy, label=label)

    def decide(self) -> None:
        self.world.settle(self.story.now)
        decision = self.story.decide(room=self.room())
        for command in decision.commands:
            name = f"{type(command).__name__} {getattr(command, 'step', '')}"
            self.flying[name] = command
            self.due[name] = self.story.now + getattr(command, "timeout_seconds", 600.0)
            if isinstance(command, CallTool):
                self.world.made[command.key] = command
        for said in decision.events:
            if isinstance(said, e.FallbackRuled) and "was taken back" in said.reason:
                self.compensated[said.step] = self.compensated.get(said.step, 0) + 1
            if isinstance(said, e.UndoPlanned):
                self.check_undo(said)

    def room(self) -> Room:
        """What there is no room for: a tool that is held back, a key that another run has."""
        if self.kind or self.draw(st.integers(0, 3), "held back") != 0:
            return Room()
        state, now = self.story.run, self.story.now
        why = self.draw(st.sampled_from(["circuit", "rate"]), "why")
        held = {self.draw(st.sampled_from(s.TOOLS), "held"): (now + self.draw(st.sampled_from([0.0, 5.0, 70.0]), "for"), why)}
        wanted = [call for call in decide(state, now, Room(held=held)).commands if isinstance(call, CallTool)]
        names = sorted({name for call in wanted if (name := once_name(call.contract, call.args)) is not None})
        taken = self.draw(st.sets(st.sampled_from(names)), "taken") if names else ()
        return Room(held=held, free=dict.fromkeys(taken, 0), holders=dict.fromkeys(taken, "another"))

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
                self.story.cancel(self.draw(st.sampled_from([None, None, "keep", "undo", "ask"]), "on stop"))
            case "callback" if self.world.made and not self.story.ended:
                self.callback()
            case "signal" if self.story.run.order and not self.story.ended:
                self.signal(self.draw(st.sampled_from(self.story.run.order), "signal"))
            case "tell" if not self.story.ended:
                self.tell()
            case _:
                pass
        self.decide()

    def tell(self) -> None:
        """Somebody says what is so, or a model guesses it."""
        source = self.draw(st.sampled_from(["told", "told", "inferred", "remembered"]), "source")
        fact = Fact(
            name=self.draw(st.sampled_from(s.FACTS), "fact"),
            value=self.draw(st.integers(1, 3), "value"),
            source=source,
            by="ann",
            at=self.story.now,
            ttl_seconds=self.draw(st.sampled_from([None, 60.0]), "ttl"),
            rests_on=() if source == "told" else self.draw(st.sampled_from([(), ("n",), ("m", "steps.a")]), "rests on"),
            pinned=source == "told",
        )
        self.story.tell(e.FactsLearned(facts=(fact,)))

    def pass_time(self) -> None:
        wake_at = self.story.last.wake_at if self.story.last is not None else None
        seconds = self.draw(st.sampled_from([0.5, 9.0, 95.0, 4000.0]), "seconds") if not self.kind else 0.0
        if wake_at is not None and (self.kind or self.draw(st.booleans(), "until it wakes")):
            seconds = max(wake_at - self.story.now, 0.0)
        # A call ends within its time, one way or another.
        self.story.wait(min([seconds, *(self.due[name] - self.story.now for name in self.flying)]))

    def callback(self) -> None:
        """The other side delivers the result of a call, early, late or for the second time; it never contradicts itself."""
        key = self.draw(st.sampled_from(sorted(self.world.made)), "key")
        call = self.world.made[key]
        before = self.story.run
        waited_for = self.is_waited_for(call)
        if self.draw(st.booleans(), "it worked"):
            if waited_for:
                self.deliver(key)
            if key not in self.world.refused:
                self.story.deliver(call.step, {"n": 4}, key=key)
        elif not self.world.happened(key) and self.world.coming(key) is None:
            self.world.refused.add(key)
            self.world.arrived |= {(call.step, attempt) for attempt in range(call.attempt + 1)}
            self.story.deliver(call.step, failure=e.Failure(kind="failed_later"), key=key)
        if not waited_for:
            assert self.story.run.steps == before.steps, "a late delivery changes nothing"

    def is_waited_for(self, call: CallTool) -> bool:
        """Whether a delivery can still be taken."""
        step, owed = self.story[call.step], self.story.run.pending.get(call.step)
        if owed is not None and owed.key == call.key:
            return owed.found in ("none", "not_yet")
        return step.key == call.key and step.phase not in ENDED and step.callback is None

    def signal(self, name: str) -> None:
        """A word that what was owed to a step has come; also before anything was."""
        owed = self.story.run.pending.get(name)
        if owed is not None and owed.found in ("none", "not_yet"):
            self.deliver(owed.key)
        self.story.signal(name, {"n": 5})

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
        said = self.story[call.step].callback
        if said is not None and said.failure is not None:
            told = ["failed", "unknown"]
        match self.draw(st.sampled_from(told), "outcome"):
            case "ok":
                self.world.land(call, now)
                return e.CallSucceeded(**name, value={"n": 1})
            case "partial":
                self.world.land(call, now)
                rest = self.draw(st.sampled_from([None, {**call.args, "part": 2}]), "rest")
                return e.CallPartial(**name, value={"n": 1}, left=("x",), rest=rest)
            case "deferred":
                # What is owed happens when it is there.
                if said is not None or call.step in self.story.run.signals:
                    self.world.land(call, now)
                elif call.contract.safety == "keyed":
                    self.world.seen.setdefault(call.key, now)
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
        if (call.step, call.attempt) in self.world.arrived:
            return
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
        if probe.owed and (self.kind or self.draw(st.booleans(), "it comes")):
            self.deliver(probe.key)
        truth: Any = "happened" if self.world.happened(probe.key) else "not_happened"
        verdict = truth if self.kind else self.draw(st.sampled_from([truth, truth, truth, "not_yet", "cannot_tell"]), "verdict")
        return e.ProbeAnswered(
            step=probe.step, probe=probe.probe, verdict=verdict, value={"n": 2} if verdict == "happened" else None
        )

    def deliver(self, key: str) -> None:
        """What the other side took on is done."""
        if not self.world.happened(key) and key not in self.world.refused:
            call = self.world.made[key]
            self.world.arrived.discard((call.step, call.attempt))
            self.world.seen.pop(key, None)
            self.world.land(call, self.story.now)

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
            step, owed = self.story[asked.step], self.story.run.pending.get(asked.step)
            coming = self.world.coming(step.key)
            if coming is not None and coming > self.story.now:
                if self.flying:
                    return
                self.story.wait(coming - self.story.now)
                if asked.expires_at <= self.story.now:
                    return
            self.world.settle(self.story.now)
            happened = self.world.happened(step.key) and self.safety(step.tool) not in HARMLESS
            if happened and said in ("approve", "edit", "reject") and (owed is None or owed.about == "result"):
                said = "respond"
            if owed is not None and said == "respond":
                self.deliver(owed.key)
        if said == "edit":
            value = {**asked.args, "to": "z"} if asked.about != "fact" else {asked.facts[0]: 3}
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
            tools = (*self.draw(s.toolboxes, "tools"), self.tools[-1])
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
            allowed = 1 + self.compensated.get(step, 0)
            assert len(effects) <= allowed, f"step {step} landed {effects}"

    def check_nothing_hidden(self) -> None:
        """What landed, or still may, is done in the eyes of the run, or named: unknown, or broken in its answer."""
        state = self.story.run
        effects = {*self.world.by_step, *(call.step for _, call in self.world.late)}
        for name in sorted(effects):
            step = state.steps[name]
            under_way = not state.ended and step.phase not in ("skipped", "failed")
            named = name in self.compensated or name in (state.unknown if state.ended else unknown_steps(state))
            known = step.phase == "done" or step.landed or named
            assert under_way or known, f"{name} is {step.phase}, and had its effect"

    def check_undo(self, planned: e.UndoPlanned) -> None:
        """What is taken back, or named as what cannot be, is what was done; the last comes first."""
        state = self.story.run
        taken = [undo.undoes for undo in planned.steps]
        done = [
            name
            for name in state.order
            if not (step := state.steps[name]).step.undoes
            and self.safety(step.tool) != "read"
            and (step.landed if step.phase != "done" else step.settled_by != "reuse")
        ]
        assert sorted([*taken, *planned.kept]) == sorted(done)
        times = [state.steps[name].done_at for name in taken]
        assert times == sorted(times, reverse=True)

    def check_taken_back(self) -> None:
        """What a run says of what it took back is so."""
        state = self.story.run
        assert state.ended
        if state.stop != "undo":
            return
        assert not set(state.undone) & set(state.kept)
        for name in state.undoing:
            step = state.steps[name]
            whole = step.phase == "done" and (not step.left or step.rest)
            assert not whole or step.step.undoes in (*state.undone, *state.kept)
            assert step.phase == "done" or step.step.undoes in state.kept, f"{name} is {step.phase}"

    def check_alternatives(self) -> None:
        """Of a step and all that may stand in for it, one is done at most."""
        state = self.story.run
        for name, others in state.stand_ins.items():
            done = [way for way in (name, *others) if state.steps[way].phase == "done"]
            assert len(done) <= 1, f"{done} are all done"

    def check_no_follow_up(self) -> None:
        """While something is owed, nobody makes the same call once more, unless a person says so, or it is to take something
        back."""
        state = None
        for entry in self.story.entries:
            made = entry.event
            if state is not None and isinstance(made, e.CallIntended) and self.safety(made.tool) != "read":
                step = state.steps[made.step]
                for name, owed in state.pending.items():
                    same = (owed.tool, owed.args) == (made.tool, made.args) and state.steps[name].occurrence == step.occurrence
                    assert not same or step.insisted or state.stop == "undo", f"{made.step} follows up {name}"
            state = fold([entry], state)

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
    phase = {name: state.steps[name].phase for name in state.order}
    assert sorted(state.ready) == sorted(name for name in phase if phase[name] == "ready")
    assert sorted(state.active) == sorted(name for name in phase if phase[name] not in (*ENDED, "blocked", "ready"))
    assert state.open_steps == sum(1 for name in phase if phase[name] not in ENDED)
    if not state.ended:
        open_ones = {state.steps[name].interrupt for name in phase if phase[name] == "asking"}
        open_ones |= {owed.interrupt for owed in state.pending.values()} | {state.held_by}
        open_ones |= {name for name, asked in state.interrupts.items() if asked.about == "stop"}
        assert open_ones - {None} == set(state.interrupts)
        assert all(
            state.steps[name].phase in ("owed", "asking") for name, owed in state.pending.items() if owed.about == "result"
        )
        assert {name for name in phase if phase[name] == "owed"} <= state.pending.keys()
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
    for round in range(1_000):  # What is owed may be looked for each half minute, until the run is too old.
        if walk.story.run.ended:
            break
        walk.act("work" if walk.flying else "answer" if walk.story.open and round % 2 else "time")
    assert walk.story.run.ended, f"it never ends: {walk.story.phases}"
    event(f"ended {walk.story.run.ended} {walk.story.run.stop}")
    walk.check_once()
    walk.check_history()
    walk.check_taken_back()
    walk.check_alternatives()
    if not walk.free_hand:
        walk.check_no_follow_up()


@settings(
    max_examples=250 if ALL else 120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(st.data())
def test_no_effect_lands_twice(data: st.DataObject) -> None:
    """The same over tools that are all harmful to repeat, so that every story counts."""
    walk = Walk(data)
    harmful = st.tuples(*(s.contracts(name, ("keyed", "reconcilable", "irreversible")) for name in s.TOOLS))
    walk.tools = (*data.draw(harmful, label="harmful"), walk.tools[-1])
    assume(all(contract.key_ttl_seconds != 0.0 and contract.safety not in HARMLESS for contract in walk.tools))
    walk.begin()
    walk.decide()
    for _ in range(data.draw(st.integers(5, 60), label="actions")):
        if walk.story.run.ended:
            break
        action = data.draw(st.sampled_from([name for name in ACTIONS if name != "change"]), label="action")
        walk.act(action)
        walk.check_once()
        walk.check_nothing_hidden()
    walk.check_history()


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_what_is_believed_leads_to_no_dead_end(data: st.DataObject) -> None:
    """The same where all is known at the start, every tool reports what holds for a while only, and people say otherwise."""
    walk = Walk(data)
    safeties = ("read", "read", "keyed", "irreversible")
    walk.tools = tuple(
        msgspec.structs.replace(
            data.draw(s.contracts(name, safeties), label=name),
            observes={"n": "n", "of {to}": "n"},
            valid_seconds=data.draw(st.sampled_from([0.0, 60.0, 1000.0]), label="valid for"),
        )
        for name in (*s.TOOLS, s.UNDO)
    )
    walk.begin()
    walk.decide()
    for name in s.FACTS:
        ttl = data.draw(st.sampled_from([None, 60.0]), label="ttl")
        walk.story.tell(e.FactsLearned(facts=(Fact(name=name, value=1, at=walk.story.now, ttl_seconds=ttl),)))
    for _ in range(data.draw(st.integers(5, 60), label="actions")):
        if walk.story.run.ended:
            break
        walk.act(data.draw(st.sampled_from([*ACTIONS, "tell", "time"]), label="action"))
    walk.kind = True
    for round in range(1_000):  # What is owed may be looked for each half minute, until the run is too old.
        if walk.story.run.ended:
            break
        walk.act("work" if walk.flying else "answer" if walk.story.open and round % 2 else "time")
    assert walk.story.run.ended, f"it never ends: {walk.story.phases}"
    walk.check_history()
