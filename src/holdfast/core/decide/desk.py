"""One decision in the making: the state with every ruling so far folded in, and how things are said about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from holdfast.core import events as e
from holdfast.core.approval import OPTIONS, shown_digest
from holdfast.core.commands import Command
from holdfast.core.contract import Contract
from holdfast.core.evolve import evolve
from holdfast.core.facts import outlived
from holdfast.core.gates import Why
from holdfast.core.plan import Expect, expected
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

    def _digest(self, step: StepState, contract: Contract) -> str:
        return shown_digest(step.tool, step.args if step.args is not None else step.step.args, contract)

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
        args: dict[str, Any] | None = None, options: str | None = None, asks: Question | None = None, facts: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        subject = step.step.id if step is not None else about
        expires_at = self.now + self.state.limits.person_seconds
        if args is None and step is not None:
            args = step.args if step.args is not None else step.step.args
        self._rule(
            e.Asked(
                interrupt=f"{subject}-{self.state.asked + 1}",
                kind=kind,
                about=about,
                question=question,
                options=OPTIONS[options or about],
                digest=shown,
                expires_at=expires_at,
                step=step.step.id if step else "",
                tool=step.tool if step else "",
                args=args or {},
                asks=asks,
                facts=facts,
            )
        )
        self._wake(expires_at)

    def _ask_about_doubt(self, step: StepState, contract: Contract, why: str) -> None:
        self._ask("doubt", "escalation", f"did {step.tool} happen? {why}", self._digest(step, contract), step)

    def _expire(self, interrupt: str) -> None:
        asked = self.state.interrupts[interrupt]
        if asked.expires_at <= self.now:
            self._rule(e.InterruptExpired(interrupt=interrupt))
        else:
            self._wake(asked.expires_at)

    def _settle_asking(self, step: StepState) -> None:
        if step.interrupt is not None and not self._stopping():
            self._expire(step.interrupt)
