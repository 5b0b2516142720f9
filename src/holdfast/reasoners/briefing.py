"""The context of a request: what a model is shown of a run, made from its state alone, and never longer than it may be.

    system, tools   the same in every request of a run
    goal            in words, with inputs, and what counts as done; the rules by which people are asked; what they said since
    learned         older turns, one line for each step
    turns           the newest ones in full: what the model said, and one result for each of its calls
    situation       how things stand now; only in the newest request

The first so many turns are *learned*, the rest are shown. Where the shown ones have no room any more, the boundary leaps: it
moves on until they fill about half of it. Between two leaps each request begins with the one before it, so that the caches of
providers hit. Where the boundary is follows from the sizes of the turns alone, whoever asks, in whichever process.

What was rendered is kept for the runs that were asked for last, and holds as long as what it was made from is the very same;
that changes the cost of a request and nothing else.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from holdfast.core.commands import AskReasoner
from holdfast.core.contract import Contract
from holdfast.core.models import Part
from holdfast.core.state import ENDED, State, StepState, Turn, secret_names
from holdfast.core.thinking import Thinking
from holdfast.reasoners import verbs
from holdfast.reasoners.conversation import Shown, shown
from holdfast.reasoners.guidance import asking_rules, instructed
from holdfast.reasoners.model import Message, Request, ToolForm, message_size, size
from holdfast.reasoners.situation import NoRoom, situation
from holdfast.reasoners.verbs import overhead_bytes as overhead_bytes
from holdfast.reasoners.words import beginning, redacted, written

RUNS_KEPT = 32
FRAMES_KEPT = 8
# Shares of the room that the instructions and tools leave: the goal has at most a quarter, what people said since an eighth, the
# rules by which they are asked a sixteenth, what was learned an eighth, and the situation at least a quarter; the turns get the
# rest.
GOAL_SHARE, INSTRUCTED_SHARE, RULES_SHARE, LEARNED_SHARE, SITUATION_SHARE = 4, 8, 16, 8, 4
# What frames a message and a part; see `model.size`.
FRAMING = 16
_K = TypeVar("_K")
_V = TypeVar("_V")
_LEARNED = "# What was learned before (older turns, one line for each step)"


class TooLong(Exception):
    """Even the shortest request is longer than it may be."""


class Briefer:
    """Makes requests, and keeps what it rendered. instructions: of the agent."""

    def __init__(self, instructions: str):
        self.instructions = instructions
        self._frames: OrderedDict[tuple[int, int], _Frame] = OrderedDict()
        self._books: OrderedDict[tuple[str, str, int], _Book] = OrderedDict()
        self._lock = threading.Lock()  # Runs may be advanced in several threads.

    def request(self, state: State, asked: AskReasoner, now: float) -> tuple[Request, int]:
        """The request for this state, and its bytes: at most `asked.reserved.input_tokens`. TooLong where that cannot be."""
        thinking = state.thinking
        assert thinking is not None, "only a run that asks models has requests"
        terms = asked.terms or thinking.models[asked.model]
        most = asked.reserved.input_tokens if asked.reserved is not None else terms.context_bytes_max
        with self._lock:
            frame = self._frame(state.contracts, thinking)
            for window in _windows(terms.context_bytes_max, most):
                messages, total = self._messages(state, asked, now, frame, window)
                if messages and total <= most:
                    break
            else:
                raise TooLong
        tokens = terms.output_tokens_max
        if asked.reserved is not None:
            tokens = min(tokens, asked.reserved.output_tokens) or tokens
        request = Request(
            model=asked.model,
            system=frame.system,
            messages=messages,
            tools=frame.tools,
            choice="required" if asked.phase == "interpret" or thinking.result_schema else "auto",
            output_tokens_max=tokens,
            timeout_seconds=min(terms.timeout_seconds, asked.timeout_seconds),
        )
        return request, total

    def _messages(
        self, state: State, asked: AskReasoner, now: float, frame: _Frame, window: int
    ) -> tuple[tuple[Message, ...], int]:
        """The messages in a window of so many bytes, and the bytes of the whole request; none where the window is too small."""
        room = window - frame.size - 4 * FRAMING
        told = _wanted(state, room)
        turns_most = room - sum(len(each.encode()) + FRAMING for each in told) + FRAMING
        turns_most -= room // LEARNED_SHARE + room // SITUATION_SHARE
        if turns_most < FRAMING:
            return (), 0
        book = self._book(state, asked.model, _power(turns_most // 2))
        book.bring_up_to(state)
        first = book.boundary(turns_most)
        parts = [Part(kind="text", text=each) for each in told]
        if first:
            parts.append(Part(kind="text", text=book.learned(first, room // LEARNED_SHARE)))
        messages = [Message(role="user", parts=tuple(parts)), *book.messages(state, first)]
        total = frame.size + message_size(messages[0]) + sum(book.sizes[first:])
        seen = {name for turn in book.shown[first:] for name, *_ in turn.steps}
        try:
            text = situation(state, asked, now, frozenset(state.unseen) - seen, window - total - FRAMING)
        except NoRoom:
            return (), 0
        last = messages[-1]
        messages[-1] = Message(role="user", parts=(*last.parts, Part(kind="text", text=text)))
        return tuple(messages), total + FRAMING + len(text.encode())

    def _frame(self, contracts: Mapping[str, Contract], thinking: Thinking) -> _Frame:
        key = (id(contracts), id(thinking))
        frame = self._frames.get(key)
        if frame is None or frame.contracts is not contracts or frame.thinking is not thinking:
            tools = verbs.forms(contracts, thinking)
            system = verbs.system(self.instructions, thinking)
            total = size(Request(model="", system=system, messages=(), tools=tools))
            frame = _Frame(contracts=contracts, thinking=thinking, system=system, tools=tools, size=total)
        return _kept(self._frames, key, frame, FRAMES_KEPT)

    def _book(self, state: State, model: str, most: int) -> _Book:
        key = (state.run_id, model, most)
        return _kept(self._books, key, self._books.get(key) or _Book(model, most), RUNS_KEPT)


def _kept(found: OrderedDict[_K, _V], key: _K, value: _V, most: int) -> _V:
    """The value, as the last one that was asked for."""
    found[key] = value
    found.move_to_end(key)
    while len(found) > most:
        found.popitem(last=False)
    return value


class _Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same in every request of a run."""

    contracts: Mapping[str, Contract]
    thinking: Thinking
    system: str
    tools: tuple[ToolForm, ...]
    size: int


