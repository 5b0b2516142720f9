"""What the agents of the labs ask, and what `--model` may name; real providers are played by a server on loopback."""

import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from holdfast.core.models import Part, cost
from holdfast.errors import UsageError
from holdfast.labs.http_call import WORLD
from holdfast.labs.reasoning import MODEL, PRICE, Charged, came, in_words, model_of, models
from holdfast.labs.registry import LABS, WITH_MODEL
from holdfast.labs.services import start_services
from holdfast.labs.weekend.agents import planner
from holdfast.models import Models
from holdfast.reasoners.model import Message, ModelFailure, Request
from holdfast.testing.models import ModelServer, ScriptedModel, call

SOURCES = Path(__file__).resolve().parents[2] / "src"
KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY")
REQUEST = Request(model="scripted:x", system="s", messages=(Message(role="user", parts=(Part(kind="text", text="go"),)),))


def run_lab(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if name not in KEYS}
    path = os.pathsep.join(filter(None, (environment.pop("first", ""), str(SOURCES))))
    command = [sys.executable, "-P", "-m", "holdfast", "lab", *words]
    return subprocess.run(
        command, env={**known, "PYTHONPATH": path, **environment}, capture_output=True, text=True, timeout=120, check=False
    )


# --- scripts ------------------------------------------------------------------------------------------------------


async def test_an_answer_of_a_script_is_charged_before_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the price list that the run reckons with, to the last place."""
    monkeypatch.setenv(WORLD, str(tmp_path))
    with start_services("runaway", tmp_path) as services:
        answer = await Charged(ScriptedModel([call("look")], name="x")).answer(REQUEST)
        (row,) = services.ledger()
    assert (row["service"], row["action"], row["subject"]) == ("models", "charged", "scripted:x")
    assert Decimal(row["detail"]["usd"]) == cost(PRICE, answer.usage) > 0


async def test_a_provider_that_is_not_there_is_a_failure_of_the_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a real one; nothing is charged."""
    monkeypatch.setenv(WORLD, str(tmp_path))
    with pytest.raises(ModelFailure) as failed:
        await Charged(ScriptedModel(["hello"], name="x")).answer(REQUEST)
    assert (failed.value.kind, failed.value.charged) == ("unavailable", False)


def test_scripts_think_unless_a_model_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """And say by their name that they are scripts."""
    monkeypatch.delenv(MODEL, raising=False)
    assert list(models(["hello"], name="x").models) == ["scripted:x"]
    monkeypatch.setenv(MODEL, "anthropic:claude-sonnet-4-5")
    assert list(models(["hello"], name="x").models) == ["anthropic:claude-sonnet-4-5"]
    assert isinstance(models(["hello"], name="x"), Models)
    assert (in_words(None), in_words("openai:gpt-5")) == ("scripted model", "openai:gpt-5")


def test_a_script_hears_the_results_of_its_plan() -> None:
    """Those that came whole; other lines that look like it are none."""
    lines = ['- {"step":"a","result":{"n":1}}', '- {"step":"b","status":"failed"}', '- fact = {"x": 1}', "Left: 3 turns"]
    request = Request(model="m", system="", messages=(Message(role="user", parts=(Part(kind="text", text="\n".join(lines)),)),))
    assert came(request) == {"a": {"n": 1}}


# --- models -------------------------------------------------------------------------------------------------------


def test_the_labs_that_ask_models_are_labs() -> None:
    """The list of those with `--model` names no others."""
    assert LABS.keys() >= WITH_MODEL


def test_scripted_is_the_name_of_no_model() -> None:
    """It says that scripts are to think."""
    assert model_of("scripted") is None and model_of(None) is None


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("claude", "'claude' names no model"),
        ("anthropic:no-such-model", "no price is known for anthropic:no-such-model"),
        ("anthropic:claude-sonnet-4-5", "ANTHROPIC_API_KEY"),
        ("openai:gpt-5", "OPENAI_API_KEY"),
    ],
)
def test_a_model_that_cannot_be_asked_here_is_refused(name: str, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is missing, and how to do without."""
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
    with pytest.raises(UsageError, match=re.escape(complaint)):
        model_of(name)


def test_without_a_key_the_lab_says_so_before_anything_starts() -> None:
    """Exit code 2, one sentence, and what can be done."""
    refused = run_lab("runaway", "--model", "anthropic:claude-sonnet-4-5")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "ANTHROPIC_API_KEY" in refused.stderr and "--model scripted" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_without_the_provider_library_the_lab_says_what_to_install(tmp_path: Path) -> None:
    """And the scripts need it not at all."""
    (tmp_path / "pydantic_ai.py").write_text("raise ImportError('not installed')", encoding="utf-8")
    refused = run_lab("weekend", "--model", "anthropic:claude-sonnet-4-5", first=str(tmp_path))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "pip install 'holdfast[models]'" in refused.stderr
    done = run_lab("weekend", "--model", "scripted", first=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_lab_in_which_nobody_thinks_takes_no_model() -> None:
    """It says which do."""
    refused = run_lab("payment", "--model", "scripted")
    assert refused.returncode == 2
    assert "no model is asked in the lab payment" in refused.stderr
    assert ", ".join(sorted(WITH_MODEL)) in refused.stderr


@pytest.mark.parametrize("name", ["anthropic:claude-sonnet-4-5", "openai:gpt-5"])
def test_a_model_of_a_provider_plans_the_weekend(name: str, tmp_path: Path) -> None:
    """Over a socket, by the real client library; the page has its name, and what it cost is counted by its price."""
    with ModelServer(planner) as server:
        done = run_lab("weekend", "--model", name, "--dir", str(tmp_path / "lab"), **server.environment)
        assert server.refusals == []
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"{name}, seed 7$", done.stdout, re.MULTILINE)
    assert "A weekend in Gent: by train" in done.stdout
    assert re.search(r"the run counted \$0\.\d+ of \$1\.00", done.stdout)
    assert "scripted" not in done.stdout
