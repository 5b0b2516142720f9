"""One decision in the making: the state with every ruling so far folded in, and how things are said about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from holdfast.core import events as e
from holdfast.core.approval import OPTIONS, who_decides
from holdfast.core.commands import Command
from holdfast.core.contract import Contract
from holdfast.core.evolve import evolve
from holdfast.core.facts import outlived
from holdfast.core.gates import Why
from holdfast.core.ladder import Due, Ladder, ends_at, next_due
from holdfast.core.plan import Expect, expected
from holdfast.core.policy import Ruling
from holdfast.core.references import resolve
from holdfast.core.state import State, StepState, contract_of, result_of
from holdfast.core.thinking import Question


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What the store said that there is no room for at present.

    free: how many more calls of a tool may begin, over all workers (under "", of all tools together), or under a key of
    the scope `store` (see `commands.once_name`); what is not named has no such bound. held: tools that may not be called
    now, until when and why. holders: who has what is not free.
    """

    free: Mapping[str, int] = {}
    held: Mapping[str, tuple[float, Why]] = {}
    holders: Mapping[str, str] = {}


class Desk:
    """See the module's text."""

    def __init__(self, state: State, now: float, room: Room):
        self.state = state
        self.now = now
        self.places = dict(room.free)
        self.held = room.held
        self.holders = room.holders
        self.events: list[e.AnyEvent] = []
        self.commands: list[Command] = []
        self.wake_at: float | None = None
        self.in_line: set[str] | None = None  # Tools that a step of the run is held back for; None where it is not known yet.
        self.refused = False  # Something follows from what was said while steps were begun: a call was refused, a fact observed.

    def _rule(self, event: e.AnyEvent) -> None:
        self.events.append(event)
        state = self.state
        self.state = evolve(state, e.Entry(state.version + 1, self.now, state.fence, event))
        if isinstance(event, (e.ReuseRuled, e.StepSkipped)) and (
            event.step in self.state.checks or self.state.steps[event.step].step.undoes
        ):
            self.refused = True  # A step may wait for it: for what it was to observe anew, or to be done another way.

    def _wake(self, at: float) -> None:
        if self.wake_at is None or at < self.wake_at:
            self.wake_at = at

    def _stopping(self) -> bool:
        """Whether nothing new begins. While a run takes back what it did, only that begins; see `_concerns`."""
        return (self.state.stopping is not None or self.state.cancel is not None) and self.state.stop != "undo"

    def _is_held(self) -> bool:
        """Whether nothing new begins before a person says so."""
        state = self.state
        if state.held_by is not None or state.changed is not None:
            return True
        on_hold = state.paused is not None or state.handoff is not None or state.unjudged is not None
        return on_hold and state.stop != "undo"

    def _concerns(self, name: str) -> bool:
        """Whether a step is to be dealt with: a run that takes back what it did has no other concern."""
        return self.state.stop != "undo" or name in self.state.undoing

    def _on_stop(self) -> e.OnStop:
        """What is to become of what was done, when the run stops."""
        cancel = self.state.cancel
        return cancel.on_stop if cancel is not None and cancel.on_stop is not None else self.state.on_stop

    # --- what is known of a step ----------------------------------------------------------------------------------

    def _contract(self, step: StepState) -> Contract:
        contract = contract_of(self.state, step)
        # The tool is gone from the agent; nothing may be assumed of what it did.
        return contract if contract is not None else Contract(tool=step.tool)

    def _timeout(self, step: StepState, contract: Contract) -> float:
        return step.step.timeout_seconds if step.step.timeout_seconds is not None else contract.timeout_seconds

    def _in_flight(self) -> int:
        return sum(1 for name in self.state.active if self.state.steps[name].phase == "flying")

    def _resolved(self, form: dict[str, Any]) -> dict[str, Any]:
        """A table with every reference replaced. `references.Missing` where one leads nowhere."""
        resolved = resolve(form, self.state.goal.inputs, self._result_of, self._fact_of, for_call=True)
        assert isinstance(resolved, dict), "arguments are a table"
        return resolved

    def _expected(self, step: StepState) -> Expect | None:
        """What must be true afterwards; what it says of the result itself is put in when there is one."""
        return expected(step.step, self.state.goal.inputs, self._result_of, self._fact_of)

    def _result_of(self, name: str) -> Any:
        return result_of(self.state, name)

    def _fact_of(self, name: str) -> Any:
        """What is believed of a name, where it may be acted on now; LookupError where it may not."""
        if name not in self.state.facts or outlived(self.state.facts, name, self.now):
            raise LookupError(name)
        return self.state.facts[name].value

    # --- people ---------------------------------------------------------------------------------------------------

    def _ask(
        self, about: e.InterruptSubject, kind: e.InterruptKind, question: str, shown: str, step: StepState | None = None,
        args: dict[str, Any] | None = None, *, options: str | None = None, asks: Question | None = None,
        facts: tuple[str, ...] = (), ruling: Ruling | None = None, not_by: tuple[str, ...] = (), rung: int = 0,
        amount: float | None = None, calls: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Ask a person, by the ladder of the rule, or else of the policy. rung: where they begin; past the last one it is
        that."""
        policy = self.state.policy
        ladder = (
            ruling.ladder if ruling is not None and ruling.ladder is not None else policy.ladder if policy is not None else None
        )
        rung = min(rung, len(ladder.rungs) - 1) if ladder is not None else 0
        who = (ladder.rungs[rung].who if ladder is not None else ()) or self._who(ruling, step)
        people = ruling.people if ruling is not None and about in ("call", "plan") else 1
        interrupt = f"{step.step.id if step is not None else about}-{self.state.asked + 1}"
        expires_at = self._expires_at(ladder, rung)
        if args is None and step is not None:
            args = step.args if step.args is not None else step.step.args
        self._rule(
            e.Asked(
                interrupt=interrupt,
                kind=kind,
                about=about,
                question=question,
                options=_offered(options or about, people),
                digest=shown,
                expires_at=expires_at,
                step=step.step.id if step else "",
                tool=step.tool if step else "",
                args=args or {},
                asks=asks,
                facts=facts,
                ruling=replace(ruling, ladder=None) if ruling is not None else None,
                who=who,
                not_by=not_by,
                people=people,
                ladder=ladder,
                rung=rung,
                amount=amount,
                calls=calls or {},
            )
        )
        self._wake(expires_at)
        if ladder is not None:
            self._climb_one(interrupt, ladder)

    def _who(self, ruling: Ruling | None, step: StepState | None) -> tuple[str, ...]:
        return who_decides(self.state, ruling, step.tool if step is not None else "")

    def _expires_at(self, ladder: Ladder | None, rung: int) -> float:
        if ladder is None:
            return self.now + self.state.limits.person_seconds
        ends = ends_at(ladder, rung, self.now)
        return ends + ladder.hand_off_seconds if ladder.at_deadline == "hand_off" else ends

    def _climb(self) -> None:
        """Remind those who are asked, or ask the next ones, as the ladders of the open interrupts say."""
        for interrupt, asked in self.state.interrupts.items():
            if asked.ladder is not None and asked.expires_at > self.now and self._concerns(asked.step):
                self._climb_one(interrupt, asked.ladder)

    def _climb_one(self, interrupt: str, ladder: Ladder) -> None:
        """Where a worker was away for long, those who are asked by now are reminded once, and nobody of the rungs before."""
        standing, missed = self.state.standings[interrupt], 0
        while True:
            due = next_due(
                ladder,
                rung=standing.rung,
                since=standing.since,
                reminded=max(standing.reminded, missed),
                handed_off=standing.handed_off,
                now=self.now,
            )
            if due.act == "expire" or due.at > self.now:
                break
            if due.act == "remind":
                missed = due.number
                continue
            self._escalate(interrupt, ladder, due)
            standing, missed = self.state.standings[interrupt], 0
        if missed:
            self._rule(e.Reminded(interrupt=interrupt, number=missed))
        if due.act != "expire":
            self._wake(due.at)

    def _escalate(self, interrupt: str, ladder: Ladder, due: Due) -> None:
        asked, handed_off = self.state.interrupts[interrupt], due.act == "hand_off"
        step = self.state.steps.get(asked.step)
        who = ladder.hand_off_to if handed_off else ladder.rungs[due.rung].who or self._who(asked.ruling, step)
        rung = self.state.standings[interrupt].rung if handed_off else due.rung
        kind: e.InterruptKind | None = "handoff" if handed_off else None
        self._rule(e.Escalated(interrupt=interrupt, rung=rung, who=who or asked.who, kind=kind, since=due.at))

    def _expire(self, interrupt: str) -> None:
        asked = self.state.interrupts[interrupt]
        if asked.expires_at <= self.now:
            self._rule(e.InterruptExpired(interrupt=interrupt))
        else:
            self._wake(asked.expires_at)


def _offered(about: str, people: int) -> tuple[e.Option, ...]:
    """What may be answered. Where several must say yes, they say it to the same."""
    return tuple(option for option in OPTIONS[about] if people == 1 or option.decision not in ("edit", "respond"))
