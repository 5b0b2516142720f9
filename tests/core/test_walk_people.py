"""Random stories in which people have a say: policies that change, functions, plans to be approved, ladders, pauses, handoffs.

As in `test_walk.py`: whatever happens in any order, the run is alive, everything that can be said is said, no effect lands twice,
and in the end it ends. Beside that nothing begins that people hold up, and nothing that a policy blocks.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from holdfast.core import events as e
from holdfast.core.commands import CallTool, CheckCall, Command
from holdfast.core.evolve import fold
from holdfast.core.ladder import Ladder, Rung
from holdfast.core.policy import Check, Policy, Rule
from holdfast.core.state import ENDED
from tests.core.test_walk import ACTIONS, Walk

MOVES = (*ACTIONS, "answer", "approve", "policy", "pause", "resume", "take over", "by hand", "remark")
WHEN = st.sampled_from(["", "revision > 1", "args.nothing > 1", "facts.n > 1", "tainted", "args.to == 'z'"])
LADDERS = st.none() | st.builds(
    Ladder,
    rungs=st.lists(
        st.builds(Rung, seconds=st.sampled_from([5.0, 600.0]), remind_seconds=st.sampled_from([None, 2.0, 70.0])),
        min_size=1, max_size=3,
    ).map(tuple),
    at_deadline=st.sampled_from(["reject", "hand_off"]), hand_off_seconds=st.sampled_from([3.0, 900.0]),
)  # fmt: skip
RULES = st.builds(
    Rule,
    name=st.sampled_from(["r1", "r2", "r3"]), then=st.sampled_from(["always", "always", "never", "sample", "block"]), when=WHEN,
    check=st.sampled_from(["", "", "odd", "new"]), rate=st.just(0.5), people=st.sampled_from([1, 1, 2]), ladder=LADDERS,
)  # fmt: skip
PLAN_RULES = st.builds(
    Rule,
    name=st.just("plan"), on=st.just("plan"), then=st.sampled_from(["always", "never", "sample"]), rate=st.just(0.5),
    when=st.sampled_from(["", "steps > 1"]), check=st.sampled_from(["", "", "odd"]), people=st.sampled_from([1, 2]),
)  # fmt: skip
POLICIES = st.none() | st.builds(
    Policy,
    name=st.just("p"), rules=st.tuples(st.lists(RULES, max_size=3), st.lists(PLAN_RULES, max_size=1)).map(lambda r: (*r[0], *r[1])),
    ladder=LADDERS, refusals_max=st.sampled_from([1, 2]),
)  # fmt: skip


class PeopleWalk(Walk):
    """A story under way in which people have a say."""

    def begin(self) -> None:
        super().begin()
        self.change_policy()

    def act(self, action: str) -> None:
        """One of the moves of people, or else one of the world's."""
        state = self.story.run
        if self.kind and state.paused is not None:
            action = "resume"
        match action:
            case "policy":
                self.crash()
                self.change_policy()
            case "pause" if state.paused is None and not state.ended:
                until = self.draw(st.sampled_from([None, 40.0, 900.0]), "until")
                self.story.tell(e.RunPaused(by="ann", until=None if until is None else self.story.now + until))
            case "resume" if state.paused is not None:
                self.story.tell(e.RunContinued(by="bob"))
            case "take over" if state.handoff is None and not state.ended and not self.kind:
                self.story.tell(e.HandoffRequested(by="ann"))
            case "by hand" if state.handoff is not None and not self.flying and not state.ended:
                self.do_by_hand()
            case "remark" if self.story.open:
                self.story.tell(e.Commented(interrupt=self.story.open[0], by="ann", text="hm"))
            case "approve" if self.story.open:
                self.approve(self.draw(st.sampled_from(self.story.open), "interrupt"))
            case _:
                super().act(action)
                return
        self.decide()

    def change_policy(self) -> None:
        """Another worker goes by another policy."""
        policy = self.draw(POLICIES, "policy")
        if policy != self.story.run.policy:
            self.story.tell(e.PolicyChanged(policy=policy))

    def work(self, command: Command) -> None:
        if not isinstance(command, CheckCall):
            super().work(command)
            return
        said = {name: Check(holds=self.draw(st.sampled_from([True, False, None]), name)) for name in command.checks}
        self.story.tell(e.ChecksAnswered(step=command.step, call=command.call, answers=said))

    def answer(self, interrupt: str) -> None:
        """Where several must approve, the first ones do."""
        asked = self.story.run.interrupts[interrupt]
        if asked.people > 1 + len(self.story.run.standings[interrupt].approvals) and asked.expires_at > self.story.now:
            left = asked.people - 1 - len(self.story.run.standings[interrupt].approvals)
            self.story.tell(e.ApprovalGiven(interrupt=interrupt, by=f"first-{left}", left=left))
            return
        super().answer(interrupt)

    def approve(self, interrupt: str) -> None:
        """A yes to a call or a plan, which is how anything gets on here."""
        asked = self.story.run.interrupts[interrupt]
        if asked.about not in ("call", "plan") or asked.people > 1 or asked.expires_at <= self.story.now:
            self.answer(interrupt)
        else:
            self.story.tell(e.Answered(interrupt=interrupt, decision="approve", by="ann"))

    def do_by_hand(self) -> None:
        """A person does what a step was for, or finds that it was done; nothing of it is under way, nor will land any more."""
        steps = self.story.run.steps
        free = [
            name
            for name in self.story.run.order
            if steps[name].phase not in (*ENDED, "flying", "probing", "checking")
            and not steps[name].step.undoes
            and self.world.coming(steps[name].key) is None
            and name not in self.story.run.pending
        ]
        if free:
            self.story.tell(e.StepDoneByHand(step=self.draw(st.sampled_from(free), "by hand"), by="ann", value={"n": 6}))

    def check_holds(self) -> None:
        """Nothing begins in a run that is paused, or taken over, or whose plan nobody ruled on, but what takes back."""
        state = None
        for entry in self.story.entries:
            made = entry.event
            if state is not None and isinstance(made, e.CallIntended) and state.stop != "undo":
                assert state.paused is None and state.handoff is None, f"{made.step} began, and people hold the run"
                assert state.unjudged is None, f"{made.step} began, and nobody ruled on the plan"
            state = fold([entry], state)

    def check_blocked(self) -> None:
        """A call that was blocked is not the next one that its step makes, unless something changed since."""
        blocked: dict[str, dict[str, Any]] = {}
        for entry in self.story.entries:
            made = entry.event
            if isinstance(made, e.PolicyRuled) and made.step and made.ruling.verdict == "block":
                blocked[made.step] = made.args
            elif isinstance(
                made, (e.PolicyChanged, e.AgentChanged, e.FactsLearned, e.FallbackRuled, e.Answered, e.ChecksAnswered)
            ):
                blocked.clear()
            elif isinstance(made, e.CallIntended):
                assert blocked.get(made.step) != made.args, f"{made.step} was blocked, and is made"


