"""The people of the simulation: they answer what the runs ask, and what they say about the world is true.

Asked whether something happened, they wait until nothing that was sent can still land, look at the world's ledger, and say
what is there. Otherwise they are people: late, silent, of two minds, and sometimes two of them answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import Any, Protocol

import msgspec

from holdfast import inbox
from holdfast.app import Holdfast
from holdfast.core.events import Asked, OnStop
from holdfast.core.evolve import fold
from holdfast.core.soundness import schema_problem
from holdfast.core.state import State
from holdfast.errors import AnswerRefused, JournalUnavailable
from holdfast.journal.base import Journal, Message
from holdfast.testing.clock import SimClock
from holdfast.testing.simulation import tools
from holdfast.testing.simulation.plans import PERSON_SECONDS
from holdfast.testing.world import Effect, World

Answer = tuple[str, Any]


class Stage(Protocol):
    """What people must know of the seed that is played."""

    @property
    def dice(self) -> Random: ...

    @property
    def clock(self) -> SimClock: ...

    @property
    def world(self) -> World: ...

    @property
    def counter(self) -> Counter[str]: ...

    def note(self, who: str, what: str, about: object = "") -> None: ...

    def broken(self, law: str, what: str) -> None: ...


class People:
    """Everybody outside who may say something to a run."""

    def __init__(self, stage: Stage, app: Holdfast):
        self._stage = stage
        self._app = app

    @property
    def journal(self) -> Journal:
        """By which they say something."""
        return self._app.journal

    async def answer(self, run_id: str, asked: Asked) -> None:
        """React to a question, sooner or later or not at all."""
        stage = self._stage
        mood = stage.dice.random()
        if mood < 0.06:
            stage.counter["never answered"] += 1
            stage.note("person", "will not answer", asked.interrupt)
            return
        await asyncio.sleep(stage.dice.uniform(0.1, 5.0))
        state = await self._state(run_id)
        if asked.interrupt not in state.interrupts:
            return
        if mood < 0.12:
            await asyncio.sleep(PERSON_SECONDS)
        await self._settled(run_id, asked)
        late = mood < 0.12 or self._stage.clock.now() >= asked.expires_at
        answer = self._choose(state, asked, late)
        await self._say(state, asked, answer, "late" if late else "ann")
        if mood > 0.85:
            await self._say(state, asked, answer, "bob")

    async def cancel(self, run_id: str, on_stop: OnStop | None = None) -> None:
        """Change one's mind about the whole. on_stop: what is to become of what was done."""
        message = inbox.cancel(by="ann", now=self._stage.clock.now(), reason="changed my mind", on_stop=on_stop)
        await self._send(run_id, message)

    async def _state(self, run_id: str) -> State:
        try:
            return fold((await self._app.journal.read(run_id)).entries)
        except JournalUnavailable:
            await asyncio.sleep(0.5)
            return await self._state(run_id)

    async def _settled(self, run_id: str, asked: Asked) -> None:
        """Patience before one says what happened: until nothing can land any more."""
        if asked.about != "call" and asked.step:
            await self._stage.world.settled(run_id=run_id, step=asked.step)

    def _choose(self, state: State, asked: Asked, late: bool) -> Answer:
        dice, run_id = self._stage.dice, state.run_id
        if asked.about == "stop":
            return dice.choice((("approve", None), ("approve", None), ("reject", None)))
        if dice.random() < 0.03:
            return "cancel", None
        if asked.about == "call":
            yes: Answer = ("approve", None)
            return dice.choice((yes, yes, yes, ("edit", _edits(asked, 77)), ("reject", None)))
        if asked.about in ("question", "fact", "reasoner"):
            return self._about_thinking(state, asked)
        if asked.about == "agent":
            return dice.choice((("approve", None), ("approve", None), ("reject", None)))
        effect = self._what_happened(run_id, asked)
        owed = state.pending.get(asked.step)
        if owed is not None and owed.about != "result" and dice.random() < 0.5:
            return dice.choice((("approve", None), ("reject", None)))
        if effect is not None:
            return "respond", effect.receipt
        if asked.about == "failure":
            return self._after_failure(state, asked, late)
        if asked.about == "owed":
            return dice.choice((("approve", None), ("reject", None), ("reject", None)))
        return dice.choice((("approve", None), ("approve", None), ("reject", None)))

    def _about_thinking(self, state: State, asked: Asked) -> Answer:
        """What a model asks, what it guessed, and whether models are asked again."""
        dice, yes = self._stage.dice, ("approve", None)
        if asked.about == "reasoner":
            return dice.choice((yes, ("reject", None)))
        if asked.about == "fact":
            other: Answer = ("edit", {dice.choice(asked.facts): dice.choice(("item-5", "bob", 4))})
            self._stage.counter["guess confirmed by a person"] += 1
            return dice.choice((yes, yes, other, ("reject", None)))
        form = asked.asks.answer_schema if asked.asks is not None else {}
        fitting = [value for value in ("red", "item-2", 5, {"a": 1}) if not form or schema_problem(value, form) is None]
        if not fitting or dice.random() < 0.2:
            return "reject", None
        self._stage.counter["question of a model answered"] += 1
        return "respond", dice.choice(fitting)

    def _what_happened(self, run_id: str, asked: Asked) -> Effect | None:
        """What the ledger has of this step; or of the same call, as the business sees it, in another."""
        world = self._stage.world
        found = [effect for effect in world.effects(run_id=run_id, step=asked.step) if not world.undone(effect)]
        if not found and asked.tool in tools.BUSINESS:
            found = world.effects(run_id=run_id, tool=asked.tool, item=asked.args.get("item"))
        return found[0] if found else None

    def _after_failure(self, state: State, asked: Asked, late: bool) -> Answer:
        """Whoever comes too late does nothing by hand: somebody else may have decided by then."""
        dice = self._stage.dice
        choice = dice.choice(("approve", "approve", "edit", "reject", "reject", "reject" if late else "respond"))
        if choice in ("edit", "respond") and asked.tool not in tools.EDITABLE:
            return "reject", None
        if choice == "edit":
            return "edit", _edits(asked, 78)
        if choice == "respond":
            return "respond", self._by_hand(state, asked).receipt
        return choice, None

    def _by_hand(self, state: State, asked: Asked) -> Effect:
        item, amount = str(asked.args.get("item", "?")), asked.args.get("amount", 1)
        self._stage.note("person", "does it by hand", asked.step)
        return self._stage.world.do_by_hand(
            tool=asked.tool, run_id=state.run_id, step=asked.step, item=item, amount=amount,
            occurrence=state.steps[asked.step].occurrence,
        )  # fmt: skip

    async def _say(self, state: State, asked: Asked, answer: Answer, by: str) -> None:
        """Say it, built from what the person saw, however old that is."""
        decision, value = answer
        try:
            message = inbox.answer(
                state, decision, by=by, now=asked.expires_at - 1.0, interrupt=asked.interrupt, value=value, note="as I see it"
            )
        except AnswerRefused as refused:
            self._stage.broken("a person can say what is offered", f"{asked.interrupt} {decision}: {refused}")
            return
        message = msgspec.structs.replace(message, at=self._stage.clock.now())
        if by == "late":
            self._stage.counter["answered late"] += 1
        await self._send(state.run_id, message)

    async def _send(self, run_id: str, message: Message) -> None:
        stage = self._stage
        subject = f"{message.slot} {message.body['decision']}"
        try:
            await self._app.journal.send(run_id, message)
        except AnswerRefused as refused:
            stage.note("person", "is refused", f"{subject}: {refused.what}")
            stage.counter["answered twice"] += message.body["by"] == "bob"
        except JournalUnavailable:
            # Whether it arrived is not known. Said again it is refused if it did, and that is as well.
            await asyncio.sleep(0.5)
            await self._send(run_id, message)
        else:
            stage.note("person", "says", f"{subject} by {message.body['by']}")


def _edits(asked: Asked, amount: int) -> dict[str, Any]:
    """Another amount; and an item, where what was shown is a reference that led nowhere."""
    known = isinstance(asked.args.get("item"), str)
    return {"amount": amount} if known else {"amount": amount, "item": f"item-by-hand-{asked.step}"}
