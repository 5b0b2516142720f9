"""The providers of the simulation: hostile models that answer what they like, and a ledger of what they really charged.

A model is driven by the seed and by how often it was asked, so that who asks again after a crash may hear something else, as in
life. What it charges is drawn when a request reaches it, whatever becomes of its answer: a caller that is killed pays as well.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from decimal import Decimal
from random import Random
from typing import Protocol

import msgspec

from holdfast.core.events import FailureKind
from holdfast.core.models import ZERO, Part, Price, Usage
from holdfast.core.state import State
from holdfast.reasoners.model import Answer, Finish, Listener, ModelFailure, Request, size
from holdfast.testing.clock import Process, current_process
from holdfast.testing.simulation.sayings import RIGHT, WRONG, Act, Saying

FAILURES: tuple[FailureKind, ...] = (
    "transient", "rate_limited", "unavailable", "invalid_output", "crashed", "denied", "not_found", "invalid_input",
    "too_expensive", "insufficient", "conflict",
)  # fmt: skip
_RUN = re.compile(r"run-\d+")
_RETRY_AFTER = (None, None, 0.0, 0.4, 2.0, 30.0, 1e300)
# What a request may come to beside an answer: every kind that must be seen at least once over a batch of seeds.
KINDS: tuple[str, ...] = (
    *(f"model says: {name}" for name in (*RIGHT, *WRONG)),
    *(f"model fails: {kind}" for kind in FAILURES),
    "model fails: context",
    "model fails: its client breaks",
    "model answers too late",
    "model ignores its cancellation",
    "model answers slowly",
    "crash before a model is asked",
    "crash after a model answered",
    "crash while a model answers",
    "fact corrected in the middle",
    "goal changed in the middle",
    "question of a model answered",
    "guess confirmed by a person",
    "request to a model lost",
    "limit cost_usd_max reached",
    "limit tokens_max reached",
    "limit turns_max reached",
    "limit idle_turns_max reached",
    "limit revisions_max reached",
    "limit proposal_failures_max reached",
    "limit finishes_max reached",
    "finish refused",
    "another model asked",
    "fact observed again",
    "fact that drifted",
    "step dropped",
    "call refused, it was made before",
)


class Charge(msgspec.Struct, frozen=True):
    """What a provider really charged for one request, or a tool for one call: turn and attempt say which, of a request."""

    run_id: str
    what: str
    turn: int
    attempt: int
    tokens: int
    cost_usd: Decimal


class Temper(msgspec.Struct, frozen=True, kw_only=True):
    """What the models of a seed are like. right: how often they do what they should; acts: what they do else; failure, slow: how
    often a request fails, or takes its time; failures: in which ways."""

    right: float
    acts: tuple[str, ...]
    failure: float
    failures: tuple[FailureKind, ...]
    slow: float
    dear: float


class Stage(Protocol):
    """What the providers must know of the seed that is played."""

    @property
    def seed(self) -> int: ...

    @property
    def counter(self) -> Counter[str]: ...

    def state_of(self, run_id: str) -> State: ...

    def note(self, who: str, what: str, about: object = "") -> None: ...

    def stormy(self) -> bool: ...

    def asked(self, run_id: str, request: Request) -> None: ...

    def charged(self, charge: Charge) -> None: ...

    async def gate(self, process: Process, where: str, danger: int = 1) -> None: ...

    def crash_soon(self, process: Process, where: str) -> None: ...


class Providers:
    """See the module's text. prices: of the models, by name."""

    def __init__(self, stage: Stage, temper: Temper, prices: dict[str, Price], tools: tuple[str, ...]):
        self.stage, self.temper, self.prices, self.tools = stage, temper, prices, tools
        self.models = {name: HostileModel(self, name) for name in prices}
        self.asked = 0

    def dice(self) -> Random:
        """Those of the next request."""
        self.asked += 1
        return Random(f"{self.stage.seed} {self.asked}")


class HostileModel:
    """One of them. It implements `Model`."""

    def __init__(self, providers: Providers, name: str):
        self.name = name
        self._providers = providers

    async def answer(self, request: Request, listener: Listener | None = None) -> Answer:
        """Whatever it likes; or ModelFailure, or any other exception, or nothing in time."""
        providers, stage, process = self._providers, self._providers.stage, current_process()
        if process is not None and stage.stormy():
            await stage.gate(process, "before a model is asked", 2)
        run_id = _run_of(request)
        stage.asked(run_id, request)
        reply = _Reply(providers, self.name, stage.state_of(run_id), request)
        stage.note(self.name, f"is asked by {run_id}", f"{reply.name}, {reply.charge.tokens} tokens, ${reply.charge.cost_usd}")
        stage.counter[reply.name] += 1
        stage.charged(reply.charge)
        if process is not None and stage.stormy():
            stage.crash_soon(process, "while a model answers")
        await _wait(reply.seconds, reply.stubborn)
        if process is not None and stage.stormy():
            await stage.gate(process, "after a model answered", 4)
        return reply.answer()


