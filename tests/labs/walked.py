"""The stories that `test_crash_walk` walks, as its child processes import them."""

import os
from pathlib import Path
from typing import Any

import holdfast.labs
from holdfast.labs.http_call import WORLD
from holdfast.loading import agent_of
from holdfast.testing.crash_walk import Story

LABS = Path(holdfast.labs.__file__).parent


def one_hire(config: dict[str, Any]) -> Story:
    """One hire of the lab `onboarding`. config: {world, user}."""
    os.environ[WORLD] = config["world"]
    hire = {"user": config["user"], "name": "Zoë Lefèvre", "laptop": "Framework 13"}
    agent = agent_of(str(LABS / "onboarding" / "plan.yaml"))
    return Story(agent=agent, run_id=f"hire-{config['user']}", inputs={"hire": hire})


def three_payments(config: dict[str, Any]) -> list[Story]:
    """The three transfers of the lab `payment`. config: {world, account}."""
    os.environ[WORLD] = config["world"]
    inputs = {"account": config["account"], "amount": "250.00", "reference": f"invoice-{config['account']}"}
    agents = [agent_of(f"{LABS / 'payment' / 'agents.py'}:{name}") for name in ("keyed", "lookup", "plain")]
    # The account is part of the id, as the key of a call is made from it and all walks share one gateway.
    return [Story(agent=agent, run_id=f"{agent.name}-{config['account']}", inputs=inputs) for agent in agents]
