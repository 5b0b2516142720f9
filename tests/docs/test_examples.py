"""The examples also do what they say with the clients of real providers, over a socket; the pages run them with their scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from holdfast.loading import agent_of
from holdfast.testing.models import ModelServer

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


def _script_of(example: Path) -> Any:
    """What the example's own model says."""
    agent = agent_of(str(example))
    assert agent.mind is not None
    (model,) = agent.mind.models.models.values()
    return model
