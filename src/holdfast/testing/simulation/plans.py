"""Random plans: small, of all tools, with references, order, retries, fallbacks and every policy."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from holdfast.agent import Agent
from holdfast.core.contract import Retry
from holdfast.core.limits import Limits
from holdfast.core.plan import Fallback, OnFailure, Plan, Step
from holdfast.reasoners.base import Briefing, Finish, Proposal, Propose
from holdfast.testing.simulation import tools
from holdfast.testing.world import ServiceError

STEPS_MAX = 8
PERSON_SECONDS = 15.0
WALL_SECONDS = 150.0
_POLICIES: tuple[OnFailure, ...] = ("stop", "stop", "skip", "flag", "ask")
# Mostly all tools; now and then those that meet in business keys, whose keys die, that can be asked, or whose promises grow.
_PALETTES = (
    *[tools.NAMES] * 10,
    tools.BUSINESS,
    ("pay_short", "pay_probed", "book"),
    ("pay_probed",),
    ("mail", "notice"),
    ("mail", "notice"),
)
# Steps that share one of these are the same call in the eyes of a business key.
_SHARED_ITEMS = ("seat-a", "seat-b")


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What a seed plays: a plan, what the agent's tools are and become, and how many runs and workers there are. horizon: how
    many steps the reasoner proposes at a time; None for the whole plan at once. tenant_max: calls at once of all runs.
    checkpoint_events: a run of so many events counts as long."""

    plan: Plan
    limits: Limits
    tools: tuple[str, ...]
    changes: tuple[tuple[str, str], ...]
    runs: int
    workers: int
    horizon: int | None
    tenant_max: int | None
    checkpoint_events: int

    def agent(self, version: int, stumbles: Callable[[], bool]) -> Agent:
        """The agent as the nth worker loads it: the first ones as it is, later ones as it became. stumbles: asked whether the
        reasoner fails this time."""
        forms = dict(self.changes) if version else {}
        loaded = [tools.tool_named(name, forms.get(name, "")) for name in self.tools if forms.get(name) != "gone"]
        return Agent("simulated", tools=loaded, reasoner=_Planner(self.plan, self.horizon, stumbles), limits=self.limits)


class _Planner:
    """Proposes the plan, whole or in parts, whatever the agent's tools are today."""

    def __init__(self, plan: Plan, horizon: int | None, stumbles: Callable[[], bool]):
        self._plan = plan
        self._horizon = horizon
        self._stumbles = stumbles

    async def propose(self, briefing: Briefing) -> Proposal:
        if self._stumbles():
            raise ServiceError("the reasoner is not itself today")
        if self._horizon is None:
            return Propose(plan=self._plan)
        known = {report.id for report in briefing.steps}
        rest = [step for step in self._plan.steps if step.id not in known]
        if not rest:
            return Finish({"steps": len(known)})
        return Propose(plan=Plan(steps=tuple(rest[: self._horizon]), final=False), reason="and then")


def draw_script(dice: Random) -> Script:
    """A plan and its circumstances."""
    count = min(1 + int(dice.expovariate(0.45)), STEPS_MAX)
    # Few tools a plan: steps then meet in business keys and slots.
    among = dice.choice(_PALETTES)
    palette = dice.sample(among, min(dice.randint(1, 3), len(among)))
    steps: list[Step] = []
    for number in range(count):
        steps.append(_step(dice, f"s{number}", palette, steps))
    if dice.random() < 0.03:
        # What is large is stored apart, by its content.
        steps = [msgspec.structs.replace(step, args=_enlarged(step.args)) for step in steps]
    used = {name for step in steps for name in (step.tool, *(fallback.tool for fallback in step.fallbacks))}
    limits = Limits(
        parallel_max=dice.choice((1, 2, 4)),
        person_seconds=PERSON_SECONDS,
        wall_seconds=WALL_SECONDS,
        lost_max=dice.choice((1, 2, 3)),
        attempts_max=dice.choice((3, 100, 100, 100, 100, 100)),
    )
    return Script(
        plan=Plan(steps=tuple(steps)), limits=limits, tools=tuple(sorted(used)), changes=_changes(dice, sorted(used)),
        runs=1 if dice.random() < 0.85 else 2, workers=1 if dice.random() < 0.5 else 2,
        horizon=dice.randint(1, 3) if dice.random() < 0.2 else None,
        tenant_max=dice.randint(1, 2) if dice.random() < 0.1 else None,
        checkpoint_events=dice.choice((4, 10, 2_000, 2_000)),
    )  # fmt: skip


def _step(dice: Random, name: str, palette: list[str], before: list[Step]) -> Step:
    tool = dice.choice(palette)
    contract = tools.contract_named(tool)
    after = tuple(step.id for step in before if dice.random() < 0.15)
    fallbacks: tuple[Fallback, ...] = ()
    if dice.random() < 0.2:
        other = dice.choice(palette)
        fallbacks = (Fallback(tool=other, args=None if dice.random() < 0.5 else {"item": f"{name}-other"}),)
    can_retry = contract.safety != "irreversible"
    retry = Retry(attempts_max=dice.randint(1, 4), backoff_seconds=0.2, backoff_seconds_max=1.0) if dice.random() < 0.2 else None
    return Step(
        id=name, tool=tool, args=_args(dice, name, bool(contract.business_key), before), after=after,
        retry=retry if can_retry else None, timeout_seconds=dice.choice((0.6, 1.5)) if dice.random() < 0.1 else None,
        on_failure=dice.choice(_POLICIES), fallbacks=fallbacks, approve="always" if dice.random() < 0.08 else None,
        occurrence=2 if contract.business_key and dice.random() < 0.3 else 1,
    )  # fmt: skip


def _args(dice: Random, name: str, business: bool, before: list[Step]) -> dict[str, Any]:
    item: Any = dice.choice(_SHARED_ITEMS) if business and dice.random() < 0.7 else f"item-{name}"
    if before and dice.random() < 0.3:
        item = {"$ref": f"steps.{dice.choice(before).id}.id"}
        if dice.random() < 0.4:
            item["default"] = f"item-{name}"
    return {"item": item, "amount": dice.randint(1, 9)}


def _enlarged(args: dict[str, Any]) -> dict[str, Any]:
    item = args["item"]
    return {**args, "item": f"{item}-{'x' * 20_000}"} if isinstance(item, str) else args


def _changes(dice: Random, used: list[str]) -> tuple[tuple[str, str], ...]:
    """What becomes of the tools between workers; mostly nothing."""
    if dice.random() < 0.65:
        return ()
    changes: list[tuple[str, str]] = []
    for name in used:
        forms = [form for form, names in (("weaker", tools.WEAKER), ("other", tools.OTHER)) if name in names]
        if dice.random() < 0.1:
            changes.append((name, "gone"))
        elif forms and dice.random() < 0.7:
            changes.append((name, dice.choice(forms)))
    return tuple(changes)
