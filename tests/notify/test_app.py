"""Runs that ask, fail and are advanced while people are told: a real store, real servers, the whole way."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast import Agent, Conflict, Holdfast, loading, tool
from holdfast.journal.people import Person, Sent
from holdfast.notify.mail import Mail
from holdfast.notify.webhook import Webhook, verify_webhook
from tests.notify.kit import SECRET, mailing, receiving, until

PASSWORD, PIN = "hunter2-and-more", "PIN-4711"


@tool(safety="idempotent", approve="always")
def refund(order: str, amount: float, pin: str = "", password: str = "") -> str:
    """Refund an order."""
    return "refunded"


@tool(safety="idempotent", retry=1)
def sold_out(pin: str = "") -> str:
    """Never works, and is careless with what it was given."""
    raise Conflict(f"sold out\r\nBcc: all@example.org {pin}")


def agent(**args: object) -> Agent:
    """One that asks before its only step."""
    step = {"tool": "refund", "args": {"order": "7", "amount": 812.5, **args}}
    return Agent("clerk", tools=[refund, sold_out], plan={"refund_1": step}, secrets=("pin",))


async def test_what_is_asked_arrives_by_mail_and_webhook_without_the_secrets_of_the_run(tmp_path: Path) -> None:
    """What is kept out of the journal by its name is kept out of what is told."""
    with mailing() as mails, receiving() as hooks:
        mail = Mail("127.0.0.1", mails.port, sender="hf@example.org", security="none")
        secrets = {"PIN": PIN, "PASSWORD": PASSWORD}.get
        async with Holdfast(tmp_path / "r.db", secrets=secrets, notify=[mail, Webhook(hooks.url, SECRET)]) as app:
            await app.journal.put_person(Person(name="ann", mail="ann@example.org"))
            clerk = agent(pin={"$secret": "PIN"}, password={"$secret": "PASSWORD"})
            run = await app.run(clerk, "Refund\r\nBcc: all@example.org order 7", id="order-7", inputs={"pin": PIN})
            assert run.status == "blocked"
            await until(lambda: mails.came and hooks.came)
            seller = Agent("seller", tools=[sold_out], plan={"s": {"tool": "sold_out", "args": {"pin": {"$secret": "PIN"}}}})
            assert (await app.run(seller, "Sell", id="sale-1")).status == "failed"
            await until(lambda: len(mails.came) == 2 and len(hooks.came) == 2)
        assert "sold out" in str(mails.came[1][1]["Subject"])
        headers, body = hooks.came[0]
        said = verify_webhook(headers, body, SECRET, now=time.time())
    recipients, message = mails.came[0]
    told = [*mails.raw, *(one.get_content().encode() for _, one in mails.came), *(body for _, body in hooks.came)]
    assert recipients == ["ann@example.org"] and sorted(said["body"]["args"]) == ["amount", "order", "password", "pin"]
    assert (said["what"], said["run_id"], [one["name"] for one in said["to"]]) == ("asked", "order-7", ["ann"])
    assert "order-7 asks" in str(message["Subject"]) and "holdfast answer order-7" in message.get_content()
    assert not any(secret.encode() in whole for secret in (PASSWORD, PIN) for whole in told)
    assert [one["Bcc"] for _, one in mails.came] == [None, None]


async def test_a_webhook_that_hangs_delays_neither_the_run_nor_the_mail(tmp_path: Path) -> None:
    """It is waited for only when all is closed, and then not for long."""
    with mailing() as mails, receiving() as hooks:
        hooks.gate.clear()
        mail = Mail("127.0.0.1", mails.port, sender="hf@example.org", to=["desk@example.org"], security="none")
        async with Holdfast(tmp_path / "r.db", notify=[Webhook(hooks.url, SECRET, timeout_seconds=30), mail]) as app:
            async with asyncio.timeout(10):
                assert (await app.run(agent(), "Refund", id="order-7")).status == "blocked"
                await until(lambda: hooks.came and mails.came)
                await app.answer("order-7", "approve", by="ann")
                assert (await app.run(agent(), id="order-7")).status == "completed"
            hooks.gate.set()
        [sent] = [one for one in await notices(tmp_path / "r.db") if one.channel == "webhook"]
    assert sent.sent_at is not None


async def test_a_command_that_ends_at_once_has_told_it(tmp_path: Path) -> None:
    """And one without channels leaves it to whoever has some."""
    async with Holdfast(tmp_path / "r.db") as app:
        await app.run(agent(), "Refund", id="order-7")
        await app.run(Agent("seller", tools=[sold_out], plan={"s": {"tool": "sold_out"}}), "Sell", id="sale-1")
    assert {one.channel for one in await notices(tmp_path / "r.db")} == {""}
    with receiving() as hooks:
        async with Holdfast(tmp_path / "r.db", notify=[Webhook(hooks.url, SECRET)]) as app:
            await app.run(agent(), id="order-7")
        assert sorted(json.loads(body)["what"] for _, body in hooks.came) == ["asked", "failed"]
        async with Holdfast(tmp_path / "r.db", notify=[Webhook(hooks.url, SECRET)]) as app:
            await app.run(agent(), id="order-7")
        assert len(hooks.came) == 2


async def notices(path: Path) -> list[Sent]:
    """What was to be told, and what became of it."""
    async with Holdfast(path) as app:
        return list(await app.journal.notices())


AGENT = '''
from holdfast import Agent, tool

@tool(safety="idempotent", approve="always")
def refund(order: str) -> str:
    """Refund."""
    return "refunded"

clerk = Agent("clerk", goal="Refund", tools=[refund], plan={"refund_1": {"tool": "refund", "args": {"order": "7"}}})
'''


@pytest.mark.parametrize("words", [["run", "clerk.py", "--id", "order-7"], ["work", "clerk.py", "--until-idle"]])
async def test_the_commands_that_advance_runs_tell_people(tmp_path: Path, words: list[str]) -> None:
    """By what the environment names; where that cannot be they refuse to begin."""
    (tmp_path / "clerk.py").write_text(AGENT, encoding="utf-8")
    if words[0] == "work":
        async with Holdfast(tmp_path / "holdfast.db") as app:
            await app.start(loading.agent_of(str(tmp_path / "clerk.py")), id="order-7")

    def holdfast(**environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "holdfast", *words]
        whole = {**os.environ, **environment}
        return subprocess.run(command, cwd=tmp_path, env=whole, capture_output=True, text=True, timeout=60)

    with receiving() as hooks:
        refused = await asyncio.to_thread(holdfast, HOLDFAST_WEBHOOK_URL=hooks.url)
        assert (refused.returncode, hooks.came) == (2, []) and "HOLDFAST_WEBHOOK_SECRET" in refused.stderr
        await asyncio.to_thread(holdfast, HOLDFAST_WEBHOOK_URL=hooks.url, HOLDFAST_WEBHOOK_SECRET=SECRET)
        [(headers, _)] = hooks.came
    assert headers["webhook-id"].startswith("order-7/") and headers["webhook-id"].endswith("/asked/1")
