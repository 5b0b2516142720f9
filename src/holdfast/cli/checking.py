"""`check` and `schema`: what is declared, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from holdfast.cli.options import DONE, AsJson, examples
from holdfast.cli.text import one_line, put, put_json, say
from holdfast.errors import LoadError

if TYPE_CHECKING:
    from holdfast.agent import Agent
    from holdfast.views import MindView, PolicyView


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("check", epilog=CHECK_EXAMPLES)(check)
    app.command("schema", epilog=SCHEMA_EXAMPLES)(schema)


CHECK_EXAMPLES = examples("holdfast check onboarding.yaml", "holdfast check refunds.py:night", "holdfast check tools.py --json")


def check(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE[:AGENT]", help="A plan, a file with agents, or one with tools alone.", show_default=False),
    ],
    json: AsJson = False,
) -> int:
    """What each tool promises, also after a crash.

    What would happen to a call whose worker is lost is one line, from the table that recovery itself goes by. A plan is
    checked as before a run: unknown tools, wrong arguments, references that lead nowhere, circles; all at once. So are the
    agents below an agent. Of an agent with a policy its rules are shown, in the order in which they are asked. Of an agent that
    asks models it is said which, for what, at which prices and within which limits, and whether they could be asked from here.
    Nothing is called, and nobody is asked.
    """
    from holdfast import loading
    from holdfast.cli import render, render_thinking
    from holdfast.core.contract import digest
    from holdfast.views import policy_view, tool_view

    loaded = loading.load(file)
    tops = loading.distinct(loaded.agents.values())
    agents = loading.distinct([*tops, *(below for agent in tops for below in agent.family().values())])
    every = [*(tool for agent in agents for tool in agent.toolbox.values()), *loaded.tools]
    tools = {digest(tool.contract): tool for tool in every}
    if not tools:
        raise LoadError(f"{loaded.where} has neither a tool nor an agent with one", hint="decorate functions with @tool")
    views = [tool_view(tool.contract) for tool in tools.values()]
    minds = [(agent, seen) for agent in agents if (seen := _mind(agent)) is not None]
    policies = [policy_view(agent.name, agent.policy) for agent in agents if agent.policy is not None]
    if json:
        put_json(views)
        put_json(policies)
        put_json(seen for _, seen in minds)
    else:
        render.tools(views)
        for policy in policies:
            _show(policy)
        for _, seen in minds:
            render_thinking.mind(seen)
    for agent in agents:
        below = f", agents {', '.join(agent.agents)}" if agent.agents else ""
        planned = f"; its plan of {len(agent.plan.steps)} steps is sound" if agent.plan is not None else ""
        say(f"agent {agent.name}: {len(agent.toolbox) - len(agent.agents)} tools{below}{planned}")
    for agent, _ in minds:
        if agent.limits.cost_usd_max is None:
            say(f"agent {agent.name}: its runs may cost anything; bound them by Limits(cost_usd_max=Decimal('2.00'))")
        for problem in _unreachable(agent):
            say(f"agent {agent.name}: {problem}")
    return DONE


def _show(view: PolicyView) -> None:
    """A policy's rules in one block; the first one that matches holds."""
    from holdfast.cli.drawing import styled

    styled((f"policy {one_line(view.policy)}", "bold"), (f"  of {one_line(view.agent)}", "cyan"))
    for rule in view.rules:
        styled((f"    {one_line(rule.name)}  ", "bold"), (f"{one_line(rule.when)}: {one_line(rule.then)}", ""))
    for name, words in (("asks", view.otherwise), ("refused", view.refusals)):
        if words:
            styled((f"    {name:<9}  ", "dim"), (one_line(words), ""))


def _mind(agent: Agent) -> MindView | None:
    """How the runs of an agent think; None where no model is asked."""
    from holdfast.views import mind_view

    thinking = agent.thinking()
    if thinking is None:
        return None
    shown = ("turns_max", "revisions_max", "idle_turns_max", "tokens_max", "cost_usd_max", "wall_seconds")
    limits = {name: value for name in shown if (value := getattr(agent.limits, name)) is not None}
    return mind_view(agent.name, thinking, agent.accept, limits)


def _unreachable(agent: Agent) -> list[str]:
    """The models that could not be asked from here, and why: the library is missing, or a key."""
    import asyncio

    from holdfast.reasoners.llm import ProviderModel
    from holdfast.reasoners.model import ModelFailure

    found = []

    async def look() -> None:
        for name, model in agent.mind.models.models.items() if agent.mind is not None else ():
            if isinstance(model, ProviderModel):
                try:
                    await model.connect(name)
                except ModelFailure as failure:
                    found.append(f"{name} cannot be asked from here: {failure.message}")

    asyncio.run(look())
    return found


SCHEMA_EXAMPLES = examples(
    "holdfast schema plan > plan.schema.json",
    "holdfast schema policy > policy.schema.json",
    "holdfast schema monitors > monitors.schema.json",
    "holdfast schema eval > eval.schema.json",
    "holdfast schema plan | jq '.properties | keys'",
)


def schema(
    what: Annotated[
        Literal["plan", "policy", "monitors", "eval"],
        typer.Argument(metavar="plan|policy|monitors|eval", help="Of what.", show_default=False),
    ],
) -> int:
    """The JSON Schema of a kind of file, for editors."""
    import json

    from holdfast.cli.schema import plan_schema, policy_schema
    from holdfast.cli.schema_eval import eval_schema
    from holdfast.cli.schema_monitors import monitors_schema

    make = {"plan": plan_schema, "policy": policy_schema, "monitors": monitors_schema, "eval": eval_schema}[what]
    put(json.dumps(make(), indent=2))
    return DONE
