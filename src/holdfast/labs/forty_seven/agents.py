"""The agents of the lab `forty_seven`: they look into the CRM whether a customer has answered or was mailed, and mail if not.

follow_up   looks once and mails at most once; it is woken again and again, each time as a run of its own.
in_turns    one run, whose plan is to look and to mail in turns, as often as it is told to.

A mail that was sent shows in the CRM only some time later. The tools say so (`visible_within`); what is not seen yet is
owed, in all runs of the store (`scope="store"`), and no other run mails that customer meanwhile. When the time is over and
the CRM still shows nothing, most customers get a second mail; for a key account a person is asked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from msgspec.structs import replace

from holdfast import NOT_YET, Agent, Briefing, Call, Finish, Happened, Plan, Step, Tool, tool
from holdfast.labs.http_call import look, send
from holdfast.tools.function import Probed

VISIBLE_WITHIN = "10s"
TEXT = "Did our offer reach you?"


@dataclass(frozen=True)
class Known:
    """What the CRM knows of a customer."""

    has_answered: bool
    mails: int


@tool(safety="read", timeout="5s")
def look_up(customer: str) -> Known:
    """Whether a customer has answered, and how many mails of ours the CRM shows."""
    found = look(f"/crm/{customer}", {})
    return Known(has_answered=found["has_answered"], mails=len(found["mails"]))


@dataclass(frozen=True)
class Mail:
    id: str


def find_mail(customer: str, text: str, call: Call) -> Happened | Probed:
    """Whether the CRM shows the mail of this call. Where it does not, nobody can tell: it may be out, and not to be seen yet."""
    mails = [mail for mail in look(f"/crm/{customer}", {})["mails"] if mail["key"] == call.key]
    return Happened(Mail(id=mails[0]["id"])) if mails else NOT_YET


def send_follow_up(customer: str, text: str, call: Call) -> Mail:
    """Mail a customer. The mail service drops no repeats."""
    return Mail(id=send("POST", "/mails", {"to": customer, "text": text}, key=call.key, timeout_seconds=15.0)["id"])


def mailing(name: str, at_deadline: Literal["repeat", "ask"], visible_within: str) -> Tool[..., Mail]:
    """The tool that mails, with what is to happen where the CRM does not show the mail in time."""
    declare: Callable[[Callable[..., Mail]], Tool[..., Mail]] = tool(
        name=name,
        safety="reconcilable",
        probe=find_mail,
        probe_every="300ms",
        probe_window=visible_within,
        visible_within=visible_within,
        business_key="customer",
        scope="store",
        at_deadline=at_deadline,
        timeout="20s",
    )
    return declare(send_follow_up)


def agents(visible_within: str = VISIBLE_WITHIN) -> tuple[Agent, Agent]:
    """`follow_up` and `in_turns`. visible_within: how long after it was sent a mail may not be seen yet."""
    tools: list[Tool[..., Any]] = [
        look_up,
        mailing("send_follow_up", "repeat", visible_within),
        mailing("write_to_key_account", "ask", visible_within),
    ]
    goal = "Mail the customer once, unless they have answered"
    once = Agent("follow-up", goal=goal, tools=tools, inputs={"customer": {"type": "object"}}, reasoner=one_wake_up)
    turns = {"customer": {"type": "object"}, "times": {"type": "integer"}}
    return once, Agent("in-turns", goal=goal, tools=tools, inputs=turns, reasoner=many_turns)


# --- what is thought ----------------------------------------------------------------------------------------------


def one_wake_up(briefing: Briefing) -> Step | Finish:
    """Look; mail if there is nothing to be seen; end."""
    known = briefing.result("look")
    if known is None:
        return _look("look", briefing)
    if len(briefing.steps) > 1 or known["has_answered"] or known["mails"]:
        return Finish({"mails_seen": known["mails"]})
    return _mail("mail", briefing)


def many_turns(briefing: Briefing) -> Plan | Finish:
    """Look and mail, again and again, whatever is seen: a plan as a careless planner makes it."""
    times = briefing.goal.inputs["times"]
    if briefing.steps:
        return Finish({"mails_planned": times})
    steps: list[Step] = []
    for number in range(1, times + 1):
        look = _look(f"look_{number}", briefing)
        steps += [replace(look, after=(steps[-1].id,)) if steps else look, _mail(f"mail_{number}", briefing, f"look_{number}")]
    return Plan(steps=tuple(steps), final=False)


def _look(name: str, briefing: Briefing) -> Step:
    return Step(id=name, tool="look_up", args={"customer": briefing.goal.inputs["customer"]["name"]})


def _mail(name: str, briefing: Briefing, *after: str) -> Step:
    customer = briefing.goal.inputs["customer"]
    tool = "write_to_key_account" if customer["tier"] == "key" else "send_follow_up"
    return Step(id=name, tool=tool, args={"customer": customer["name"], "text": TEXT}, after=after, on_failure="skip")


follow_up, in_turns = agents()
