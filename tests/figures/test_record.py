"""Figures of what really happened: runs in a real store, decided by people."""

from __future__ import annotations

import time
from pathlib import Path

from holdfast import Agent, Holdfast, Plan, Step, tool
from holdfast.audit import AuditLine, audit, verify_audit
from holdfast.core.policy import Policy, Rule
from holdfast.figures import figures, what_if
from holdfast.journal.people import InboxFilter, JudgedFilter


@tool(safety="irreversible", approve="amount > 500")
async def refund(amount: float) -> str:
    """Give money back."""
    return f"refunded {amount}"


AGENT = Agent(
    "refunds", tools=[refund], plan=Plan(steps=(Step(id="pay", tool="refund", args={"amount": {"$ref": "inputs.amount"}}),))
)
ABOVE_700 = Policy(name="p", rules=(Rule(name="large", when="amount > 700"), Rule(name="rest", then="never")))


async def test_what_people_decided_is_counted_and_proven(tmp_path: Path) -> None:
    """From the question to the figure, the alternative and the audit, with nothing made by hand."""
    async with Holdfast(tmp_path / "runs.db") as app:
        for number, amount in enumerate((600, 650, 800, 900)):
            await app.start(AGENT, id=f"r{number}", inputs={"amount": amount})
        await app.work(AGENT, until_idle=True)
        await app.inbox.show("r0", by="ann")
        await app.inbox.decide("r0", "approve", "ann")
        await app.inbox.decide("r1", "reject", "ann", note="no")
        await app.inbox.decide("r2", "edit", "bob", value={"amount": 10})
        await app.work(AGENT, until_idle=True)

        judged, now = await app.journal.judged(JudgedFilter()), time.time()
        waiting = await app.journal.inbox(InboxFilter(), now)
        (by_tool,) = figures(judged, waiting, now, "tool")
        assert (by_tool.name, by_tool.asked, by_tool.open, by_tool.undecided) == ("refund", 4, 1, 1)
        assert (by_tool.weighed, by_tool.approved, by_tool.rejected, by_tool.edited) == (3, 1, 1, 1)
        assert (by_tool.overridden, by_tool.from_seen, by_tool.from_asked) == (2, 1, 2)
        assert sum(figure.open for figure in figures(judged, waiting, now)) == 1
        assert {figure.name: figure.overridden for figure in figures(judged, waiting, now, "person")} == {"ann": 1, "bob": 1}

        found = what_if(ABOVE_700, judged)
        assert (found.rows, found.proposed.asked, found.proposed.not_asked) == (4, 2, 2)
        assert (found.people.caught, found.people.let_through, found.people.let_through_amount, found.people.saved) == (
            1,
            1,
            650.0,
            1,
        )

        records = [record async for record in audit(app.journal)]
        assert verify_audit(records) == []
        said = [(line.run, line.who, line.decision) for line in records if isinstance(line, AuditLine) and line.who]
        assert said == [("r0", "ann", "approve"), ("r1", "ann", "reject"), ("r2", "bob", "edit")]
