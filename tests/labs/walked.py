"""The stories that `test_crash_walk` walks, as its child processes import them."""

import os
from pathlib import Path
from typing import Any

import holdfast.labs
from holdfast.labs.ahead import go_ahead
from holdfast.labs.approvals.agents import inputs_of, paying
from holdfast.labs.drift.agents import trip
from holdfast.labs.flight.agents import booking
from holdfast.labs.forty_seven.agents import agents
from holdfast.labs.http_call import STORE, WORLD
from holdfast.labs.morning_after.agents import morning, night
from holdfast.labs.news.agents import agent as news
from holdfast.labs.runaway.agents import agent as runaway
from holdfast.labs.second_run.agents import agent as rooms
from holdfast.labs.services.payouts import payouts_of
from holdfast.labs.weekend.agents import agent as planned
from holdfast.loading import agent_of
from holdfast.testing.crash_walk import Story

LABS = Path(holdfast.labs.__file__).parent


def one_hire(config: dict[str, Any]) -> Story:
    """One hire of the lab `onboarding`. config: {world, user, store}."""
    os.environ[WORLD] = config["world"]
    os.environ[STORE] = config["store"]
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


def one_weekend(config: dict[str, Any]) -> Story:
    """One weekend. config: {world, plan, guest}."""
    os.environ[WORLD] = config["world"]
    return Story(agent=agent_of(config["plan"]), run_id=f"weekend-{config['guest']}", inputs={"guest": config["guest"]})


def one_planned_weekend(config: dict[str, Any]) -> Story:
    """One weekend, planned by the script. config: {world, guest}."""
    os.environ[WORLD] = config["world"]
    return Story(agent=planned(config["guest"]), run_id=f"weekend-{config['guest']}", inputs={"guest": config["guest"]})


def one_runaway(config: dict[str, Any]) -> Story:
    """A reasoner of the lab `runaway`. config: {world, name, number}."""
    os.environ[WORLD] = config["world"]
    return Story(agent=runaway(config["name"], f"-{config['number']}"), run_id=f"{config['name']}-{config['number']}")


def two_follow_ups(config: dict[str, Any]) -> list[Story]:
    """A wake-up of the lab `forty_seven`, the next one for the same customer, and a run that looks and mails in turns.
    config: {world, customer, in_turns, visible_within}."""
    os.environ[WORLD] = config["world"]
    follow_up, in_turns = agents(config["visible_within"])
    customer, other = ({"name": config[name], "tier": "standard"} for name in ("customer", "in_turns"))
    return [
        Story(agent=follow_up, run_id=f"wake-1-{config['customer']}", inputs={"customer": customer}),
        Story(agent=follow_up, run_id=f"wake-2-{config['customer']}", inputs={"customer": customer}),
        Story(agent=in_turns, run_id=f"turns-{config['in_turns']}", inputs={"customer": other, "times": 5}),
    ]


def one_follow_up(config: dict[str, Any]) -> Story:
    """A wake-up of the lab `forty_seven`. config: {world, customer, visible_within}."""
    os.environ[WORLD] = config["world"]
    follow_up, _ = agents(config["visible_within"])
    customer = {"name": config["customer"], "tier": "standard"}
    return Story(agent=follow_up, run_id=f"wake-{config['customer']}", inputs={"customer": customer})


def one_summary(config: dict[str, Any]) -> Story:
    """The summary of the lab `news`. config: {world, number, desk_note}."""
    os.environ[WORLD] = config["world"]
    inputs = {"topic": "tidal power", "desk_note": config["desk_note"]}
    return Story(agent=news(f"-{config['number']}"), run_id=f"news-{config['number']}", inputs=inputs)


def one_drifting_trip(config: dict[str, Any]) -> Story:
    """The trip of the lab `drift`. config: {world, guest, town}."""
    os.environ[WORLD] = config["world"]
    inputs = {"guest": config["guest"], "town": config["town"]}
    return Story(agent=trip(config["guest"]), run_id=f"trip-{config['guest']}", inputs=inputs, thread=config["guest"])


def one_flight(config: dict[str, Any]) -> Story:
    """The trip of the lab `flight`. config: {world, traveller}."""
    os.environ[WORLD] = config["world"]
    name = config["traveller"]
    return Story(agent=booking(name), run_id=f"trip-{name}", inputs={"traveller": name}, thread=name)


def one_visit(config: dict[str, Any]) -> Story:
    """A run of the lab `second_run`, so much later than now. config: {world, guest, town, run_id, later}."""
    os.environ[WORLD] = config["world"]
    # A worker of a walk is a process of its own.
    go_ahead(config["later"])
    inputs = {"guest": config["guest"], "town": config["town"]}
    return Story(agent=rooms(config["guest"]), run_id=config["run_id"], inputs=inputs, thread=config["guest"])


def one_night(config: dict[str, Any]) -> Story:
    """The night of the lab `morning_after`. config: {world, day}."""
    os.environ[WORLD] = config["world"]
    return Story(agent=night, run_id=f"settlement-{config['day']}", inputs={"day": config["day"]})


def one_morning(config: dict[str, Any]) -> Story:
    """Its fork, which is in the store. config: {world, day}."""
    os.environ[WORLD] = config["world"]
    return Story(agent=morning, run_id=f"settlement-morning-{config['day']}")


def some_payouts(config: dict[str, Any]) -> list[Story]:
    """Payouts of the lab `approvals` under its second policy. config: {world, book, seed, numbers}."""
    os.environ[WORLD] = config["world"]
    agent, payouts = paying(LABS / "approvals" / "policy-2.yaml"), payouts_of(config["seed"])
    chosen = [payouts[number] for number in config["numbers"]]
    return [Story(agent=agent, run_id=payout.name, inputs=inputs_of(payout, config["book"])) for payout in chosen]
