"""What a model said → what it proposes. Nothing that a model can say raises here: what cannot be taken comes back as problems.

Calls of one answer are independent of one another: a call that cannot be taken is refused alone, with its reason, and the sound
ones become steps. The id of a call is its identity; where it stands in the answer says nothing. Of the tools of holdfast's own,
at most one that says what is to become of the run stands in an answer, and no calls of other tools beside it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from holdfast.core import values
from holdfast.core.commands import AskReasoner
from holdfast.core.facts import Fact
from holdfast.core.models import Part
from holdfast.core.plan import Plan, Step
from holdfast.core.soundness import schema_problem
from holdfast.core.state import State, secret_names
from holdfast.core.thinking import Thinking
from holdfast.reasoners import claims, verbs
from holdfast.reasoners.base import PROBLEMS_MAX, Finish, GiveUp, Keep, Proposal, Propose, Thought
from holdfast.reasoners.calls import repeat_of, same_twice, step_of_call, told, undo_of, with_ids
from holdfast.reasoners.model import Answer
from holdfast.reasoners.plans import planned, skeleton
from holdfast.reasoners.words import clean, line, redacted, shrunk, written

CALLS_MAX = 32
# More calls than may be made are refused one by one, up to here; what comes after them is left away.
CALLS_HEARD_MAX, OTHER_PARTS_MAX = 64, 64
TEXT_MAX = 200_000
ARGS_BYTES_MAX = 1_000_000
# What is kept of the arguments of a call that was refused.
REFUSED_BYTES_MAX = 8_000
EXTRA_BYTES_MAX = 200_000
REASON_MAX = 200
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class _Call:
    """One call of an answer, and what is decided of it. at: its place among the parts."""

    def __init__(self, at: int, part: Part, args: Any, problem: str = ""):
        self.at, self.id, self.tool, self.part = at, part.id, part.tool, part
        self.args: Any = args
        self.problem = problem
        self.step: Step | None = None
        self.keep_args: Any = None

    def rename(self, name: str) -> None:
        """Its id from now on."""
        self.id, self.part = name, msgspec.structs.replace(self.part, id=name)

    def refuse(self, problem: str) -> None:
        """Not taken, for the first reason that there is."""
        self.problem = self.problem or clean(problem, 2_000)

    @property
    def written_down(self) -> Part:
        """The call as it is recorded: the arguments of one that became a step stand there."""
        args = self.args if self.problem or self.step is None else None
        if self.tool in verbs.VERBS and not self.problem:
            args = self.keep_args if self.keep_args is not None else self.args
        step = self.step.id if self.step is not None and not self.problem else ""
        return msgspec.structs.replace(self.part, args=args, step=step, problem=self.problem)


def thought(answer: Answer, state: State, asked: AskReasoner, now: float) -> Thought:
    """What an answer comes to, in this state of the run and for what was asked."""
    thinking = state.thinking
    assert thinking is not None, "only a run that asks models has an answer of one"
    ear = _Ear(state, thinking, asked, now)
    proposal = ear.hear(answer)
    return Thought(
        model=asked.model,
        said=ear.said(),
        usage=answer.usage,
        finish=clean(answer.finish, 20),
        proposal=proposal,
        problems=() if proposal is not None else ear.all_problems(),
        notes=ear.notes,
    )


class _Ear:
    """One answer while it is taken apart."""

    def __init__(self, state: State, thinking: Thinking, asked: AskReasoner, now: float):
        self.state, self.thinking, self.asked, self.now = state, thinking, asked, now
        self.offered = verbs.offered(thinking)
        self.parts: list[Part] = []
        self.calls: list[_Call] = []
        self.problems: list[str] = []
        self.notes: tuple[Fact, ...] = ()

    # --- the whole ------------------------------------------------------------------------------------------------

    def hear(self, answer: Answer) -> Proposal | None:
        """What is proposed; None where nothing can be taken."""
        self._read(answer.said)
        if answer.finish == "refused":
            said = line(self._text(), 300)
            return self._none(f"the model refused to answer{f': {said}' if said else ''}")
        if answer.finish == "length":
            most = f" ({self.asked.reserved.output_tokens} tokens)" if self.asked.reserved is not None else ""
            return self._none(f"your answer was cut off at its longest{most}; say less at once: fewer or shorter calls")
        for call in self.calls:
            if not call.problem:
                self._check_form(call)
        if not self.calls:
            return self._from_text()
        self._refuse_what_does_not_go_together()
        for call in self.calls:
            if call.tool == verbs.NOTE and not call.problem:
                self._note(call)
        verb = next((call for call in self.calls if self._is_word(call) and not call.problem), None)
        if verb is not None:
            return self._from_word(verb)
        return self._from_calls()

    def _none(self, why: str) -> Proposal | None:
        self.problems.append(why)
        for call in self.calls:
            call.refuse(why)
        return None

    def all_problems(self) -> tuple[str, ...]:
        """Why nothing was taken, as the model is told."""
        found = list(dict.fromkeys(self.problems))
        refused = [f"{line(call.tool, 100)}: {call.problem}" for call in self.calls if call.problem and call.problem not in found]
        found = list(dict.fromkeys([*found, *refused])) or ["nothing in your answer could be taken; call a tool"]
        more = len(found) - PROBLEMS_MAX
        return (*found[:PROBLEMS_MAX], f"and {more} more") if more > 0 else tuple(found)

    def said(self) -> tuple[Part, ...]:
        """Every part as it is written down."""
        calls = {call.at: call for call in self.calls}
        names = secret_names(self.state)
        return tuple(_kept(calls[at].written_down, names) if at in calls else part for at, part in enumerate(self.parts))

    def _text(self) -> str:
        return "\n".join(part.text for part in self.parts if part.kind == "text" and part.text.strip())

    # --- the parts ------------------------------------------------------------------------------------------------

    def _read(self, said: Iterable[Any]) -> None:
        """The parts, cleaned; the same call under the same id counts once. What is too much is left away."""
        others = left_away = 0
        for part in said:
            if not isinstance(part, Part) or part.kind not in ("text", "thinking", "call"):
                continue
            if part.kind != "call":
                others += 1
                if others <= OTHER_PARTS_MAX:
                    self.parts.append(_words(part))
                continue
            args, problem = _arguments(part.args)
            call = _Call(len(self.parts), _bare(part), args, problem)
            if call.id and any((call.id, call.tool, call.args) == (other.id, other.tool, other.args) for other in self.calls):
                continue
            if len(self.calls) >= CALLS_HEARD_MAX:
                left_away += 1
                continue
            if len(self.calls) >= CALLS_MAX:
                call.refuse(f"there are more than {CALLS_MAX} calls in this answer; make the others in another one")
            self.parts.append(call.part)
            self.calls.append(call)
        if left_away:
            self.problems.append(f"{left_away} calls more than {CALLS_HEARD_MAX} were left away")
        self._give_ids()

    def _give_ids(self) -> None:
        """Each call gets an id that no other call of the conversation has. Two different calls under one id are both refused:
        which of them is meant cannot be known."""
        counts = Counter(call.id for call in self.calls if call.id)
        for call in self.calls:
            if counts[call.id] > 1:
                call.refuse(
                    f"another call in this answer has the same id {line(call.id, 64)}; make them again, each with its own"
                )
        before, used = self.state.call_ids, set[str]()
        for number, call in enumerate(self.calls):
            if not _ID.fullmatch(call.id) or call.id in used or call.id in before:
                name, again = f"call_{self.asked.turn}_{number}", 2
                while name in used or name in before or counts[name]:
                    name, again = f"call_{self.asked.turn}_{number}_{again}", again + 1
                call.rename(name)
            used.add(call.id)

    def _check_form(self, call: _Call) -> None:
        form = self.offered.get(call.tool)
        if form is None:
            return
        if call.args is not None and (wrong := schema_problem(call.args, form.input_schema)) is not None:
            call.refuse(line(wrong, 500))
        elif any(values.plain_secrets(call.args, secret_names(self.state))) and call.tool not in (verbs.NOTE, verbs.PLAN):
            call.refuse("it holds what is never written down, by its name; leave it out")

    # --- what goes together ---------------------------------------------------------------------------------------

    def _is_word(self, call: _Call) -> bool:
        """Whether it says what is to become of the run, rather than making a call."""
        return call.tool in self.offered and call.tool not in (verbs.NOTE, verbs.REPEAT, verbs.UNDO)

    def _refuse_what_does_not_go_together(self) -> None:
        if self.asked.phase == "interpret":
            for call in self.calls:
                if call.tool not in (verbs.INTERPRET, verbs.ASK, verbs.NOTE):
                    call.refuse(f"first say what the goal means, with {verbs.INTERPRET}")
        words = [call for call in self.calls if self._is_word(call) and not call.problem]
        acting = [call for call in self.calls if not self._is_word(call) and call.tool != verbs.NOTE and not call.problem]
        if len(words) > 1:
            for call in words:
                call.refuse(f"{' and '.join(sorted({word.tool for word in words}))} do not go together; call one of them, once")
            for call in acting:
                call.refuse("not made, because of what else stands in this answer")
        elif words and acting:
            word = words[0]
            if word.tool in (verbs.FINISH, verbs.GIVE_UP):
                word.refuse("other calls stand in this answer; look at what comes of them first, or end the run without them")
            why = "ask first, then act" if word.tool == verbs.ASK else f"{word.tool} stands alone in an answer"
            for call in acting:
                call.refuse(f"not made: {why}")

    # --- what is said without calls -------------------------------------------------------------------------------

    def _from_text(self) -> Proposal | None:
        text = self._text()
        if not text:
            return self._none("your answer is empty; call a tool, or say how the run ends")
        if self.asked.phase == "interpret":
            return self._none(f"say what the goal means with {verbs.INTERPRET}, not in plain text")
        if self.thinking.result_schema:
            return self._none(f"plain text does not end the run; call {verbs.FINISH} with a result, or another tool")
        if self.thinking.horizon != 1 and self._has_more_to_do():
            said = f"{verbs.KEEP} goes on with it, {verbs.FINISH} ends the run without the rest"
            return self._none(f"the plan has steps that have not begun; {said}")
        return Finish(text)

    def _has_more_to_do(self) -> bool:
        return self.state.open_steps > len(self.state.active)

    # --- words ----------------------------------------------------------------------------------------------------

    def _note(self, call: _Call) -> None:
        found: list[str] = []
        self.notes += claims.notes(call.args, self.state, self.asked.model, self.now, found)
        if found:
            call.refuse(told(found) + "; the others are noted" if self.notes else told(found))

    def _from_word(self, call: _Call) -> Proposal | None:
        found: list[str] = []
        proposal = self._word(call, found)
        if found or proposal is None:
            call.refuse(told(found))
            return None
        return proposal

    def _word(self, call: _Call, found: list[str]) -> Proposal | None:
        args = call.args
        match call.tool:
            case verbs.FINISH:
                text = self._text()
                return Finish(args.get("result", text or None))
            case verbs.GIVE_UP:
                reason = clean(args["reason"].strip(), 2_000)
                return GiveUp(reason) if reason else _nothing(found, "say why the goal cannot be reached")
            case verbs.KEEP:
                if not self.state.open_steps:
                    return _nothing(found, f"no plan is under way; make one, or end the run with {verbs.FINISH}")
                return Keep(clean(args.get("reason", ""), 2_000))
            case verbs.ASK:
                return claims.asking(args, self.state, found)
            case verbs.INTERPRET:
                if self.asked.phase != "interpret":
                    return _nothing(found, f"the goal is interpreted already; {verbs.NOTE} is for what you learned since")
                return claims.interpretation(args, self.state, self.asked.model, self.now, found)
            case _:
                proposal = planned(args, self.state, self.thinking, found)
                call.keep_args = skeleton(args) if not found else None
                return proposal

    # --- calls ----------------------------------------------------------------------------------------------------

    def _from_calls(self) -> Proposal | None:
        """The steps that the sound calls become."""
        sound: list[_Call] = []
        for call in sorted(self.calls, key=lambda call: call.id):
            if call.problem or call.tool == verbs.NOTE or self._is_word(call):
                continue
            step = self._step(call)
            if isinstance(step, str):
                call.refuse(step)
            else:
                call.step = step
                sound.append(call)
        named = with_ids([(call.id, call.step) for call in sound if call.step is not None], self.state, self.asked.turn)
        twice = same_twice(named, self.state) | _undone_twice(named)
        for call, step in zip(sound, named, strict=True):
            call.step = step
            if step.id in twice:
                call.refuse("another call in this answer does the very same; it is made once")
        steps = tuple(call.step for call in sound if call.step is not None and not call.problem)
        if not steps:
            if self.notes and not self.all_refused:
                self.problems.append("noted; now call a tool, ask, or end the run")
            return None
        return Propose(plan=Plan(steps=steps, final=False), reason=line(self._text(), REASON_MAX))

    @property
    def all_refused(self) -> bool:
        """Whether no call was taken."""
        return all(call.problem for call in self.calls)

    def _step(self, call: _Call) -> Step | str:
        if call.tool == verbs.REPEAT:
            return repeat_of(call.args, self.state)
        if call.tool == verbs.UNDO:
            return undo_of(call.args, self.state)
        return step_of_call(call.tool, call.args, self.state, self.offered)


def _nothing(found: list[str], why: str) -> Proposal | None:
    found.append(why)
    return None


def _undone_twice(steps: list[Step]) -> dict[str, str]:
    first: dict[str, str] = {}
    return {step.id: first[step.undoes] for step in steps if step.undoes and first.setdefault(step.undoes, step.id) != step.id}


# --- what is written down -----------------------------------------------------------------------------------------


def _arguments(args: Any) -> tuple[Any, str]:
    """The arguments of a call as plain JSON, and what is wrong with them."""
    if args is None or args == "":
        return {}, ""
    if not isinstance(args, dict):
        said = f": {line(args, 200)}" if isinstance(args, str) else ""
        return clean(args, REFUSED_BYTES_MAX) if isinstance(args, str) else None, f"the arguments are no table of JSON{said}"
    try:
        found = values.plain(args)
    except ValueError as error:
        return None, f"the arguments cannot be written as JSON: {line(str(error), 200)}"
    if len(written(found)) > ARGS_BYTES_MAX:
        return shrunk(found, REFUSED_BYTES_MAX), f"the arguments have more than {ARGS_BYTES_MAX} bytes"
    return found, ""


def _bare(part: Part) -> Part:
    """A call without its arguments."""
    return msgspec.structs.replace(
        _extras(part, changed=False), tool=clean(part.tool, 200), text="", args=None, step="", problem=""
    )


def _words(part: Part) -> Part:
    """A text or a thought as it can be written down. A thought that had to be changed is the provider's no longer."""
    text = clean(part.text, TEXT_MAX)
    kept = _extras(part, changed=text != part.text)
    return msgspec.structs.replace(kept, text=text, tool="", args=None, step="", problem="")


def _extras(part: Part, *, changed: bool) -> Part:
    """The part with what its provider wants to see again, if that can be kept whole."""
    signature, details = part.signature, part.details
    try:
        details = values.plain(details)
        whole = len(written(details)) + len(signature) <= EXTRA_BYTES_MAX and values.plain(signature) == signature
    except ValueError:
        whole = False
    if changed or not whole:
        return Part(kind=part.kind, text=part.text, id=clean(part.id, 200))
    return msgspec.structs.replace(part, id=clean(part.id, 200), provider=clean(part.provider, 100), details=details)


def _kept(part: Part, names: frozenset[str]) -> Part:
    """A call as it is kept: without what is never written down, and of bounded length where it was refused."""
    args = redacted(part.args, names)
    if part.problem and args is not None:
        args = shrunk(args, REFUSED_BYTES_MAX)
    return msgspec.structs.replace(part, args=args)
