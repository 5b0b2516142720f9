"""A run's journal, read once: what each step, question and kind of entry is about, and what was known at every entry.

The fold goes over the entries one time, and every so often its state is kept (states share structure). What was known at an
entry is folded on from the nearest one that was kept.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence

from holdfast.core import events as e
from holdfast.core.evolve import evolve, fold
from holdfast.core.state import ENDED, State

# So far apart are the states that are kept.
EVERY = 256


class Past:
    """The past of a run. Entries are named by their numbers, from 1; 0 is none.

    state: after all of them. of_step, of_interrupt: the entries about a step (answers to its questions included), and about a
    question. brought: the entry that brought a step. stopping, cancelled: the entry from which on the run was to fail, or to be
    cancelled. asked: the entry of each question. forked: the entry at which the run became one of its own.
    """

    def __init__(self, entries: Sequence[e.Entry]):
        self.entries = entries
        self.of_step: dict[str, list[int]] = {}
        self.of_interrupt: dict[str, list[int]] = {}
        self.of_kind: dict[type, list[int]] = {}
        self.brought: dict[str, int] = {}
        self.asked: dict[str, int] = {}
        self.stopping = 0
        self.cancelled = 0
        self.forked = 0
        self._known: dict[int, State] = {}
        self._places: list[int] = []
        self._ends: dict[str, int] = {}
        self.effects: dict[int, list[int]] | None = None
        self.state = self._read(entries)

    # --- reading --------------------------------------------------------------------------------------------------

    def _read(self, entries: Sequence[e.Entry]) -> State:
        state: State | None = None
        of_step, of_kind = self.of_step, self.of_kind
        for number, entry in enumerate(entries, 1):
            event = entry.event
            state = evolve(state, entry)
            kind = type(event)
            if kind in of_kind:
                of_kind[kind].append(number)
            else:
                of_kind[kind] = [number]
            step = getattr(event, "step", "")
            if type(step) is str and step:
                if step in of_step:
                    of_step[step].append(number)
                else:
                    of_step[step] = [number]
            if kind in _SPECIAL:
                self._note(number, event)
            if not self.stopping and state.stopping is not None:
                self.stopping = number
            if not self.cancelled and state.cancel is not None:
                self.cancelled = number
            if not number % EVERY:
                self._keep(number, state)
        assert state is not None, "a run has at least its start"
        self._keep(len(entries), state)
        return state

    def _note(self, number: int, event: e.AnyEvent) -> None:
        match event:
            case e.PlanAdopted(plan=plan):
                self.brought.update((step.id, number) for step in plan.steps)
            case e.UndoPlanned(steps=steps):
                self.brought.update((step.id, number) for step in steps)
            case e.RestPlanned(rest=rest):
                self.brought[rest.id] = number
            case e.ReobservationPlanned(step=planned) | e.CheckPlanned(step=planned):
                self.brought[planned.id] = number
            case e.Asked(interrupt=interrupt):
                self.asked[interrupt] = number
                self.of_interrupt[interrupt] = [number]
            case e.RunForked():
                self.forked = number
            case _:
                interrupt = getattr(event, "interrupt", "")
                if interrupt:
                    self.of_interrupt.setdefault(interrupt, []).append(number)
                    asked = self.question(interrupt)
                    if asked is not None and asked.step:
                        self.of_step.setdefault(asked.step, []).append(number)

    def _keep(self, number: int, state: State) -> State:
        if number not in self._known:
            self._known[number] = state
            insort(self._places, number)
        return state

    # --- looking --------------------------------------------------------------------------------------------------

    def event(self, number: int) -> e.AnyEvent:
        """What an entry says."""
        return self.entries[number - 1].event

    def at(self, number: int) -> float:
        """When an entry was written."""
        return self.entries[number - 1].at

    def after(self, number: int) -> State:
        """What was known after an entry."""
        if number in self._known:
            return self._known[number]
        place = bisect_right(self._places, number) - 1
        start = self._places[place] if place >= 0 else 0
        state = fold(self.entries[start:number], self._known.get(start))
        return self._keep(number, state)

    def before(self, number: int) -> State:
        """What was known before an entry; of the first one, what it says itself."""
        return self.after(max(number - 1, 1))

    def question(self, interrupt: str) -> e.Asked | None:
        """What was asked under a name."""
        number = self.asked.get(interrupt, 0)
        event = self.event(number) if number else None
        return event if isinstance(event, e.Asked) else None

    def last(self, kinds: Iterable[type], before: int) -> int:
        """The last entry of one of these kinds before an entry; 0 where there is none."""
        return max((_last(self.of_kind.get(kind, ()), before) for kind in kinds), default=0)

    def last_of(self, step: str, before: int) -> int:
        """The last entry about a step before an entry."""
        return _last(self.of_step.get(step, ()), before)

    def next_of(self, step: str, after: int) -> int:
        """The next entry about a step after an entry."""
        numbers = self.of_step.get(step, ())
        place = bisect_right(numbers, after)
        return numbers[place] if place < len(numbers) else 0

    def ended(self, step: str) -> int:
        """The entry that ended a step; 0 while it has not ended."""
        if step not in self._ends:
            self._ends[step] = self._find_end(step)
        return self._ends[step]

    def _find_end(self, name: str) -> int:
        step = self.state.steps.get(name)
        if step is None or step.phase not in ENDED:
            return 0
        if step.phase == "done" and step.done_at:
            return step.done_at
        last = next((number for number in reversed(self.of_step.get(name, ())) if type(self.event(number)) in _ENDINGS), 0)
        return last or self._search(name)

    def _search(self, name: str) -> int:
        """Of a step that fell with something else: no entry of its own says so."""
        low, high = self.brought.get(name, 1), len(self.entries)
        while low < high:
            middle = (low + high) // 2
            step = self.after(middle).steps.get(name)
            low, high = (low, middle) if step is not None and step.phase in ENDED else (middle + 1, high)
        return low


def _last(numbers: Sequence[int], before: int) -> int:
    place = bisect_left(numbers, before)
    return numbers[place - 1] if place else 0


_SPECIAL = frozenset(
    {
        e.PlanAdopted, e.UndoPlanned, e.RestPlanned, e.ReobservationPlanned, e.CheckPlanned, e.Asked, e.Answered, e.AnswerVoided,
        e.InterruptExpired, e.InterruptWithdrawn, e.Reminded, e.Escalated, e.ApprovalGiven, e.Commented, e.RunForked,
    }
)  # fmt: skip
_ENDINGS = frozenset({e.StepSkipped, e.StepFailed})
