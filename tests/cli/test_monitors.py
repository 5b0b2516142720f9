"""`holdfast monitors`: what is shown, how it exits, and whom it tells."""

from __future__ import annotations

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from holdfast.journal.sqlite import SqliteJournal
from holdfast.runner.clock import SystemClock
from tests.cli.kit import Cli
from tests.monitors.stored import ended

DAY = 86_400.0


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A run of today with nothing in its result, one that is well, and one of last week."""
    path = tmp_path / "holdfast.db"

    async def fill() -> None:
        journal = SqliteJournal(path)
        await journal.open()
        now = SystemClock().now()
        await ended(journal, "order-7", now - 3600, result=[])
        await ended(journal, "order-8", now - 3000, agent="other\x1b[31m", result={"total": 3})
        await ended(journal, "order-1", now - 6 * DAY)
        await journal.close()

    asyncio.run(fill())
    return path


def test_what_is_found_is_shown_with_its_evidence(cli: Cli, store: Path) -> None:
    """The level, the monitor, what it is about, where it can be seen, and the command that shows it; broken exits with 1."""
    left = cli("monitors")
    assert left.code == 1
    assert left.out.splitlines() == [
        "broken   empty_result  order-7",
        "  it completed with an empty result; of 1 earlier runs of invoices 0 did",
        "    order-7 #9  the result is empty",
        "    holdfast show order-7",
    ]
    assert "1 broken, 0 warnings; 3 runs looked at since" in left.err
    assert "too little is known yet for" in left.err and "\x1b" not in left.err


def test_for_machines_each_line_is_an_object(cli: Cli, store: Path) -> None:
    """Findings, what cannot be judged yet, and what was looked at."""
    left = cli("monitors", "--json", "--fail-on", "never")
    kinds = [next(iter(record)) for record in left.records]
    assert left.code == 0 and kinds[0] == "finding" and kinds[-1] == "looked" and "unjudged" in kinds
    found = left.records[0]["finding"]
    assert (found["monitor"], found["run"], found["evidence"]) == (
        "empty_result", "order-7", [{"what": "the result is empty", "run": "order-7", "entry": 9}],
    )  # fmt: skip
    assert left.records[-1]["looked"]["runs"] == 3


def test_the_window_the_agent_and_the_limit_can_be_given(cli: Cli, store: Path) -> None:
    """What is not of them is not looked at, and a cut is said."""
    quiet = cli("monitors", "--since", "30m")
    assert (quiet.code, quiet.out) == (0, "") and "nothing found" in quiet.err
    assert cli("monitors", "--agent", "nobody").out == ""
    cut = cli("monitors", "--limit", "2")
    assert "of 3 runs only 2 were read; --limit 3 reads all" in cut.err
    for wrong in (("--since", "tomorrow"), ("--since", "2099-01-01T00:00Z"), ("--limit", "0"), ("--fail-on", "all")):
        assert cli("monitors", *wrong).code == 2


def test_settings_change_what_is_found(cli: Cli, store: Path, tmp_path: Path) -> None:
    """A check of one's own, a monitor that is off, and every mistake in words."""
    file = tmp_path / "monitors.yaml"
    file.write_text('off: [empty_result]\nagents:\n  "other\\e[31m": {check: result.total > 5}\n')
    left = cli("monitors", "--settings", str(file))
    assert left.code == 1 and "the check 'result.total > 5' does not hold" in left.out and "empty_result" not in left.out
    file.write_text("off: [empty]\nwindow: soon\n")
    wrong = cli("monitors", "--settings", str(file))
    assert wrong.code == 2 and "has 2 problems" in wrong.err


def test_they_explain_themselves(cli: Cli, tmp_path: Path) -> None:
    """Without a store; with the thresholds in force."""
    file = tmp_path / "monitors.yaml"
    file.write_text("off: tool_cost_drift\nagents: {invoices: {check: result.total > 0, skipped_too_much: {share: 50%}}}\n")
    page = cli("monitors", "--explain", "--settings", str(file), "--agent", "invoices").out
    assert "tool_cost_drift  (off)" in page and "check of invoices: result.total > 0" in page
    assert "    share     50%  of the steps of its plan" in page
    records = cli("monitors", "--explain", "--json").records
    assert len(records) == 11 and records[0]["thresholds"]["share"] == 0.2


def test_a_warning_fails_where_it_is_to(cli: Cli, tmp_path: Path) -> None:
    """Otherwise only what is broken does."""

    async def fill() -> None:
        journal = SqliteJournal(tmp_path / "holdfast.db")
        await journal.open()
        now = SystemClock().now()
        for number in range(25):
            await ended(journal, f"r{number}", now - 3 * DAY, result={"a": "x" * 300, "b": 1}, steps=1)
        await ended(journal, "thin", now - 60, result={"a": "x", "b": 1}, steps=1)
        await journal.close()

    asyncio.run(fill())
    assert cli("monitors").code == 0
    left = cli("monitors", "--fail-on", "warning")
    assert left.code == 1 and left.out.startswith("warning  empty_result  thin")


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.heard.append(json.loads(body))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Says nothing."""


def test_channels_are_told_once(cli: Cli, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A webhook hears of a finding the first time, and not the second."""
    server = HTTPServer(("127.0.0.1", 0), _Hook)
    server.heard = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        monkeypatch.setenv("HOLDFAST_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/hook")
        monkeypatch.setenv("HOLDFAST_WEBHOOK_SECRET", "s" * 32)
        for _ in range(2):
            assert "told webhook" in cli("monitors", "--notify").err
        (heard,) = server.heard  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert (heard["id"], heard["what"], heard["run_id"]) == ("monitor/empty_result/order-7", "found", "order-7")
    assert heard["body"]["monitor"] == "empty_result"


def test_without_a_channel_a_worker_tells_it(cli: Cli, store: Path) -> None:
    """It is kept until one comes."""
    assert "a worker that has one tells it" in cli("monitors", "--notify").err
