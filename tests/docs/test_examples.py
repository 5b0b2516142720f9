"""The examples also do what they say with the clients of real providers, over a socket; the pages run them with their scripts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from holdfast.loading import agent_of
from holdfast.testing.models import ModelServer, call

ROOT = Path(__file__).resolve().parents[2]
FLIGHT = ROOT / "examples" / "flight.py"


def holdfast(folder: Path, server: ModelServer, *words: str) -> subprocess.CompletedProcess[str]:
    """A command as somebody would type it, with the variables of the providers' clients set."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    environment |= {"PYTHONPATH": str(ROOT / "src"), "LC_ALL": "C.UTF-8", **server.environment}
    command = [sys.executable, "-P", "-m", "holdfast", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=120)


@pytest.mark.parametrize("model", ["anthropic:claude-sonnet-5", "openai:gpt-5"])
def test_the_flight_is_booked_by_a_real_client_after_two_answers(model: str, tmp_path: Path) -> None:
    """The guess is confirmed, the call approved, the flight booked once, and what it cost is within the limit."""
    script = _script_of(FLIGHT)
    with ModelServer(script) as server:
        for _ in range(2):
            asked = holdfast(tmp_path, server, "run", str(FLIGHT), "--id", "new-york", "--model", model, "--quiet")
            assert asked.returncode == 3, asked.stderr
            assert holdfast(tmp_path, server, "answer", "new-york", "approve", "--by", "ann").returncode == 0
        done = holdfast(tmp_path, server, "run", str(FLIGHT), "--id", "new-york", "--model", model, "--json", "--quiet")
        assert done.returncode == 0, done.stderr
        shown = json.loads(holdfast(tmp_path, server, "show", "new-york", "--json").stdout)
        assert server.refusals == []
    assert server.hits == {"answered": 4}
    assert shown["run"]["result"] == "You fly with B6 915 at 20:10."
    assert 0 < Decimal(shown["run"]["spent"]["cost_usd"]) <= Decimal("0.50")
    assert [step["id"] for step in shown["steps"]] == ["calendar_2", "look_up_2", "book_3"]


def test_the_first_model_of_the_readme_works_as_it_stands(tmp_path: Path) -> None:
    """Five lines, over the client of the vendor; the second time nothing is asked and nothing is done."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = (found for found in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if 'Agent("desk"' in found)
    assert len([line for line in block.splitlines() if line.strip()]) <= 5
    (tmp_path / "desk.py").write_text(block, encoding="utf-8")
    tools = (ROOT / "examples" / "refunds.py").read_text(encoding="utf-8").replace("time.sleep(5)", "time.sleep(0)")
    (tmp_path / "refunds.py").write_text(tools, encoding="utf-8")
    with ModelServer([call("refund", order=7, amount=80), "Order 7 is refunded: receipt R-7."]) as server:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **server.environment}
        for _ in range(2):
            command = [sys.executable, "desk.py"]
            done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=120)
            assert done.stdout == "Order 7 is refunded: receipt R-7.\n", done.stderr
        assert (server.hits, server.refusals) == ({"answered": 2}, [])
    assert (tmp_path / "bank.txt").read_text().count("order 7") == 1


def _script_of(example: Path) -> Any:
    """What the example's own model says."""
    agent = agent_of(str(example))
    assert agent.mind is not None
    (model,) = agent.mind.models.models.values()
    return model
