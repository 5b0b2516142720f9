"""`metrics`, and the flags of working commands that say where telemetry goes."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.cli.kit import Cli, Process


def test_metrics_prints_what_a_parser_of_others_reads(cli: Cli) -> None:
    """From the rows of the store alone; with --json an object for each figure."""
    cli("run", "pay.yaml", "--id", "p")
    cli("run", "quick.yaml", "--id", "q")
    told = cli("metrics")
    assert told.code == 0, told
    families = {family.name: family for family in text_string_to_metric_families(told.out)}
    runs = {sample.labels["holdfast_status"]: sample.value for sample in families["holdfast_runs"].samples}
    assert runs == {"running": 0, "waiting": 0, "blocked": 1, "completed": 1, "failed": 0, "cancelled": 0}
    assert families["holdfast_interrupt_oldest_seconds"].samples[0].value > 0
    records = cli("metrics", "--json").records
    assert {"name": "holdfast.runs", "unit": "{run}", "labels": {"holdfast.status": "blocked"}, "value": 1} in records


def test_metrics_of_no_store_is_wrong(cli: Cli) -> None:
    """And makes none."""
    assert cli("metrics", "--db", "none.db").code == 2
    assert not Path("none.db").exists()


def test_a_run_is_logged_as_it_was_asked_for(cli: Cli) -> None:
    """On stderr; the result alone is on stdout. Without the flag nothing is logged."""
    told = cli("run", "grant.yaml", "--id", "g", "--input", "name=ann", "-q", "--log-format", "json", "--log-level", "debug")
    lines = [json.loads(line) for line in told.err.splitlines() if line.startswith("{")]
    assert [line["step"] for line in lines if line["event"] == "call_succeeded"] == ["who", "access"]
    assert lines[-1]["event"] == "run_completed" and told.out.startswith("g  completed")
    plain = cli("run", "fails.yaml", "--id", "f", "-q", "--log-format", "text")
    assert re.search(r"warning call_failed run=f .*step=bad attempt=1 tool=refuse error=conflict", plain.err), plain
    assert "sold out" not in "\n".join(line for line in plain.err.splitlines() if "call_failed" in line)
    assert "run=h" not in cli("run", "quick.yaml", "--id", "h").err


def test_settings_that_cannot_be_end_the_command_before_anything_runs(cli: Cli, folder: Path) -> None:
    """With what to do."""
    told = cli("work", "quick.yaml", "--until-idle", "--metrics-listen", "nowhere")
    assert (told.code, "127.0.0.1:9464" in told.err) == (2, True)
    assert not (folder / "holdfast.db").exists()


def test_a_worker_serves_its_numbers_while_it_works(process: Callable[..., Process], cli: Cli) -> None:
    """What it did, and how the store is; it stops when the worker does."""
    cli("run", "pay.yaml", "--id", "p")
    worker = process("work", "quick.yaml", "pay.yaml", "--metrics-listen", "127.0.0.1:0")
    worker.until(lambda: "/metrics" in worker.said)
    address = re.search(r"http://127\.0\.0\.1:\d+", worker.said)
    assert address is not None

    def scraped() -> str:
        with urllib.request.urlopen(f"{address[0]}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    cli("answer", "p", "approve", "--by", "ann")
    worker.until(lambda: 'holdfast_attempts_total{gen_ai_tool_name="pay",holdfast_outcome="ok"} 1' in scraped())
    assert 'holdfast_runs{holdfast_status="blocked"}' in scraped()
    assert worker.send("SIGTERM").end().code == 0
