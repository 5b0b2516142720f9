"""The filters of `inbox` and of `inbox decide`: the same options, read the same way."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from holdfast.cli.given import amount, seconds

# As in `core.events` and `journal.people`, which the help page need not load.
KindName = Literal["approval", "question", "escalation", "handoff"]
AboutName = Literal["call", "doubt", "failure", "owed", "agent", "stop", "question", "fact", "reasoner", "plan", "handoff"]
OrderName = Literal["due", "oldest", "amount"]

Kind = Annotated[KindName | None, typer.Option("--kind", help="Only those of this kind.", show_default=False)]
About = Annotated[AboutName | None, typer.Option("--about", help="Only those about this.", show_default=False)]
Rule = Annotated[str | None, typer.Option("--rule", metavar="NAME", help="Only what this rule asks.", show_default=False)]
PolicyName = Annotated[
    str | None, typer.Option("--policy", metavar="NAME@VERSION", help="Only what this policy asks.", show_default=False)
]
ToolName = Annotated[str | None, typer.Option("--tool", metavar="NAME", help="Only about its calls.", show_default=False)]
AgentName = Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Only of its runs.", show_default=False)]
TenantName = Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="Only of its runs.", show_default=False)]
Run = Annotated[str | None, typer.Option("--run", metavar="ID", help="Only of this run.", show_default=False)]
Older = Annotated[str | None, typer.Option("--older", metavar="TIME", help="Only asked so long ago: 2h.", show_default=False)]
Due = Annotated[
    str | None, typer.Option("--due", metavar="TIME", help="Only those due within that time: 1h.", show_default=False)
]
AmountMin = Annotated[float | None, typer.Option("--min-amount", metavar="N", help="Only amounts from N on.", show_default=False)]
AmountMax = Annotated[float | None, typer.Option("--max-amount", metavar="N", help="Only amounts up to N.", show_default=False)]
Claimed = Annotated[
    bool | None,
    typer.Option("--claimed/--unclaimed", help="Only what somebody has in hand, or nobody.", show_default=False),
]
Answered = Annotated[
    bool | None,
    typer.Option("--answered", help="Only what is answered and waits for a worker.", show_default=False),
]
Search = Annotated[
    str | None,
    typer.Option("--search", metavar="TEXT", help="Only with this in question, step or run.", show_default=False),
]


def wanted(now: float, *, older: str | None, due: str | None, **given: Any) -> dict[str, Any]:
    """Filters of `Inbox.list`, of the options that were given. older, due: lengths of time; the others have the names of the
    filters."""
    found = {name: value for name, value in given.items() if value is not None}
    for name, option in (("amount_min", "--min-amount"), ("amount_max", "--max-amount")):
        amount(found.get(name), option)
    if older is not None:
        found["asked_before"] = now - seconds(older, "--older")
    if due is not None:
        found["due_before"] = now + seconds(due, "--due")
    return found
