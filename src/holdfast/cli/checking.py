"""`check` and `schema`: what is declared, before anything runs."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from holdfast.cli.options import DONE, AsJson, examples
from holdfast.cli.text import put, put_json, say
from holdfast.errors import LoadError


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
    agents below an agent. Nothing is called.
    """
    from holdfast import loading
    from holdfast.cli import render
    from holdfast.core.contract import digest
    from holdfast.views import tool_view

    loaded = loading.load(file)
    tops = loading.distinct(loaded.agents.values())
    agents = loading.distinct([*tops, *(below for agent in tops for below in agent.family().values())])
    every = [*(tool for agent in agents for tool in agent.toolbox.values()), *loaded.tools]
    tools = {digest(tool.contract): tool for tool in every}
    if not tools:
        raise LoadError(f"{loaded.where} has neither a tool nor an agent with one", hint="decorate functions with @tool")
    views = [tool_view(tool.contract) for tool in tools.values()]
    if json:
        put_json(views)
    else:
        render.tools(views)
    for agent in agents:
        below = f", agents {', '.join(agent.agents)}" if agent.agents else ""
        planned = f"; its plan of {len(agent.plan.steps)} steps is sound" if agent.plan is not None else ""
        say(f"agent {agent.name}: {len(agent.toolbox) - len(agent.agents)} tools{below}{planned}")
    return DONE


SCHEMA_EXAMPLES = examples(
    "holdfast schema plan > plan.schema.json",
    "holdfast schema plan | jq '.properties | keys'",
)


def schema(what: Annotated[Literal["plan"], typer.Argument(metavar="plan", help="Of what.", show_default=False)]) -> int:
    """The JSON Schema of plan files, for editors and for checks."""
    import json

    from holdfast.cli.schema import plan_schema

    put(json.dumps(plan_schema(), indent=2))
    return DONE