def _walk(data: st.DataObject, walk: PeopleWalk, moves: tuple[str, ...]) -> None:
    walk.decide()
    for _ in range(data.draw(st.integers(5, 60), label="actions")):
        if walk.story.run.ended:
            break
        walk.act(data.draw(st.sampled_from(moves), label="action"))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_people_lead_to_no_dead_end(data: st.DataObject) -> None:
    """Any order of policies, functions, answers, pauses and handoffs among crashes: always alive, and it ends."""
    walk = PeopleWalk(data)
    _walk(data, walk, MOVES)
    walk.kind = True
    for round in range(1_000):
        if walk.story.run.ended:
            break
        walk.act("work" if walk.flying else "approve" if walk.story.open and round % 2 else "time")
    assert walk.story.run.ended, f"it never ends: {walk.story.phases}"
    event(f"ended {walk.story.run.ended} {walk.story.run.stop}")
    walk.check_history()
    walk.check_holds()
    walk.check_blocked()
    walk.check_taken_back()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_no_call_is_under_way_that_was_never_let(data: st.DataObject) -> None:
    """Each call has its ruling, its approval, or is nobody's concern; and what is done by hand is not made once more."""
    walk = PeopleWalk(data)
    _walk(data, walk, tuple(name for name in MOVES if name != "change"))
    done = {entry.event.step for entry in walk.story.entries if isinstance(entry.event, e.StepDoneByHand)}
    for name in done:
        at = next(n for n, entry in enumerate(walk.story.entries) if getattr(entry.event, "step", "") == name
                  and isinstance(entry.event, e.StepDoneByHand))  # fmt: skip
        later = [entry.event for entry in walk.story.entries[at:] if isinstance(entry.event, e.CallIntended)]
        assert name not in {made.step for made in later}, f"{name} was done by hand, and is called"
    for command in walk.story.commands:
        if isinstance(command, CallTool):
            assert walk.story[command.step].step.id == command.step
    walk.check_holds()