class _Reply:
    """What becomes of one request."""

    def __init__(self, providers: Providers, model: str, state: State, request: Request):
        self.dice = dice = providers.dice()
        self._providers, self._request, self._state = providers, request, state
        self.seconds, self.stubborn = dice.choice((0.0, 0.0, 0.01, 0.3)), False
        self.failure: Exception | None = None
        self.said: tuple[Part, ...] = ()
        self.finish: Finish = "stop"
        self.usage = self._usage(providers.temper.dear)
        temper, paid = providers.temper, self.usage
        draw = dice.random()
        if draw < temper.failure:
            paid = self._fail()
        elif draw < temper.failure + temper.slow:
            self._take_time(request.timeout_seconds)
        else:
            self._say()
        asked = state.asking_model
        self.charge = Charge(
            state.run_id, model, asked.turn if asked is not None else 0, asked.attempt if asked is not None else 0,
            paid.tokens, _cost(providers.prices[model], paid),
        )  # fmt: skip

    def answer(self) -> Answer:
        """It comes."""
        if self.failure is not None:
            raise self.failure
        return Answer(said=self.said, usage=self.usage, finish=self.finish)

    def _usage(self, dear: float) -> Usage:
        """What the provider counts: no token without a byte, no answer beyond what it may have; now and then all of that."""
        dice, most = self.dice, size(self._request)
        full = dice.random() < dear
        taken = most if full else dice.randint(1, max(most // 3, 1))
        cached = dice.choice((0, 0, taken, dice.randint(0, taken)))
        read = dice.randint(0, cached)
        output = self._request.output_tokens_max if full else dice.randint(0, self._request.output_tokens_max)
        return Usage(
            input_tokens=taken, output_tokens=output, cache_read_tokens=read, cache_write_tokens=cached - read,
            requests=dice.choice((0, 1, 1, 5)),
        )  # fmt: skip

    def _fail(self) -> Usage:
        """The request comes to nothing; what it costs all the same."""
        dice, kind = self.dice, self.dice.choice(self._providers.temper.failures)
        self.name = f"model fails: {kind}"
        if dice.random() < 0.1:
            self.name = "model fails: its client breaks"
            self.failure = dice.choice((RuntimeError("no such attribute"), KeyError("choices"), ValueError("\ud800")))
            return self.usage
        context = kind == "invalid_input" and dice.random() < 0.7
        if context:
            self.name = "model fails: context"
        retry_after = dice.choice(_RETRY_AFTER)
        if dice.random() < 0.3:  # The provider counted it, and says so.
            usage, paid, charged = self.usage, self.usage, dice.random() < 0.5
        elif dice.random() < 0.4:  # It may have, and nobody is told.
            usage, paid, charged = Usage(), self.usage, True
        else:
            usage, paid, charged = Usage(), Usage(), False
        said = dice.choice(("no", "try later", "x" * 5_000, "\x1b[31mred"))
        self.failure = ModelFailure(
            kind, said, retry_after_seconds=retry_after, context=context, usage=usage, charged=charged
        )  # fmt: skip
        return paid

    def _take_time(self, timeout: float) -> None:
        self._say()
        kind = self.dice.choice(("late", "late", "stubborn", "slow"))
        if kind == "slow":
            self.name, self.seconds = "model answers slowly", timeout * 0.9
        elif kind == "late":
            self.name, self.seconds = "model answers too late", timeout + self.dice.choice((0.0, 3.0))
        else:
            self.name, self.seconds, self.stubborn = (
                "model ignores its cancellation",
                timeout + self.dice.choice((0.5, 9.0)),
                True,
            )

    def _say(self) -> None:
        dice, temper = self.dice, self._providers.temper
        saying = Saying(dice, self._state, self._request, self._providers.tools)
        name, act = self._act(saying)
        self.name = f"model says: {name}"
        parts = act(saying)
        if dice.random() < 0.06:
            parts = [*parts, *WRONG[dice.choice(temper.acts)](saying)]
        if dice.random() < 0.15:
            parts = [Part(kind=dice.choice(("text", "thinking")), text="Let me see.", signature="sig"), *parts]
        if dice.random() < 0.1:
            dice.shuffle(parts)
        self.said = tuple(parts)
        usual: Finish = "tool" if any(part.kind == "call" for part in parts) else "stop"
        odd: tuple[Finish, ...] = (usual, usual, usual, "stop", "other")
        self.finish = dice.choice(odd) if saying.finish is None else saying.finish

    def _act(self, saying: Saying) -> tuple[str, Act]:
        dice, temper = self.dice, self._providers.temper
        if dice.random() >= temper.right:
            name = dice.choice(temper.acts)
            return name, WRONG[name]
        if saying.phase == "interpret":
            return "interpretation", Saying.right_interpretation
        if saying.state.open_steps:
            return dice.choice((("keep", Saying.keep), ("steps dropped", Saying.drop), ("right calls", Saying.right_calls)))
        if dice.random() < 0.05:
            return "finish early", Saying.right_finish
        plans = any(tool.name == "make_plan" for tool in self._request.tools) and dice.random() < 0.7
        return ("right plan", Saying.right_plan) if plans else ("right calls", Saying.right_calls)


def _run_of(request: Request) -> str:
    """The run that asks: its goal says its id."""
    for message in request.messages:
        for part in message.parts:
            if (found := _RUN.search(part.text)) is not None:
                return found[0]
    raise AssertionError("no message of the request has the goal of the run")


def _cost(price: Price, usage: Usage) -> Decimal:
    """As the bill of the provider has it."""
    read = price.input_usd if price.cache_read_usd is None else price.cache_read_usd
    write = price.input_usd if price.cache_write_usd is None else price.cache_write_usd
    plain = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
    lines = ((plain, price.input_usd), (usage.cache_read_tokens, read), (usage.cache_write_tokens, write))
    return sum((count * each for count, each in (*lines, (usage.output_tokens, price.output_usd))), ZERO) / 1_000_000


async def _wait(seconds: float, stubborn: bool) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        try:
            await asyncio.sleep(until - loop.time())
        except asyncio.CancelledError:
            if not stubborn:
                raise
