"""The part of the stage on which models are: who asks them, what is charged, and what people say to a run that thinks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any, Protocol

from holdfast import inbox
from holdfast.agent import Agent
from holdfast.core import events as e
from holdfast.core.evolve import fold
from holdfast.core.models import ZERO
from holdfast.core.state import State
from holdfast.errors import AnswerRefused, JournalUnavailable
from holdfast.journal.base import Journal, Message
from holdfast.reasoners.model import Request
from holdfast.testing.clock import JumpingLoop, Process, SimClock, outside
from holdfast.testing.simulation import tools
from holdfast.testing.simulation.hostile import GOAL, HostileScript
from holdfast.testing.simulation.laws import Laws
from holdfast.testing.simulation.laws_thinking import ThinkingLaws
from holdfast.testing.simulation.office import Office
from holdfast.testing.simulation.providers import Charge, Providers
from holdfast.tools.function import Call


class Stage(Protocol):
    """What must be known of the seed that is played."""

    @property
    def seed(self) -> int: ...

    @property
    def dice(self) -> Random: ...

    @property
    def loop(self) -> JumpingLoop: ...

    @property
    def clock(self) -> SimClock: ...

    @property
    def counter(self) -> Counter[str]: ...

    @property
    def laws(self) -> Laws: ...

    @property
    def office(self) -> Office | None: ...

    @property
    def checks(self) -> list[Callable[..., Any]]: ...

    def note(self, who: str, what: str, about: object = "") -> None: ...

    def broken(self, law: str, what: str) -> None: ...

    def stormy(self) -> bool: ...

    async def gate(self, process: Process, where: str, danger: int = 1) -> None: ...

    def crash_soon(self, process: Process, where: str) -> None: ...


class Minds:
    """See the module's text. journal: through which people say something."""

    def __init__(self, stage: Stage, script: HostileScript):
        self._stage = stage
        self._script = script
        self.seed, self.counter = stage.seed, stage.counter
        self.note, self.stormy, self.gate, self.crash_soon = stage.note, stage.stormy, stage.gate, stage.crash_soon
        self.laws = ThinkingLaws(stage, script)
        self._bills: dict[str, Decimal | None] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._providers = Providers(
            self, script.temper, script.prices, tuple(name for name in script.tools if name not in tools.UNDO)
        )

    def agent(self, version: int) -> Agent:
        """The agent as the nth worker loads it."""
        return self._script.thinker(version, self._providers, self._stage.office, self._stage.checks)

    def goal(self, run_id: str) -> tuple[str, dict[str, Any]]:
        """What a run is for, and its inputs."""
        return GOAL.format(run=run_id), dict(self._script.given)

    # --- what providers and tools do ------------------------------------------------------------------------------

    def state_of(self, run_id: str) -> State:
        """What is known of a run."""
        return self._stage.laws.states[run_id]

    def asked(self, run_id: str, request: Request) -> None:
        """A request reaches a model."""
        self.laws.asked(run_id, request, self._stage.laws.claims[run_id].fence)

    def charged(self, charge: Charge) -> None:
        """Somebody is paid."""
        self.laws.charged(charge)

    def called(self, tool: str, call: Call) -> None:
        """A tool is called. One that costs something says how much, or leaves it at what it declared; under the same key it is
        the same, and paid for once."""
        if tool not in tools.COSTLY:
            return
        most = tools.contract_named(tool).cost_usd
        assert most is not None, f"{tool} costs nothing"
        is_new = call.key not in self._bills
        said = self._bills.setdefault(call.key, self._stage.dice.choice((None, None, most, most / 4, ZERO)))
        if said is not None:
            call.spent(said)
        if is_new:
            self.charged(Charge(call.run_id, tool, 0, 0, 0, most if said is None else said))

    # --- what people say ------------------------------------------------------------------------------------------

    def begin(self, journal: Journal) -> None:
        """Some of them have something to say in the middle."""
        for at in self._script.corrections:
            self._stage.loop.call_later(at, outside, self._begin, self._correct, journal)
        for at in self._script.goals:
            self._stage.loop.call_later(at, outside, self._begin, self._change_goal, journal)

    def _begin(self, what: Any, journal: Journal) -> None:
        self._tasks.append(self._stage.loop.create_task(what(journal, "run-0")))

    async def _correct(self, journal: Journal, run_id: str) -> None:
        dice = self._stage.dice
        state = await self._state(journal, run_id)
        guessed = sorted(name for name, fact in state.facts.items() if fact.source == "inferred")
        names = guessed if guessed and dice.random() < 0.6 else sorted(state.facts) or ["customer"]
        name, value = dice.choice(names), dice.choice(("item-1", "item-6", "bob", 3, 9))
        self.counter["fact corrected in the middle"] += 1
        self.note("person", "corrects", f"{run_id} {name[:40]} = {value!r}")
        await self._tell(journal, run_id, inbox.correct(state, name, value, by="ann", now=self._stage.clock.now()))

    async def _change_goal(self, journal: Journal, run_id: str) -> None:
        dice = self._stage.dice
        state = await self._state(journal, run_id)
        self.counter["goal changed in the middle"] += 1
        self.note("person", "changes the goal", run_id)
        inputs = {"budget": dice.randint(1, 9)} if dice.random() < 0.5 else {}
        words = f"Do other work of {run_id}, in blue."
        await self._tell(journal, run_id, inbox.goal(state, words, inputs, by="ann", now=self._stage.clock.now()))

    async def _state(self, journal: Journal, run_id: str) -> State:
        while True:
            if run_id in self._stage.laws.states:
                try:
                    return fold((await journal.read(run_id)).entries)
                except JournalUnavailable:
                    pass
            await asyncio.sleep(0.5)

    async def _tell(self, journal: Journal, run_id: str, message: Message) -> None:
        try:
            await journal.send(run_id, message)
        except AnswerRefused as refused:
            self.note("person", "is refused", f"{message.kind}: {refused.what}")
        except JournalUnavailable:
            # Whether it arrived is not known; said twice it is the same.
            await asyncio.sleep(0.5)
            await self._tell(journal, run_id, message)

    # --- what is written ------------------------------------------------------------------------------------------

    def count(self, event: e.AnyEvent) -> None:
        """Kinds of what happened; see `providers.KINDS`."""
        if (kind := _kind(event)) is not None:
            self.counter[kind] += 1


def _kind(event: e.AnyEvent) -> str | None:
    match event:
        case e.LimitReached(limit=limit):
            return f"limit {limit} reached"
        case e.ModelCallLost():
            return "request to a model lost"
        case e.FinishRuled(accepted=False):
            return "finish refused"
        case e.ProposalRequested(reason=reason) if reason and not reason.startswith("the first choice"):
            return "another model asked"
        case e.ReobservationPlanned():
            return "fact observed again"
        case e.FactsLearned(drifts=drifts) if drifts and event.step:
            return "fact that drifted"
        case e.PlanAdopted(dropped=dropped) if dropped:
            return "step dropped"
        case e.CallRefused(failure=failure) if failure.kind == "conflict":
            return "call refused, it was made before"
        case _:
            return None
