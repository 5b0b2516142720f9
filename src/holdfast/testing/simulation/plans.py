"""Random plans: small, of all tools, with references, order, retries, fallbacks and every policy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

import msgspec

from holdfast.agent import Agent
from holdfast.core.contract import Retry
from holdfast.core.events import OnStop
from holdfast.core.limits import Limits
from holdfast.core.plan import Expect, Fallback, OnFailure, Plan, Step
from holdfast.reasoners.base import Briefing, Finish, Proposal, Propose
from holdfast.testing.simulation import tools
from holdfast.testing.simulation.office import Office
from holdfast.testing.world import ServiceError

STEPS_MAX = 8
PERSON_SECONDS = 15.0
WALL_SECONDS = 150.0
CHILD_WALL_SECONDS = 60.0
_POLICIES: tuple[OnFailure, ...] = ("stop", "stop", "skip", "flag", "ask")
# Mostly all tools; now and then those that meet in business keys, whose keys die, that can be asked, or whose promises grow.
_PALETTES = (
    *[tools.NAMES] * 10,
    tools.CLASSIC_BUSINESS,
    ("pay_short", "pay_probed", "book"),
    ("pay_probed",),
    ("mail", "notice"),
    ("mail", "notice"),
)
# In the other half of the seeds: what is owed, what is shared by the runs of a store, what can be taken back.
_MESSY_PALETTES = (
    *[tools.MESSY] * 3,
    tools.DEFERRING,
    tools.DEFERRING,
    ("survey", "ship"),
    tools.ONCE,
    tools.STORE_WIDE,
    tools.GATED,
    ("geo", "crm"),
    tools.UNDOABLE,
    (*tools.UNDOABLE, "supply", "mail"),
)
CHILD = "helper"
# Steps that share one of these are the same call in the eyes of a business key.
_SHARED_ITEMS = ("seat-a", "seat-b")


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What a seed plays: a plan, what the agent's tools are and become, and how many runs and workers there are. horizon: how
    steps the reasoner proposes at a time; None for the whole plan at once. tenant_max: calls at once of all runs.
    checkpoint_events: a run of so many events counts as long. child: the plan of an agent whose runs steps start. messy: it is
    one of the seeds in which the world owes something."""

    plan: Plan
    limits: Limits
    tools: tuple[str, ...]
    changes: tuple[tuple[str, str], ...]
    runs: int
    workers: int
    horizon: int | None
    tenant_max: int | None
    checkpoint_events: int
    messy: bool = False
    child: Plan | None = None
    on_stop: OnStop = "keep"

    def agent(
        self, version: int, stumbles: Callable[[], bool], office: Office | None = None, checks: Sequence[Callable[..., Any]] = ()
    ) -> Agent:
        """The agent as the nth worker loads it: the first ones as it is, later ones as it became. stumbles: asked whether the
        reasoner fails this time. office: by whose policy people decide; checks: functions that it names."""
        forms = (office.forms if office is not None else {}) | (dict(self.changes) if version else {})
        loaded = [tools.tool_named(name, forms.get(name, "")) for name in self.tools if forms.get(name) != "gone"]
        children = []
        if self.child is not None:
            made = [tools.tool_named(name) for name in sorted(tools_of(self.child.steps))]
            child_limits = msgspec.structs.replace(self.limits, wall_seconds=CHILD_WALL_SECONDS)
            reasoner = _Planner(self.child, None, stumbles)
            policy = office.policy(version, [one.contract.tool for one in made]) if office is not None else None
            children.append(
                Agent(
                    CHILD, tools=made, reasoner=reasoner, limits=child_limits, on_stop=self.on_stop, policy=policy, checks=checks
                )
            )
        policy = office.policy(version, [one.contract.tool for one in loaded]) if office is not None else None
        return Agent(
            "simulated", tools=loaded, reasoner=_Planner(self.plan, self.horizon, stumbles), limits=self.limits,
            on_stop=self.on_stop, agents=children, policy=policy, checks=checks,
        )  # fmt: skip


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


def draw_script(dice: Random, messy: bool = False) -> Script:
    """A plan and its circumstances."""
    return _draw_messy(dice) if messy else _draw_classic(dice)


