"""The people of an office: they decide by role, contradict one another, answer twice, pause a run and forget it.

What they say about the world is true, as with all people here (`people.py`): who does a step by hand has taken the run over
before, and nothing of it is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from holdfast import inbox
from holdfast.app import Holdfast
from holdfast.core.contract import digest
from holdfast.core.events import Asked
from holdfast.core.state import ENDED, State, StepState
from holdfast.errors import AnswerRefused, JournalUnavailable
from holdfast.journal.base import Message
from holdfast.journal.people import Person, StandingApproval
from holdfast.testing.clock import JumpingLoop, outside
from holdfast.testing.simulation import people, tools
from holdfast.testing.simulation.office import FORBIDDEN_AMOUNT, ROLES, STRANGER, Office
from holdfast.testing.simulation.people import Answer, People
from holdfast.testing.simulation.plans import PERSON_SECONDS

_IN_FLIGHT = ("flying", "probing", "checking")
# Who finishes a run by hand needs so long at most.
_HANDS_SECONDS = 6.0


class Stage(people.Stage, Protocol):
    """What people of an office must know of the seed that is played."""

    @property
    def loop(self) -> JumpingLoop: ...

    @property
    def states(self) -> Mapping[str, State]: ...

    @property
    def set_back(self) -> bool: ...

    def stormy(self) -> bool: ...


class Clerks(People):
    """Everybody in an office."""

    def __init__(self, stage: Stage, app: Holdfast, office: Office):
        super().__init__(stage, app)
        self._play = stage
        self._office = office
        self._tasks: list[asyncio.Task[None]] = []
        self._number = 0

    # --- what they say of themselves ------------------------------------------------------------------------------

    async def open(self) -> None:
        """Put the directory into the store, before anything is asked."""
        for name, roles in ROLES.items() if self._office.known else ():
            await self._surely(lambda name=name, roles=roles: self.journal.put_person(Person(name=name, roles=roles)))

    def begin(self) -> None:
        """Some of them have something to say in the middle."""
        for at, word in self._office.words:
            self._at(at, self._speak, word)
        for at, tool in self._office.grants:
            self._at(at, self._grant, tool)

    def _at(self, seconds: float, what: Any, *args: Any) -> None:
        self._stage_loop.call_later(seconds, outside, self._begin, what, *args)

    def _begin(self, what: Any, *args: Any) -> None:
        self._tasks.append(self._stage_loop.create_task(what(*args)))

    @property
    def _stage_loop(self) -> JumpingLoop:
        return self._play.loop

    def _word_id(self) -> str:
        self._number += 1
        return f"w{self._number}"

    async def _speak(self, word: str) -> None:
        dice = self._stage.dice
        if not self._play.states:
            await asyncio.sleep(3.0)
        if not self._play.states:
            return
        run_id = dice.choice(sorted(self._play.states))
        if self._play.states[run_id].ended:
            return
        await {
            "pause": self._pause, "pause for a while": self._pause_for_a_while, "hand over": self._hand_over,
            "instruct": self._instruct,
        }[word](run_id)  # fmt: skip

    async def _pause(self, run_id: str) -> None:
        """And later on somebody lets it go on, or everybody forgets it."""
        stage, dice = self._stage, self._stage.dice
        said = inbox.pause(await self._state(run_id), by="ann", now=stage.clock.now(), reason="let me see", id=self._word_id())
        stage.counter["paused"] += 1
        await self._tell(run_id, said)
        if dice.random() < 0.3:
            stage.counter["word said twice"] += 1
            await self._tell(run_id, said)
        if dice.random() < 0.1:
            stage.counter["pause forgotten"] += 1
            return
        await asyncio.sleep(dice.uniform(0.5, 12.0))
        name = dice.choice(("ann", "bob"))
        await self._tell(run_id, inbox.resume(await self._state(run_id), by=name, now=stage.clock.now(), id=self._word_id()))

    async def _pause_for_a_while(self, run_id: str) -> None:
        stage = self._stage
        now = stage.clock.now()
        until = now + stage.dice.choice((0.4, 3.0, 9.0))
        stage.counter["paused for a while"] += 1
        await self._tell(run_id, inbox.pause(await self._state(run_id), by="bob", now=now, until=until, id=self._word_id()))

    async def _instruct(self, run_id: str) -> None:
        stage = self._stage
        stage.counter["instructed"] += 1
        said = inbox.instruct(await self._state(run_id), "Use less.", by="ann", now=stage.clock.now(), id=self._word_id())
        await self._tell(run_id, said)

    async def _hand_over(self, run_id: str) -> None:
        stage = self._stage
        name = stage.dice.choice(("ann", "bob", "cat"))
        stage.counter["taken over"] += 1
        said = inbox.handoff(await self._state(run_id), by=name, now=stage.clock.now(), reason="mine", id=self._word_id())
        await self._tell(run_id, said)

    async def _grant(self, tool: str) -> None:
        """A yes in advance, for a while or a few times; now and then it is taken back."""
        stage, dice = self._stage, self._stage.dice
        name, now = dice.choice(("ann", "ann", "bob", "cat")), stage.clock.now()
        # Mostly for what is asked at present.
        asked = [one.tool for state in self._play.states.values() for one in state.interrupts.values() if one.about == "call"]
        tool = dice.choice(asked) if asked and dice.random() < 0.8 else tool
        approval = StandingApproval(
            id=f"s-{self._word_id()}", tool=tool, by=name, at=now, until=now + dice.choice((1.0, 10.0, 60.0, 60.0)),
            args={} if dice.random() < 0.8 else {"amount": dice.randint(1, 9)}, roles=self._office.roles(name),
            amount_max=dice.choice((None, None, 4.0)), uses_max=dice.choice((None, None, 1, 2)),
            run_id=dice.choice(("", "", "run-0")), agent=dice.choice(("", "simulated")),
        )  # fmt: skip
        stage.counter["approved in advance"] += 1
        stage.note("person", "approves in advance", approval)
        await self._surely(lambda: self.journal.grant(approval))
        if dice.random() < 0.6:
            await asyncio.sleep(dice.uniform(0.0, 2.0))
            stage.counter["approval in advance taken back"] += 1
            stage.note("person", "takes back what was approved in advance", approval.id)
            await self._surely(lambda: self.journal.revoke(approval.id, "ann", stage.clock.now()))

    # --- what they are asked --------------------------------------------------------------------------------------

    async def answer(self, run_id: str, asked: Asked) -> None:
        """React to a question, sooner or later or not at all; alone or together, of one mind or not."""
        stage, dice = self._stage, self._stage.dice
        seen = self._play.states[run_id]
        mood = dice.random()
        if mood < 0.05:
            stage.counter["never answered"] += 1
            stage.note("person", "will not answer", asked.interrupt)
            return
        await asyncio.sleep(dice.uniform(0.1, 5.0))
        await self._look_into(run_id, asked)
        if mood < 0.1:
            await asyncio.sleep(max(asked.expires_at - stage.clock.now(), 0.0) % PERSON_SECONDS + dice.uniform(0.0, 1.0))
        await self._settled(run_id, asked)
        state = await self._state(run_id)
        if asked.interrupt not in state.interrupts:
            if state.ended or asked.interrupt not in seen.interrupts or asked.about not in ("call", "plan") or mood > 0.6:
                return
            stage.counter["answered what is not asked any more"] += 1
            state = seen
        asked = state.interrupts[asked.interrupt]
        if asked.about == "handoff":
            await self._decide_how_it_goes_on(state, asked)
            return
        await self._decide(state, asked, mood)

    async def _decide(self, state: State, asked: Asked, mood: float) -> None:
        stage, dice = self._stage, self._stage.dice
        late = stage.clock.now() >= asked.expires_at
        answer = self._choose(state, asked, late)
        may = [name for name in ROLES if self._office.may(name, asked.who) and name not in asked.not_by]
        if asked.who and mood > 0.75:
            await self._try_without_the_right(state, asked, answer)
        if not may:
            stage.counter["nobody may decide"] += 1
            return
        first = dice.choice(may)
        await self._give(state, asked, answer, first, late)
        if asked.people > 1 and answer[0] == "approve":
            await self._second(state, asked, answer, first, may)
        elif mood > 0.88:
            # Somebody else says it again, or the opposite; or they themselves do.
            again = self._opposite(asked, answer) if dice.random() < 0.5 else answer
            await self._give(state, asked, again, dice.choice(may), late, twice=True)

    async def _second(self, state: State, asked: Asked, answer: Answer, first: str, may: list[str]) -> None:
        """The other one who must approve: sooner or later; the first one once more; or against it."""
        stage, dice = self._stage, self._stage.dice
        others = [name for name in may if name != first]
        mood = dice.random()
        if mood < 0.15:
            stage.counter["the first one approves once more"] += 1
            await self._give(state, asked, answer, first, False, slot=f"{asked.interrupt}:{first}-again")
        if mood < 0.25 or not others:
            return
        await asyncio.sleep(dice.choice((0.0, 0.2, 2.0)))
        against = mood > 0.85
        stage.counter["the second one refuses"] += against
        await self._give(state, asked, ("reject", None) if against else answer, dice.choice(others), False)
        if mood > 0.7:
            await self._give(state, asked, ("reject", None), dice.choice(may), False, twice=True)

    def _opposite(self, asked: Asked, answer: Answer) -> Answer:
        """What contradicts it, where that says nothing false of the world."""
        if asked.about not in ("call", "plan"):
            return answer
        self._stage.counter["two of two minds"] += 1
        return ("reject", None) if answer[0] == "approve" else ("approve", None)

    def _choose(self, state: State, asked: Asked, late: bool) -> Answer:
        dice = self._stage.dice
        if asked.about == "plan":
            return dice.choice((("approve", None), ("approve", None), ("approve", None), ("reject", None)))
        answer = super()._choose(state, asked, late)
        together = asked.people > 1 and answer[0] in ("edit", "respond")
        if together or (answer[0] == "edit" and asked.about == "call" and asked.tool not in tools.EDITABLE):
            return "approve", None
        if answer[0] == "edit" and asked.about == "call" and dice.random() < 0.4:
            self._stage.counter["edited within the rules"] += 1
            return "edit", {**answer[1], "amount": dice.choice((1, 2, 8))}
        return answer

    async def _look_into(self, run_id: str, asked: Asked) -> None:
        """Take it in hand, remark on it: nothing of it decides anything."""
        stage, dice = self._stage, self._stage.dice
        if dice.random() < 0.2:
            now = stage.clock.now()
            stage.counter["taken in hand"] += 1
            await self._surely(lambda: self.journal.claim_interrupt(run_id, asked.interrupt, "bob", now, now + 5.0))
        if dice.random() < 0.15:
            state = self._play.states[run_id]
            if asked.interrupt in state.interrupts or asked.interrupt in state.decided:
                stage.counter["remarked on"] += 1
                said = inbox.comment(
                    state, asked.interrupt, "is that right?", by="dan", now=stage.clock.now(), id=self._word_id()
                )
                await self._tell(run_id, said)

    # --- saying it ------------------------------------------------------------------------------------------------

    async def _give(
        self, state: State, asked: Asked, answer: Answer, name: str, late: bool, *, twice: bool = False, slot: str | None = None
    ) -> None:
        """Say it, built from what the person saw, however old that is."""
        stage, (decision, value) = self._stage, answer
        message = self._written(state, asked, answer, name)
        if message is None and decision == "edit":
            # The policy forbids it; somebody whose program does not look says it all the same.
            stage.counter["edited into something forbidden"] += 1
            message = self._written(msgspec.structs.replace(state, policy=None), asked, answer, name)
        if message is None:
            stage.broken("a person can say what is offered", f"{asked.interrupt} {decision} {value} by {name}")
            return
        message = msgspec.structs.replace(message, at=stage.clock.now(), slot=slot or message.slot)
        stage.counter["answered late"] += late
        stage.counter["answered twice"] += twice
        await self._tell(state.run_id, message)

    def _written(self, state: State, asked: Asked, answer: Answer, name: str) -> Message | None:
        decision, value = answer
        try:
            return inbox.answer(
                state, decision, by=name, now=asked.expires_at - 1.0, interrupt=asked.interrupt, value=value, note="as I see it",
                roles=self._office.roles(name), known=self._office.is_known(name),
            )  # fmt: skip
        except AnswerRefused as refused:
            self._stage.note("person", "is refused", f"{asked.interrupt} {decision} by {name}: {refused.what}")
            return None

    async def _try_without_the_right(self, state: State, asked: Asked, answer: Answer) -> None:
        """Somebody decides whose question it is not: they are refused; and where their program does not look, the run does."""
        stage = self._stage
        names = [name for name in (*ROLES, STRANGER) if not self._office.may(name, asked.who)]
        if not names:
            return
        name = stage.dice.choice(names)
        stage.counter["decided by somebody without the right"] += 1
        if self._written(state, asked, answer, name) is not None:
            stage.broken("who may not decide is refused", f"{asked.interrupt}, for {asked.who}, by {name}")
        own = asked.ruling.who if asked.ruling is not None else ()
        rungs = asked.ladder.rungs if asked.ladder is not None else ()
        if any(self._office.may(name, rung.who or own) for rung in rungs):
            return  # What was said by whom an earlier rung asks is taken.
        body = {
            "interrupt": asked.interrupt, "digest": asked.digest, "decision": "approve", "by": name, "value": None, "note": "",
        }  # fmt: skip
        message = Message(kind="answer", slot=f"{asked.interrupt}:{name}", body=body, at=stage.clock.now())
        await self._tell(state.run_id, message)

    async def _tell(self, run_id: str, message: Message) -> None:
        """Say it until it is known to have arrived; said twice it is the same."""
        stage = self._stage
        body = message.body
        subject = f"{message.kind} {message.slot} {body.get('decision', '')} by {body.get('by', '')}"
        while True:
            try:
                await self.journal.send(run_id, message)
            except AnswerRefused as refused:
                stage.note("person", "is refused", f"{subject}: {refused.what}")
            except JournalUnavailable:
                await asyncio.sleep(0.5)
                continue
            else:
                stage.note("person", "says", subject)
            return

    async def _surely(self, what: Any) -> None:
        while True:
            try:
                await what()
            except JournalUnavailable:
                await asyncio.sleep(0.5)
                continue
            return

    # --- by hand --------------------------------------------------------------------------------------------------

    async def _decide_how_it_goes_on(self, state: State, asked: Asked) -> None:
        """Whoever took it over does a step or two by hand, and hands it back, or ends it. Nobody else says anything."""
        stage, dice = self._stage, self._stage.dice
        taken = state.handoff
        if taken is None or not self._office.may(taken.by, asked.who):
            return
        if not state.thinking:
            for _ in range(dice.choice((0, 0, 1, 1, 2))):
                if asked.expires_at - stage.clock.now() > _HANDS_SECONDS:
                    await self._do_one(state.run_id, taken.by)
        state = await self._state(state.run_id)
        asked = state.interrupts.get(asked.interrupt, asked)
        if asked.interrupt not in state.interrupts or not self._office.may(taken.by, asked.who):
            return
        choices: list[Answer] = [("approve", None)] * 5 + [("respond", {"ok": True}), ("reject", None), ("cancel", None)]
        answer = dice.choice(choices)
        stage.counter[_HANDED[answer[0]]] += 1
        await self._give(state, asked, answer, taken.by, False)

    async def _do_one(self, run_id: str, name: str) -> None:
        """Do a step that has not ended and for which nothing is under way, and wait until the run knows."""
        stage = self._stage
        state = await self._state(run_id)
        steps = [step for one in state.order if self._is_for_hands(state, step := state.steps[one], name)]
        if state.handoff is None or state.ended or not steps:
            return
        step = stage.dice.choice(steps)
        await stage.world.settled(run_id=run_id, step=step.step.id)
        state = self._play.states[run_id]
        step = state.steps[step.step.id]
        if state.handoff is None or not self._is_for_hands(state, step, name):
            return
        like = Asked(
            interrupt="", kind="handoff", about="failure", question="", options=(), digest=digest(""), expires_at=0.0,
            step=step.step.id, tool=step.tool, args=step.args or step.step.args,
        )  # fmt: skip
        effect = self._what_happened(run_id, like) or self._by_hand(state, like)
        stage.counter["step done by hand"] += 1
        said = inbox.done(
            state, step.step.id, effect.receipt, by=name, now=stage.clock.now(), id=self._word_id(),
            roles=self._office.roles(name), known=self._office.is_known(name),
        )  # fmt: skip
        await self._tell(run_id, said)
        for _ in range(10):
            if self._play.states[run_id].steps[step.step.id].phase in ENDED:
                return
            await asyncio.sleep(0.3)

    def _is_for_hands(self, state: State, step: StepState, name: str) -> bool:
        """Whether it can be done by hand, and is the same call as no other by its business key."""
        asked = state.interrupts.get(step.interrupt or "")
        args = step.args or step.step.args
        return (
            step.phase not in (*ENDED, *_IN_FLIGHT)
            and step.step.id not in state.pending
            and (asked is None or self._office.may(name, asked.who))
            and step.tool in tools.EDITABLE
            and step.tool not in tools.BUSINESS
            and not step.step.undoes
            and isinstance(args.get("item"), str)
            and isinstance(args.get("amount"), int)
        )


_HANDED = {
    "approve": "handed back", "respond": "finished by hand", "reject": "stopped by hand", "cancel": "cancelled by hand",
}  # fmt: skip
assert FORBIDDEN_AMOUNT < 77, "what people edit into is forbidden by the rule"
