"""What a store lists of a question whose arguments are long: not the values themselves, which the journal has."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from holdfast import Agent, Holdfast, Plan, Step, tool
from holdfast.core.policy import Policy, Rule
from holdfast.core.state import result_of
from holdfast.errors import UsageError
from holdfast.journal.people import JudgedFilter, StandingApproval, is_cut

VALUE_BYTES = 5_000_000


@tool(safety="irreversible")
async def publish(amount: float, text: str, meta: dict[str, str]) -> str:
    """Put a text where everybody sees it."""
    return f"{len(text)} characters for {amount}, {meta['to']}"


AGENT = Agent(
    "press", tools=[publish],
    plan=Plan(steps=(Step(id="out", tool="publish", args={
        "amount": {"$ref": "inputs.amount"}, "text": {"$ref": "inputs.text"}, "meta": {"to": "all"},
    }),)),
    policy=Policy(name="press", rules=(Rule(name="dear", when="amount > 500"), Rule(name="rest", then="never"))),
)  # fmt: skip


def stored_bytes(path: Path) -> int:
    """Of a store and what is on its way into it."""
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))


async def work(app: Holdfast, text: str, amount: float = 900) -> None:
    """A run that asks, or is done."""
    await app.start(AGENT, id="r", inputs={"amount": amount, "text": text})
    await app.work(AGENT, until_idle=True)


@pytest.fixture(scope="module")
def text() -> str:
    """A text that cannot be packed much."""
    return base64.b85encode(os.urandom(VALUE_BYTES * 4 // 5)).decode()


async def test_a_long_argument_of_a_question_is_in_the_store_once(tmp_path: Path, text: str) -> None:
    """The list says how long it is; who looks at the question sees it whole, and the call gets it whole."""
    path = tmp_path / "runs.db"
    async with Holdfast(path) as app:
        await work(app, text)
        (row,) = await app.inbox.list()
        assert row.args == {"amount": 900, "text": {"cut": VALUE_BYTES + 2}, "meta": {"to": "all"}}
        assert is_cut(row.args["text"])
        assert (await app.inbox.show("r")).args["text"] == text
        assert stored_bytes(path) < 2 * VALUE_BYTES
        await app.inbox.decide("r", "edit", "ann", value={"amount": 700})
        await app.work(AGENT, until_idle=True)
        assert result_of(await app.state("r"), "out") == f"{VALUE_BYTES} characters for 700.0, all"
        (ruling,) = await app.journal.judged(JudgedFilter())
        assert ruling.edited == {"amount": 700, "text": {"cut": VALUE_BYTES + 2}, "meta": {"to": "all"}}


@pytest.mark.parametrize("amount", [900, 400])
async def test_another_policy_is_tried_on_what_is_short(tmp_path: Path, text: str, amount: float) -> None:
    """Of a call that was asked about as of one that was not: arguments and inputs beside the long one are there."""
    path = tmp_path / "runs.db"
    async with Holdfast(path) as app:
        await work(app, text, amount)
        (ruling,) = await app.journal.judged(JudgedFilter())
        assert ruling.asked == (amount == 900)
        for part in ("args", "inputs"):
            assert ruling.document[part]["text"] == {"cut": VALUE_BYTES + 2}
        other = Policy(
            name="press",
            rules=(Rule(name="all", when=f"args.meta.to == 'all' && inputs.amount == {amount} && args.amount == {amount}"),),
        )
        found = await app.judgement.what_if(other)
        assert (found.rows, found.proposed.asked, found.proposed.unmatched) == (1, 1, 0)
    assert stored_bytes(path) < 2 * VALUE_BYTES


async def test_an_approval_in_advance_is_not_for_what_is_cut(tmp_path: Path, text: str) -> None:
    """Neither the long value nor what the list has in place of it is taken for the argument that was named."""
    async with Holdfast(tmp_path / "runs.db") as app:
        await work(app, text)
        (row,) = await app.inbox.list()
        with pytest.raises(UsageError, match="too long to be compared"):
            await app.inbox.allow("publish", "ann", until="7d", args={"text": text})
        for number, named in enumerate(({"text": text}, row.args, {"text": row.args["text"]})):
            given = StandingApproval(id=f"y{number}", tool="publish", by="ann", at=0.0, until=9e9, args=named)
            await app.journal.grant(given)
        await app.start(AGENT, id="s", inputs={"amount": 900, "text": text})
        await app.work(AGENT, until_idle=True)
        assert await app.inbox.count() == 2
        await app.inbox.allow("publish", "ann", until="7d", args={"meta": {"to": "all"}})
        assert (await app.inbox.count(), await app.inbox.count(answered=True)) == (0, 2)