class _Book:
    """The turns of one run as they were rendered for one model. most: the bytes of a turn."""

    def __init__(self, model: str, most: int):
        self.model, self.most = model, most
        self.shown: list[Shown] = []
        self.sizes: list[int] = []
        # What all of it was made from, side by side, so that one comparison says whether it still holds: of the same objects it
        # is a walk over pointers, and of equal ones, as after a crash, it is true as well.
        self._turns: tuple[Turn, ...] = ()
        self._names: list[str] = []
        self._steps: list[StepState | None] = []
        self._open: list[int] = []  # The places of steps that have not ended.
        self._asked: list[str] = []
        self._others: tuple[object, ...] = ()
        self._learned: tuple[int, int, str] = (0, 0, "")
        self._forgotten = 0
        self._edge = Edge()

    def bring_up_to(self, state: State) -> None:
        """Render what is new, or not as it was."""
        if not self._holds(state):
            self._mend(state)
        for turn in state.turns[len(self.shown) :]:
            found = shown(turn, state, self.model, self.most)
            self.shown.append(found)
            self.sizes.append(found.size)
            self._names.extend(name for name, *_ in found.steps)
            self._steps.extend(step for _, step, _ in found.steps)
            self._asked.extend(name for name, *_ in found.beliefs)
            self._open.extend(self._not_ended(range(len(self._steps) - len(found.steps), len(self._steps))))
        self._turns = state.turns
        self._others = self._others_of(state)

    def _holds(self, state: State) -> bool:
        """Whether what was rendered still stands. A step that has ended stays as it is, unless something else says that it is
        settled, taken back or out of date; so of a long run only what is under way is looked at each time."""
        count = len(self.shown)
        others = self._others_of(state)
        same = others == self._others
        places = self._open if same else list(range(len(self._names)))
        for place in places:
            step = state.steps.get(self._names[place])
            same = same and step == self._steps[place]
            self._steps[place] = step
        self._open = self._not_ended(places)
        return same and state.turns[:count] == self._turns[:count]

    def _others_of(self, state: State) -> tuple[object, ...]:
        return (state.pending, self._beliefs(state), state.contracts, state.rests, state.undone, state.outdated)

    def _not_ended(self, places: Iterable[int]) -> list[int]:
        return [place for place in places if (step := self._steps[place]) is None or step.phase not in ENDED]

    def _beliefs(self, state: State) -> list[object]:
        return [(state.facts.get(name), state.questions.get(name), state.unanswered.get(name)) for name in self._asked]

    def _mend(self, state: State) -> None:
        turns = state.turns
        keep = len(turns) if self._others and self._others[2] == state.contracts else 0
        del self.shown[keep:], self.sizes[keep:]
        for number, old in enumerate(self.shown):
            if not old.holds(turns[number], state):
                self.shown[number] = shown(turns[number], state, self.model, self.most)
                self.sizes[number] = self.shown[number].size
        self._names = [name for turn in self.shown for name, *_ in turn.steps]
        self._steps = [step for turn in self.shown for _, step, _ in turn.steps]
        self._open = self._not_ended(range(len(self._steps)))
        self._asked = [name for turn in self.shown for name, *_ in turn.beliefs]
        self._learned, self._forgotten, self._edge = (0, 0, ""), min(self._forgotten, len(self.shown)), Edge()

    def boundary(self, most: int) -> int:
        """See `Edge`. Where it was before is where it is, as long as nothing changed; only what is new is walked."""
        if self._edge.most != most:
            self._edge = Edge(most=most)
        self._edge = self._edge.after(self.sizes)
        return self._edge.first

    def messages(self, state: State, first: int) -> list[Message]:
        """The messages of the turns from this one on. Those of older ones are not needed any more, and may be many."""
        for number in range(self._forgotten, first):
            self.shown[number] = msgspec.structs.replace(self.shown[number], messages=())
        for number in range(first, min(self._forgotten, len(self.shown))):
            self.shown[number] = shown(state.turns[number], state, self.model, self.most)
        self._forgotten = first
        return [message for turn in self.shown[first:] for message in turn.messages]

    def learned(self, first: int, most: int) -> str:
        """The turns before this one, a line for each step. Where there are too many, the newest stay; those that changed the
        world or failed before those that only looked."""
        if self._learned[:2] != (first, most):
            self._learned = (first, most, _learned(self.shown[:first], most))
        return self._learned[2]


