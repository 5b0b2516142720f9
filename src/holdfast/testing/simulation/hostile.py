"""Runs whose reasoner is a hostile model: which models there are and what they are like, how the run thinks, and its bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random
from typing import Any, Literal

from holdfast.agent import Agent
from holdfast.core.contract import Breaker
from holdfast.core.events import OnStop
from holdfast.core.limits import Limits
from holdfast.core.models import Price
from holdfast.core.plan import Plan
from holdfast.core.thinking import Acceptance, Asking, Reassess
from holdfast.models import Models
from holdfast.testing.simulation import tools
from holdfast.testing.simulation.office import Office
from holdfast.testing.simulation.plans import PERSON_SECONDS, WALL_SECONDS, Script
from holdfast.testing.simulation.providers import FAILURES, Providers, Temper
from holdfast.testing.simulation.sayings import WRONG

TIMEOUT = 2.0
_PRICES = {
    "alpha:strong": Price(
        input_usd=Decimal(3), output_usd=Decimal(15), cache_read_usd=Decimal("0.3"), cache_write_usd=Decimal("3.75")
    ),
    "beta:other": Price(input_usd=Decimal("2.5"), output_usd=Decimal(10)),
    "alpha:cheap": Price(input_usd=Decimal("0.07"), output_usd=Decimal("0.3"), cache_write_usd=Decimal("0.09")),
}
GOAL = "Do the work of {run} for ann, in the colour red."
INPUTS: dict[str, Any] = {"customer": {"type": "string"}, "budget": {"type": "integer"}}


class HostileScript(Script, frozen=True, kw_only=True):
    """What a seed plays whose reasoner is a model. See `Script`. given: inputs of the run. accepting: how its result is looked
    at. corrections, goals: when somebody says that a fact is another, or wants something else, in seconds."""

    temper: Temper
    models: tuple[str, ...]
    fallback: tuple[str, ...]
    cheaper: tuple[str, ...]
    breaker: Breaker
    context_bytes_max: int
    output_tokens_max: int
    thinking: dict[str, Any]
    given: dict[str, Any]
    accepting: Literal["", "expression", "tool"] = ""
    result_schema: dict[str, Any] | None = None
    corrections: tuple[float, ...] = ()
    goals: tuple[float, ...] = ()

    @property
    def prices(self) -> dict[str, Price]:
        """Of the models that may be asked."""
        return {name: _PRICES[name] for name in (*self.models, *self.fallback, *self.cheaper)}

    def thinker(
        self, version: int, providers: Providers, office: Office | None = None, checks: Sequence[Callable[..., Any]] = ()
    ) -> Agent:
        """The agent as the nth worker loads it; a later one may think in another way. office, checks: see `Script.agent`."""
        models = Models(
            [providers.models[name] for name in self.models],
            fallback=[providers.models[name] for name in self.fallback],
            cheaper=[providers.models[name] for name in self.cheaper],
            prices=self.prices, output_tokens_max=self.output_tokens_max, context_bytes_max=self.context_bytes_max,
            timeout=TIMEOUT, retry={"attempts": 4, "backoff": "200ms..2s"}, breaker=self.breaker,
        )  # fmt: skip
        forms = (office.forms if office is not None else {}) | (dict(self.changes) if version else {})
        accept: Any = {"": None, "expression": Acceptance(that="result.ok == `true`", finishes_max=2), "tool": is_accepted}
        return Agent(
            "simulated", tools=[tools.tool_named(name, forms.get(name, "")) for name in self.tools], model=models,
            instructions="Do it well.", limits=self.limits, inputs=INPUTS, on_stop=self.on_stop, accept=accept[self.accepting],
            result=self.result_schema, policy=office.policy(version, self.tools) if office is not None else None, checks=checks,
            **self.thinking,
        )  # fmt: skip

    def agent(
        self, version: int, stumbles: Callable[[], bool], office: Office | None = None, checks: Sequence[Callable[..., Any]] = ()
    ) -> Agent:
        """It needs the providers: see `thinker`."""
        raise NotImplementedError


def is_accepted(result: Any) -> bool:
    """What counts as done."""
    return isinstance(result, dict) and result.get("ok") is True


def draw_hostile(dice: Random) -> HostileScript:
    """A model, its run and its circumstances."""
    names = dice.sample(tools.THOUGHT, dice.randint(2, 6))
    used = tuple(sorted({*names, *(undo for name in names if (undo := tools.contract_named(name).undo))}))
    route = dice.choice((("alpha:strong",), ("alpha:strong", "beta:other"), ("beta:other",)))
    others = tuple(name for name in _PRICES if name not in route)
    horizon = dice.choice((1, 1, 1, 2, 5, "plan", "plan"))
    reassess: Reassess = dice.choice(("surprise", "surprise", "step", "never"))
    on_stop: OnStop = dice.choice(("keep", "keep", "undo", "ask"))
    interpret = dice.choice((None, None, True, False))
    missing = interpret is not False and dice.random() < 0.4
    # What is taken back is not held up by another agent: who then cancels has said two things.
    changes = (("mail", "weaker"),) if "mail" in used and on_stop == "keep" else ()
    return HostileScript(
        plan=Plan(steps=()), limits=_limits(dice), tools=used, changes=changes,
        runs=2 if dice.random() < 0.15 else 1, workers=1 if dice.random() < 0.5 else 2, horizon=None,
        tenant_max=dice.randint(1, 2) if dice.random() < 0.05 else None, checkpoint_events=dice.choice((4, 10, 2_000, 2_000)),
        messy=True, on_stop=on_stop, temper=_temper(dice), models=route,
        fallback=others[:1] if dice.random() < 0.4 else (), cheaper=("alpha:cheap",) if dice.random() < 0.3 else (),
        breaker=Breaker(failures_max=dice.choice((1, 2, 4)), within_seconds=20.0, open_seconds=dice.choice((1.0, 5.0))),
        context_bytes_max=dice.choice((22_000, 30_000, 120_000)), output_tokens_max=dice.choice((200, 1_000)),
        thinking={
            "horizon": horizon, "reassess": reassess, "interpret": interpret,
            "ask": dice.choice((None, Asking(policy="always"), Asking(policy="never"), {"budget": Asking(policy="always")})),
            "confidence_min": dice.choice((0.0, 0.0, 0.5)), "repairs_max": dice.choice((2, 3, 5)),
            "failures_max": dice.choice((1, 2, 3)),
        },
        given={"customer": "ann"} if missing else {"customer": "ann", "budget": dice.randint(1, 9)},
        accepting=dice.choice(("", "", "expression", "tool")),
        result_schema={"type": "object", "required": ["ok"]} if dice.random() < 0.2 else None,
        corrections=_times(dice, 0.35), goals=_times(dice, 0.2),
    )  # fmt: skip


def _times(dice: Random, share: float) -> tuple[float, ...]:
    return tuple(dice.uniform(0.0, 6.0) for _ in range(dice.randint(1, 2))) if dice.random() < share else ()


def _temper(dice: Random) -> Temper:
    return Temper(
        right=dice.choice((0.0, 0.4, 0.7, 0.85, 0.93)), acts=tuple(dice.sample(tuple(WRONG), dice.randint(1, 7))),
        failure=dice.uniform(0.03, 0.5) if dice.random() < 0.4 else 0.0,
        failures=tuple(dice.sample(FAILURES, dice.randint(1, 4))),
        slow=dice.uniform(0.03, 0.2) if dice.random() < 0.3 else 0.0, dear=dice.choice((0.0, 0.2, 1.0)),
    )  # fmt: skip


def _limits(dice: Random) -> Limits:
    return Limits(
        parallel_max=dice.choice((1, 4, 10)), person_seconds=PERSON_SECONDS, wall_seconds=WALL_SECONDS,
        lost_max=dice.choice((1, 2, 3)), attempts_max=dice.choice((6, 100, 100)), hold_seconds=dice.choice((2.5, 60.0)),
        turns_max=dice.choice((3, 8, 15, 25)), idle_turns_max=dice.choice((2, 3, 5)), revisions_max=dice.choice((1, 2, 4, 20)),
        cost_usd_max=Decimal(dice.choice(("0.06", "0.25", "0.7", "2.37"))) if dice.random() < 0.5 else None,
        tokens_max=dice.choice((30_000, 80_000, 300_000)) if dice.random() < 0.2 else None,
    )  # fmt: skip
