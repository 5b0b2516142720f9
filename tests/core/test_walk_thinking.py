"""Random stories of runs that ask models: whatever these say, and however often, the run ends.

A hostile reasoner proposes anything that its form allows; requests fail in every way, workers die, people answer or do not, the
goal changes, the clock jumps. After every decision the run must be alive and everything said that can be said (`Story.decide`),
no time to wake is over already, and no effect is made twice unless it was meant. Nothing is made kind in the end: the bounds
of the run end it.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.core import checkpoint
from holdfast.core import events as e
from holdfast.core.commands import AskReasoner, CallTool, Recall, RunProbe
from holdfast.core.evolve import fold
from holdfast.core.facts import Fact
from holdfast.core.limits import Limits
from holdfast.core.models import Usage
from holdfast.core.plan import Goal, Plan, Step
from holdfast.core.thinking import Acceptance, Asking
from holdfast.journal import codec
from holdfast.reasoners.base import Ask, Finish, GiveUp, Interpret, Keep, Propose
from tests.core.mind import Mind, question, terms
from tests.core.story import tool

LOOK = tool("look", input_schema={"type": "object", "properties": {"result": {}}})
TOOLS = (
    tool("t", observes={"seats": "n"}, valid_seconds=100.0),
    tool("k", "keyed", undo="undo_k"),
    tool("irr", "irreversible"),
    tool("rec", "reconcilable", settles_within_seconds=5.0),
    tool("undo_k", "keyed"),
    LOOK,
)
NAMES = ("seats", "city", "pin")
KINDS = ("transient", "rate_limited", "denied", "too_expensive", "invalid_input", "unavailable", "crashed", "not_found")


class Hostile:
    """One random story; `dice` says all of it."""

    def __init__(self, dice: random.Random):
        self.dice = dice
        one = dice.choice
        accept = one(
            [None, None, Acceptance(that="n"), Acceptance(tool="look"), Acceptance(that="n", tool="look", finishes_max=1)]
        )
        self.mind = Mind(
            *TOOLS,
            models=(terms("p:a"), terms("q:b")),
            horizon=one([0, 1, 1, 3]),
            reassess=one(["step", "surprise", "never"]),
            interpret=one([True, False]),
            asking={"pin": Asking(policy="always"), "": Asking(policy=one(["weigh", "never"]))},
            failures_max=one([1, 3]),
            limits=Limits(
                turns_max=one([3, 40]), revisions_max=one([2, 15]), idle_turns_max=one([2, 6]), person_seconds=one([50.0, 5000.0]),
                parallel_max=one([1, 4]), wall_seconds=one([2_000.0, 300_000.0]), steps_max=one([6, 60]),
                tokens_max=one([None, 200_000]),
            ),
            accept=accept,
            inputs={"city": "SF"},
            start={"on_stop": one(["keep", "keep", "undo", "ask"])},
        )  # fmt: skip
        self.flying: list[Any] = []
        self.made = 0
        self.free_hand = False

    def decide(self) -> None:
        before = self.mind.now
        decision = self.mind.decide()
        self.flying += decision.commands
        assert decision.wake_at is None or decision.wake_at > before or decision.commands or not self.is_idle(), "a hot loop"
        for event in decision.events:
            if isinstance(event, e.ProposalRequested):
                assert event.model and event.reason and event.reserved is not None
            if isinstance(event, e.ReasonerHeld):
                assert event.until > before and event.reason
        assert self.mind.run.turn <= self.mind.run.limits.turns_max

    def is_idle(self) -> bool:
        return not self.flying and not self.mind.run.ended

    def act(self) -> None:
        dice = self.dice.random()
        if dice < 0.7 and self.flying:
            self.work(self.flying.pop(self.dice.randrange(len(self.flying))))
        elif dice < 0.8 and self.mind.open:
            self.answer(self.dice.choice(self.mind.open))
        elif dice < 0.83:
            self.flying.clear()
            self.mind.crash(after=self.dice.choice([0.0, 40.0]))
        elif dice < 0.86:
            goal = Goal(text="h", inputs={"city": self.dice.choice(["SF", "LA"])})
            self.mind.tell(e.GoalChanged(goal=goal, by="bob"))
        elif dice < 0.88:
            fact = Fact(name=self.dice.choice(NAMES), value=self.dice.choice([1, 2]), by="ann", at=self.mind.now, pinned=True)
            self.mind.tell(e.FactsLearned(facts=(fact,)))
        else:
            self.jump()
        if not self.mind.run.ended:
            self.decide()

    def jump(self) -> None:
        """The clock goes to the next time to look, or some way."""
        wake_at = self.mind.last.wake_at if self.mind.last is not None else None
        far = max(wake_at - self.mind.now, 0.0) if wake_at is not None else 10.0
        self.mind.wait(far if not self.flying and self.dice.random() < 0.8 else min(far, self.dice.choice([0.5, 20.0])))

    def answer(self, interrupt: str) -> None:
        asked = self.mind.run.interrupts[interrupt]
        if asked.expires_at <= self.mind.now or self.dice.random() < 0.2:
            return
        said = self.dice.choice([option.decision for option in asked.options if option.decision != "cancel"])
        self.free_hand = self.free_hand or asked.about in ("doubt", "failure", "owed") or said == "edit"
        value: Any = dict.fromkeys(asked.facts, 7) if asked.about == "fact" else {**asked.args} if said == "edit" else 7
        self.mind.tell(e.Answered(interrupt=interrupt, decision=said, by="ann", value=value))

    def work(self, command: Any) -> None:
        match command:
            case AskReasoner():
                self.think(command)
            case CallTool():
                self.mind.tell(self.called(command))
            case RunProbe():
                verdict = self.dice.choice(["happened", "not_happened", "not_yet", "cannot_tell"])
                self.mind.tell(e.ProbeAnswered(step=command.step, probe=command.probe, verdict=verdict, value=1))
            case Recall():
                self.mind.tell(e.MemoryRecalled())

    def called(self, call: CallTool) -> e.AnyEvent:
        form: dict[str, Any] = {"step": call.step, "attempt": call.attempt}
        dice = self.dice.random()
        if dice < 0.6:
            value: Any = self.dice.choice([{"n": 1}, {"n": 2}, {"accepted": True}, True, None])
            return e.CallSucceeded(**form, value=value)
        if dice < 0.9:
            return e.CallFailed(**form, failure=e.Failure(kind=self.dice.choice([*KINDS, "invalid_output"])))
        return e.CallUnknown(**form, why="lost")

    # --- the reasoner ---------------------------------------------------------------------------------------------

    def think(self, asked: AskReasoner) -> None:
        dice = self.dice.random()
        if dice < 0.15:
            context = self.dice.random() < 0.2
            self.mind.refuse(
                "invalid_input" if context else self.dice.choice(KINDS),
                retry_after_seconds=self.dice.choice([None, 5.0, 4000.0]),
                detail={"context": True} if context else None,
            )
            return
        if dice < 0.2:
            self.mind.tell(e.ProposalFailed(turn=asked.turn, problems=("it broke",)))
            return
        used = Usage(input_tokens=self.dice.choice([1, 2_000]), output_tokens=10)
        notes = (Fact(name="seats", value=self.made, at=self.mind.now),) if self.dice.random() < 0.2 else ()
        self.mind.answer_with(self.proposal(), used, notes=notes)

    def proposal(self) -> Any:
        run = self.mind.run
        match self.dice.choice(["plan"] * 8 + ["finish", "give up", "keep", "ask", "interpret", "nothing", "nonsense"]):
            case "plan":
                steps = tuple(self.step() for _ in range(self.dice.choice([0, 1, 1, 2, 4])))
                dropped = tuple(self.dice.sample(run.order, min(len(run.order), self.dice.choice([0, 0, 1, 2]))))
                return Propose(plan=Plan(steps=steps, final=self.dice.random() < 0.2), dropped=dropped)
            case "finish":
                return Finish(self.dice.choice([{"n": 1}, {"n": None}, None]))
            case "give up":
                return GiveUp("no") if self.dice.random() < 0.2 else Keep()
            case "keep":
                return Keep()
            case "ask":
                return Ask(questions=tuple(self.question() for _ in range(self.dice.choice([1, 2]))))
            case "interpret":
                fact = Fact(name=self.dice.choice(NAMES), value=1)
                return Interpret(intent="go", facts=(fact,), missing=(self.question(),))
            case "nonsense":
                return Propose(plan=Plan(steps=(Step(id="a b", tool="gone"),)))
            case _:
                return None

    def question(self) -> Any:
        name = self.dice.choice(NAMES)
        return question(name, guess=1, confidence=self.dice.random()) if self.dice.random() < 0.5 else question(name)

    def step(self) -> Step:
        self.made += 1
        one, order = self.dice.choice, self.mind.run.order
        args: dict[str, Any] = {"n": one([1, 1, 2, self.made])}
        if order and self.dice.random() < 0.3:
            args["r"] = {"$ref": f"steps.{one(order)}"}
        if self.dice.random() < 0.2:
            args["f"] = {"$ref": "facts.seats", "default": 0}
        return Step(
            id=f"s{self.made}",
            tool=one(["t", "k", "k", "irr", "rec"]),
            args=args,
            after=(one(order),) if order and self.dice.random() < 0.3 else (),
            on_failure=one(["replan", "replan", "skip", "flag", "ask"]),
            rests_on=("city",) if self.dice.random() < 0.1 else (),
            needs_fresh=("seats",) if "seats" in self.mind.run.facts and self.dice.random() < 0.2 else (),
        )

    # --- what must hold -------------------------------------------------------------------------------------------

    def check(self) -> None:
        run, entries = self.mind.run, self.mind.entries
        at = self.dice.randrange(1, len(entries) + 1)
        part = fold(entries[:at])
        assert checkpoint.from_bytes(checkpoint.to_bytes(part)) == part
        assert fold(entries[at:], checkpoint.from_bytes(checkpoint.to_bytes(part))) == run == fold(entries)
        told = tuple(entry.event for entry in entries)
        body, blobs = codec.encode(told)
        assert codec.decode(body, blobs.__getitem__) == told
        assert not run.reserved
        if not self.free_hand:
            self.check_once()
        asked = [event.asks.name for event in told if isinstance(event, e.Asked) and event.asks is not None]
        silent = [name for name in asked if name in run.unanswered]
        assert len(silent) == len(set(silent)), f"asked again in spite of silence: {asked}"

    def check_once(self) -> None:
        """No effect is done in two steps with the same arguments, for none is meant twice here."""
        done: dict[str, str] = {}
        for name in self.mind.run.order:
            step = self.mind[name]
            if step.phase == "done" and step.tool in ("k", "irr", "rec") and step.settled_by == "call" and not step.step.undoes:
                call = f"{step.tool} {sorted((step.args or {}).items(), key=str)} {step.occurrence}"
                assert call not in done or done[call] in self.mind.run.undone, f"{name} repeats {done[call]}: {call}"
                done[call] = name


def live(dice: random.Random, most: int) -> Hostile:
    """A story to its end."""
    story = Hostile(dice)
    story.decide()
    for _ in range(most):
        if story.mind.run.ended:
            break
        story.act()
    assert story.mind.run.ended, f"it never ends: {story.mind.phases}, turn {story.mind.run.turn}, {story.mind.open}"
    story.check()
    return story


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32))
def test_every_run_ends_whatever_its_reasoner_says(seed: int) -> None:
    """Within its bounds, with all laws kept on the way."""
    live(random.Random(seed), 4_000)


@pytest.mark.parametrize("seed", range(3))
def test_a_run_without_other_bounds_ends_with_its_time(seed: int) -> None:
    """A person who never answers and models that never do are waited for, not for ever."""
    dice = random.Random(seed)
    story = Hostile(dice)
    story.decide()
    for _ in range(5_000):
        if story.mind.run.ended:
            break
        for command in story.flying:
            if isinstance(command, AskReasoner):
                story.mind.refuse("too_expensive")
        story.flying.clear()
        if story.mind.run.proposing is None and story.mind.last is not None and story.mind.last.wake_at is not None:
            story.mind.wait(max(story.mind.last.wake_at - story.mind.now, 0.0))
        story.decide()
    assert story.mind.run.ended == "failed"