def _learned(turns: list[Shown], most: int) -> str:
    room = most - len(_LEARNED) - 64
    chosen: dict[tuple[int, int], str] = {}
    for weighty, share in ((True, room * 2 // 3), (False, room)):
        for number in range(len(turns) - 1, -1, -1):
            if turns[number].weighty is not weighty:
                continue
            used = sum(len(text.encode()) + 1 for text in turns[number].lines)
            if used > share or used > room:
                break
            chosen.update({(number, place): text for place, text in enumerate(turns[number].lines)})
            share, room = share - used, room - used
    left = sum(len(turn.lines) for turn in turns) - len(chosen)
    more = [f"- … {left} older steps are not shown"] if left else []
    return "\n".join([_LEARNED, *more, *(chosen[key] for key in sorted(chosen))])


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """Where the shown turns begin, after the first `count` of them. most: the bytes that they may have; total: that they have.

    A turn that has no room is what moves it: on, until the shown ones fill half of the room. The newest is shown if it has room
    at all.
    """

    most: int = 0
    count: int = 0
    first: int = 0
    total: int = 0

    def after(self, sizes: list[int]) -> Edge:
        """After all turns, which have these sizes."""
        first, total = self.first, self.total
        for number in range(self.count, len(sizes)):
            total += sizes[number]
            if total <= self.most:
                continue
            while total > self.most // 2 and first < number:
                total -= sizes[first]
                first += 1
            if total > self.most:
                first, total = number + 1, 0
        return Edge(most=self.most, count=len(sizes), first=first, total=total)


def _windows(context: int, most: int) -> tuple[int, ...]:
    """Sizes to try: all that the model takes, which is the same in every request; where less was reserved than that comes to,
    a round number below it, so that the next request has the same; then all of it."""
    if most >= context:
        return (context,)
    shift = max(most.bit_length() - 3, 0)
    return (context, most >> shift << shift, most)


def _power(number: int) -> int:
    """The power of two at or below a number."""
    return 1 << max(number.bit_length() - 1, 0)


def _wanted(state: State, room: int) -> list[str]:
    """What is asked, by which rules, and what people said since; each in its share of the room."""
    parts = (
        _goal(state, room // GOAL_SHARE),
        asking_rules(state.policy, room // RULES_SHARE),
        instructed(state.instructions, room // INSTRUCTED_SHARE),
    )
    return [part for part in parts if part]


def _goal(state: State, most: int) -> str:
    """What is asked, in at most so many bytes."""
    goal, names = state.goal, secret_names(state)
    accept, thinking = state.accept, state.thinking
    done = []
    if accept is not None and accept.that:
        done.append(f"this holds of the result and the facts (jmespath): {accept.that}")
    if accept is not None and accept.tool:
        done.append(f"{accept.tool} accepts the result")
    if thinking is not None and thinking.result_schema:
        done.append(f"the result is as {verbs.FINISH} wants it")
    text = f"# The goal\n{goal.text or '(no words; see the inputs)'}"
    if goal.inputs:
        text += f"\n\nInputs, as JSON: {written(redacted(goal.inputs, names))}"
    declared = thinking.inputs if thinking is not None else {}
    if missing := {name: form for name, form in declared.items() if name not in goal.inputs and not form.get("optional")}:
        text += f"\n\nInputs that are wanted and not given, with their form: {written(missing)}"
    if done:
        text += f"\n\nIt counts as done where {', and '.join(done)}."
    if len(text.encode()) <= most:
        return text
    return beginning(text, max(most - 40, 0)) + f"… ({len(text)} characters in all)"