def tools_of(steps: Iterable[Step]) -> set[str]:
    """The tools that steps name, and those that take them back."""
    named = {name for step in steps for name in (step.tool, *(fallback.tool for fallback in step.fallbacks)) if name != CHILD}
    return named | {undo for name in named if (undo := tools.contract_named(name).undo) is not None}


def _draw_messy(dice: Random) -> Script:
    among = dice.choice(_MESSY_PALETTES)
    palette = dice.sample(among, min(dice.randint(1, 3), len(among)))
    child = None
    if dice.random() < 0.2:
        child = Plan(steps=tuple(_messy_steps(dice, "c", palette, dice.randint(1, 3))))
        palette = [*palette, CHILD]
    steps = _messy_steps(dice, "s", palette, min(1 + int(dice.expovariate(0.4)), STEPS_MAX))
    limits = Limits(
        parallel_max=dice.choice((1, 2, 4)), person_seconds=PERSON_SECONDS, wall_seconds=WALL_SECONDS,
        lost_max=dice.choice((1, 2, 3)), attempts_max=dice.choice((6, 100, 100, 100)), hold_seconds=dice.choice((2.5, 60.0)),
        changes={"credit": 3.0} if dice.random() < 0.2 else {}, children_max=dice.choice((1, 10)),
    )  # fmt: skip
    return Script(
        plan=Plan(steps=tuple(steps)), limits=limits, tools=tuple(sorted(tools_of(steps))), changes=(),
        runs=2 if dice.random() < 0.45 else 1, workers=1 if dice.random() < 0.5 else 2,
        horizon=dice.randint(1, 3) if dice.random() < 0.15 else None,
        tenant_max=dice.randint(1, 2) if dice.random() < 0.05 else None,
        checkpoint_events=dice.choice((4, 10, 2_000, 2_000)), messy=True, child=child,
        on_stop=dice.choice(("keep", "undo", "undo", "ask")),
    )  # fmt: skip


def _messy_steps(dice: Random, letter: str, palette: list[str], count: int) -> list[Step]:
    steps: list[Step] = []
    # Now and then a plan that asks for the same thing again and again.
    twins = dice.random() < 0.12
    for number in range(count + 2 * twins):
        steps.append(_messy_step(dice, f"{letter}{number}", palette, steps, twins))
    return steps


def _messy_step(dice: Random, name: str, palette: list[str], before: list[Step], twins: bool) -> Step:
    tool = dice.choice(palette)
    after = tuple(step.id for step in before if dice.random() < (0.6 if twins else 0.15))
    policy = dice.choice(_POLICIES)
    instead_of = dice.choice(before).id if before and dice.random() < 0.12 else ""
    if tool == CHILD:
        return Step(id=name, tool=CHILD, args={"goal": "help"}, after=after, on_failure=policy, alternative_to=instead_of)
    contract = tools.contract_named(tool)
    others = [other for other in palette if other != CHILD]
    fallbacks = tuple(
        Fallback(tool=dice.choice(others), args=None if dice.random() < 0.5 else {"item": f"{name}-other{number}"})
        for number in range(dice.choice((0, 0, 0, 1, 2) if contract.undo else (0, 0, 0, 0, 1, 2)))
    )
    # The same item in the same tool is the same call, also where no business key says so.
    args = _args(dice, name, bool(contract.business_key) or dice.random() < 0.4, before)
    if isinstance(args["item"], dict) and (instead_of or any(step.tool == CHILD for step in before)):
        args["item"] = f"item-{name}"  # What a child returns has no id, and what was not done no result.
    if twins:
        args, policy = {"item": "seat-a", "amount": 1}, dice.choice(("skip", "flag"))
    return Step(
        id=name, tool=tool, args=args, after=after, on_failure=policy, fallbacks=fallbacks, alternative_to=instead_of,
        expect=Expect(that="amount > `0`") if dice.random() < 0.25 else None,
        occurrence=2 if contract.business_key and dice.random() < 0.2 else 1,
    )  # fmt: skip


def _draw_classic(dice: Random) -> Script:
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
