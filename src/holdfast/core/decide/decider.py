"""The order of concern."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from holdfast.core import events as e
from holdfast.core.commands import Command
from holdfast.core.decide.desk import Room
from holdfast.core.decide.people import People
from holdfast.core.state import ENDED, Phase, State, StepState

_EMPTY = Room()
# More rulings on one step in one decision than any chain of them can have.
_RULINGS_MAX = 64


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """events: to be committed. commands: to be performed after that. state: what is known once they are committed.
    wake_at: when to ask again if nothing else happens; None when only a word from outside can move the run on."""

    events: tuple[e.AnyEvent, ...]
    commands: tuple[Command, ...]
    state: State
    wake_at: float | None


def decide(state: State, now: float, room: Room = _EMPTY) -> Decision:
    """Everything that can be done at `now`. room: what the store has no room for; steps that find none wait."""
    decider = Decider(state, max(now, state.at), room)
    decider.run()
    return Decision(events=tuple(decider.events), commands=tuple(decider.commands), state=decider.state, wake_at=decider.wake_at)


class Decider(People):
    """A decision, made."""

    def run(self) -> None:
        if self.state.ended:
            return
        self._check_limits()
        self._continue()
        if not self._stopping():
            self._climb()
        self._observe()
        self._settle_all()
        while self.state.to_observe or self.state.shaken:
            self._observe()
            self._settle_all()
        if self._stopping():
            self._stop()
            return
        if self._is_undoing():
            self._undo()
            return
        self._wake(self.state.started_at + self.state.limits.wall_seconds)
        if self._held():
            if self._stopping():
                self._stop()
            return
        if self._waits_for_people():
            if self._stopping():
                self._stop()
            return
        if self._stopping():
            self._stop()
            return
        if self._recalls():
            return
        if self.state.rests:
            self._plan_rests()
        self._go_on()
        if self._stopping() and not self.state.ended:
            self._stop()

    def _go_on(self) -> None:
        """Begin what may begin, and ask the reasoner. Where one thinks or a result is looked at, what is ruled on the way may be
        more to begin, or to doubt."""
        before = -1
        while before != len(self.events) and not self._stopping() and not self.state.ended:
            before = len(self.events)
            if before:
                self._check_limits()  # They were looked at before anything was ruled.
            self._observe()
            self._suspect()
            if not self._stopping() and not self._must_think_first():
                self._begin_all()
                self._observe()
                self._suspect()  # What was refused is told with this request, and not in one more.
            if not self._stopping():
                self._ask_reasoner_or_end()
            if self.state.thinking is None and self.state.accept is None:
                return

    def _stop(self) -> None:
        self._stop_when_quiet()
        if self._is_undoing():
            self._undo()

    def _is_undoing(self) -> bool:
        return self.state.stop == "undo" and not self.state.ended

    def _undo(self) -> None:
        """Take back what was done, step by step; then the run ends."""
        if self._held():
            if self.state.held_by is not None:
                return
            self._settle_all()  # Nobody answered, so the old promises hold, and what was held back goes on.
        self._plan_rests()
        self._begin_all()
        undoing = self.state.undoing
        if all(self.state.steps[name].phase in ENDED and name not in self.state.pending for name in undoing):
            self._stop_when_quiet()

    def _begin_all(self) -> None:
        """Begin what can be begun; what is refused then is ruled on at once, and may make room for others."""
        self._begin_ready()
        while self.refused:
            self.refused = False
            self._settle_all()
            self._begin_ready()

    def _settle_all(self) -> None:
        """What is due comes last: a call that turns out to be lost leaves its place to it."""
        if not self.state.pending and not any(map(self._is_at_issue, self.state.active)):
            return  # All calls are under way here: what there mostly is.
        before = -1
        while before != len(self.events):
            before = len(self.events)
            self._settle_until_quiet(lambda phase: phase != "waiting")
            if self.state.pending:
                self._settle_rests()
            self._settle_until_quiet(lambda phase: phase == "waiting")

    def _is_at_issue(self, name: str) -> bool:
        """Whether there may be something to say about an active step."""
        step = self.state.steps[name]
        return step.phase != "flying" or step.fence < self.state.fence

    def _settle_until_quiet(self, concerned: Callable[[Phase], bool]) -> None:
        """A ruling on one step may be what another waits for."""
        before = -1
        while before != len(self.events):
            before = len(self.events)
            for name in self.state.active:
                if concerned(self.state.steps[name].phase):
                    self._settle(name)

    def _settle(self, name: str) -> None:
        """Rule on one active step until there is nothing more to say about it at present."""
        if not self._concerns(name):
            return
        for _ in range(_RULINGS_MAX):
            step = self.state.steps[name]
            handler = SETTLERS.get(step.phase)
            before = len(self.events)
            if handler is not None:
                handler(self, step)
            if len(self.events) == before or self.state.steps[name].phase in ("flying", "probing"):
                return
        raise AssertionError(f"step {name} of {self.state.run_id} never comes to rest")


SETTLERS: dict[Phase, Callable[[Decider, StepState], None]] = {
    "flying": Decider._settle_flying,
    "probing": Decider._settle_probing,
    "doubt": Decider._settle_doubt,
    "probe_wait": Decider._settle_probe_wait,
    "diagnosis": Decider._settle_diagnosis,
    "waiting": Decider._settle_waiting,
    "owed": Decider._settle_owed,
    "checking": Decider._settle_checking,
    "asking": Decider._settle_asking,
}
