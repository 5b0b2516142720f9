"""What goes to a model and comes from it, in sizes and shapes that nobody plans for; judges; runs within runs."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast import Agent, Call, Holdfast, Limits, Models, Price, judge, tool
from holdfast.core import events as e
from holdfast.core.models import Usage, cost
from holdfast.testing.models import ModelServer, ScriptedModel, asked, call, fail, latest, results, used

SOURCES = Path(__file__).resolve().parents[2] / "src"
PRICE = Price(input_usd=Decimal(3), output_usd=Decimal(15))
USAGE = Usage(input_tokens=1000, output_tokens=50, requests=1)
EACH = cost(PRICE, USAGE)
MB = 1 << 20


def priced(script: Any, name: str, **fields: Any) -> Models:
    """A scripted model that costs something, whatever it says."""

    def says(request: Any) -> Any:
        said = script(request) if callable(script) else script[asked(request)]
        return used(said, input_tokens=USAGE.input_tokens, output_tokens=USAGE.output_tokens)

    model = ScriptedModel(says, name=name)
    return Models(model, prices={model.name: PRICE}, output_tokens_max=200, retry={"attempts": 3, "backoff": "10ms"}, **fields)


def of(history: list[e.Entry], kind: type[Any]) -> list[Any]:
    return [entry.event for entry in history if isinstance(entry.event, kind)]


# --- large and odd results ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", ["16MB", "100KB"])
async def test_ten_megabytes_are_kept_once_shown_in_part_and_read_on(tmp_path: Path, kept: str) -> None:
    """The model sees the beginning, asks for a piece in the middle, and for one row by a query."""
    rows = [{"n": number, "text": "x" * 90} for number in range(100_000)]

    @tool(safety="read", result_max=kept, oversize="store")
    def export() -> list[dict[str, Any]]:
        """All rows."""
        return rows

    def reads(request: Any) -> Any:
        match asked(request):
            case 0:
                return call("export")
            case 1:
                return call("read_more", step="export_1", offset=5 * MB)
            case 2:
                return call("read_more", step="export_1", query="[?n == `99999`].n | [0]")
            case _:
                return latest(request)[0][1]

    model = ScriptedModel(reads)
    db = tmp_path / "runs.db"
    async with Holdfast(db) as app:
        run = await app.run(Agent("reader", model=model, tools=[export]), "Read", id="r")
        history = await app.history("r")
        state = await app.state("r")
    assert run.status == "completed", run.reason
    assert '"99999"' in run.result or "99999" in run.result
    piece = state.steps["read_more_2"].value
    assert piece["offset"] == 5 * MB and piece["more"] and len(piece["text"]) == 8_000 and '"text":"xxx' in piece["text"]
    assert piece["characters"] > 10_000_000
    if kept == "100KB":
        assert max(len(msgspec.json.encode(entry.event)) for entry in history) < 120_000, "no entry of the journal holds it"
    sizes = [sum(len(part.text) for message in request.messages for part in message.parts) for request in model.requests]
    assert max(sizes) < 100_000
    stored = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert stored < 2 * 12 * MB, f"{stored:,} bytes are stored of a result of 11 MB"


@pytest.mark.parametrize(
    "value",
    [
        "a lone surrogate \udc80",
        {"not a number": math.nan, "inf": [math.inf]},
        b"\xff\xfe\x00",
        "\x00\x1b[31m",
        {"big": 10**40},
    ],
    ids=["surrogate", "nan", "bytes", "control", "big"],
)
async def test_odd_values_reach_the_model_or_are_said_to_be_odd(tmp_path: Path, value: Any) -> None:
    """Whatever a tool returns: the run ends, and what the model is shown can be sent."""

    @tool(safety="read", retry=1)
    def odd():  # type: ignore[no-untyped-def]
        """Something odd."""
        return value

    model = ScriptedModel([call("odd"), "done"])
    async with Holdfast(tmp_path / "runs.db") as app:
        run = await app.run(Agent("odd", model=model, tools=[odd]), "Look", id="r")
    assert run.status == "completed", run.reason
    ((_, text),) = latest(model.requests[-1])
    assert text and text.encode()


@pytest.mark.parametrize("depth", [60, 500, 5_000, 100_000])
async def test_deep_results_do_not_take_the_worker_down(tmp_path: Path, depth: int) -> None:
    """A result like a tower is taken, or refused as one."""

    @tool(safety="read", retry=1)
    def tower() -> Any:
        """A tower."""
        built: Any = 1
        for _ in range(depth):
            built = [built]
        return built

    model = ScriptedModel([call("tower"), "done"])
    async with Holdfast(tmp_path / "runs.db") as app:
        run = await app.run(Agent("tower", model=model, tools=[tower]), "Look", id="r")
        assert run.status == "completed", run.reason
        await app.verify("r")


@pytest.mark.parametrize("name", ["anthropic:claude-sonnet-5", "openai:gpt-5"])
async def test_an_answer_of_ten_megabytes_is_an_answer(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts of it is bounded where it is written down, and the next request can be sent."""
    pytest.importorskip("pydantic_ai", reason="the provider library is not installed")

    @tool(safety="read")
    def note(text: str) -> int:
        """Note something."""
        return len(text)

    def says(request: Any) -> Any:
        match asked(request):
            case 0:
                return used(call("note", text="y" * (10 * MB)), input_tokens=1000, output_tokens=200)
            case _:
                return used("done", input_tokens=1000, output_tokens=50)

    with ModelServer(says) as server:
        for key, value in server.environment.items():
            monkeypatch.setenv(key, value)
        models = Models(name, prices={name: PRICE}, base_urls=server.base_urls)
        async with Holdfast(tmp_path / "runs.db") as app:
            run = await app.run(Agent("noter", model=models, tools=[note]), "Note", id="r")
            assert run.status == "completed", run.reason
            await app.verify("r")
        assert server.refusals == []
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 30 * MB


async def test_of_a_hundred_calls_in_one_answer_as_many_are_made_as_may_be(tmp_path: Path) -> None:
    """They run as parallel steps, no more at once than the run allows, and the model is told of each."""
    done: list[str] = []
    at_once = {"now": 0, "most": 0}

    @tool(safety="keyed", key_ttl="1h")
    async def effect(number: int, call: Call) -> int:
        """One effect."""
        at_once["now"] += 1
        at_once["most"] = max(at_once["most"], at_once["now"])
        done.append(call.key)
        at_once["now"] -= 1
        return number

    def says(request: Any) -> Any:
        return [call("effect", number=number) for number in range(100)] if not asked(request) else "done"

    model = ScriptedModel(says)
    agent = Agent("hundred", model=model, tools=[effect], limits=Limits(parallel_max=7))
    async with Holdfast(tmp_path / "runs.db") as app:
        run = await app.run(agent, "All of them", id="r")
        state = await app.state("r")
    assert run.status == "completed", run.reason
    taken = [part for part in state.turns[0].said if part.kind == "call" and part.step]
    refused = [part for part in state.turns[0].said if part.kind == "call" and part.problem]
    assert len(taken) >= 32 and len(taken) + len(refused) >= 64
    assert len(done) == len(set(done)) == len(taken) and at_once["most"] <= 7
    # It is shown what it said, whole, and why not all of it was taken: there is room for that.
    assert [message.role for message in model.requests[1].messages] == ["user", "assistant", "user"]
    assert len(results(model.requests[1])) == len(taken) + len(refused)
    assert all("more than" in part.problem for part in refused)


# --- judges -------------------------------------------------------------------------------------------------------


def verdicts(*given: tuple[bool, str]) -> Any:
    """A judge that says one after the other, by how many refused results it is shown. It costs like any model."""
    left = list(given)

    def says(request: Any) -> Any:
        accepted, reason = left.pop(0)
        return call("give_verdict", accepted=accepted, reason=reason)

    return says


async def test_a_judge_refuses_the_first_result_and_accepts_the_second(tmp_path: Path) -> None:
    """The reason goes back to the model; judge and model are paid out of one budget."""
    checked = judge("checked", model=priced(verdicts((False, "it says Rome"), (True, "")), "judge"), rubric="It says Oslo.")
    writer = priced(["It rained in Rome.", "It rained in Oslo."], "writer")
    limits = Limits(cost_usd_max=Decimal("5.00"))
    async with Holdfast(tmp_path / "runs.db") as app:
        run = await app.run(Agent("news", model=writer, accept=checked, limits=limits), "Where did it rain?", id="r")
        history, state = await app.history("r"), await app.state("r")
    assert (run.status, run.result) == ("completed", "It rained in Oslo.")
    assert [(event.accepted, event.by, event.reason) for event in of(history, e.FinishRuled)] == [
        (False, "checked", "it says Rome"),
        (True, "checked", ""),
    ]
    assert state.spent.cost_usd == 4 * EACH and state.spent.requests in (2, 4)
    assert state.spent.input_tokens == 4 * USAGE.input_tokens


@pytest.mark.parametrize("kind", ["unavailable", "denied", "transient", "rate_limited", "invalid_output", "too_expensive"])
async def test_a_judge_that_is_down_accepts_nothing(tmp_path: Path, kind: Any) -> None:
    """However it fails: no result counts, and the run ends, failed."""
    down = ScriptedModel(lambda request: fail(kind, retry_after=0.01), name="judge")
    checked = judge("checked", model=down, rubric="It is true.")
    checked.contract = _impatient(checked.contract)
    writer = ScriptedModel(lambda request: f"It is so {asked(request)}.", name="writer")
    async with Holdfast(tmp_path / "runs.db") as app:
        run = await app.run(Agent("news", model=writer, accept=checked), "Say it", id="r")
        history = await app.history("r")
    assert run.status == "failed" and "finishes_max" not in run.reason
    ruled = of(history, e.FinishRuled)
    assert ruled and not any(event.accepted for event in ruled)
    assert all("could not be checked" in event.reason for event in ruled)


def _impatient(contract: Any) -> Any:
    import msgspec

    from holdfast.core.contract import Retry

    return msgspec.structs.replace(contract, retry=Retry(attempts_max=2, backoff_seconds=0.01, backoff_seconds_max=0.02))


@pytest.mark.parametrize(
    "said",
    [
        "I accept this.",
        call("give_verdict", accepted="yes", reason=""),
        call("give_verdict", reason="fine"),
        call("give_verdict", accepted=1, reason="fine"),
        call("accept", accepted=True),
    ],
    ids=["words", "text", "nothing", "one", "other"],
)
async def test_what_is_no_verdict_accepts_nothing(tmp_path: Path, said: Any) -> None:
    """Words that sound like yes are none."""
    checked = judge("checked", model=ScriptedModel(lambda request: said, name="judge"), rubric="It is true.")
    checked.contract = _impatient(checked.contract)
    async with Holdfast(tmp_path / "runs.db") as app:
        agent = Agent("news", model=ScriptedModel(lambda request: "It is so.", name="writer"), accept=checked)
        run = await app.run(agent, "Say it", id="r")
    assert run.status == "failed"


# --- runs within runs ---------------------------------------------------------------------------------------------


def child_agent(spent: list[str], **fields: Any) -> Agent:
    """An agent that thinks four times."""

    @tool(safety="keyed", key_ttl="1h", cost="0.01")
    def work(number: int, call: Call) -> int:
        """Work."""
        spent.append(call.key)
        return number

    def thinks(request: Any) -> Any:
        return call("work", number=place) if (place := asked(request)) < 3 else "worked"

    return Agent("child", model=priced(thinks, "child"), tools=[work], goal="Work", **fields)


async def test_children_get_a_share_of_the_budget_and_report_what_they_spent(tmp_path: Path) -> None:
    """What parent and children spend is one sum, within one limit."""
    spent: list[str] = []
    child = child_agent(spent)

    def leads(request: Any) -> Any:
        return [call("child", goal=f"part {number}") for number in range(2)] if not asked(request) else "led"

    parent = Agent("parent", model=priced(leads, "parent"), agents=[child], limits=Limits(cost_usd_max=Decimal("2.00")))
    async with Holdfast(tmp_path / "runs.db") as app:
        run = await app.run(parent, "Lead", id="p")
        state = await app.state("p")
        children = [await app.state(child.run_id) for child in await app.children("p")]
        history = await app.history("p")
    assert run.status == "completed", run.reason
    assert [child.ended for child in children] == ["completed"] * 2
    granted = [event.granted.cost_usd_max for event in of(history, e.CallIntended)]
    assert all(amount is not None and amount < Decimal("2.00") for amount in granted)
    assert sum(granted, Decimal(0)) <= Decimal("2.00")
    assert [child.limits.cost_usd_max for child in children] == granted
    each = 4 * EACH + 3 * Decimal("0.01")
    assert [child.spent.cost_usd for child in children] == [each, each]
    assert state.spent.cost_usd == 2 * EACH + 2 * each
    assert not state.reserved


async def test_children_stop_at_their_share_and_the_sum_stays_within_the_limit(tmp_path: Path) -> None:
    """A limit that does not reach for all: some end early, and the parent says so."""
    spent: list[str] = []
    child = child_agent(spent)

    def leads(request: Any) -> Any:
        return [call("child", goal=f"part {number}") for number in range(4)] if not asked(request) else "led"

    limit = Decimal("0.30")
    parent = Agent("parent", model=priced(leads, "parent"), agents=[child], limits=Limits(cost_usd_max=limit))
    async with Holdfast(tmp_path / "runs.db") as app:
        run = await app.run(parent, "Lead", id="p")
        state = await app.state("p")
        children = [await app.state(child.run_id) for child in await app.children("p")]
    assert run.ended
    assert {child.ended for child in children} >= {"failed"}
    for each in children:
        assert each.limits.cost_usd_max is not None and each.spent.cost_usd <= each.limits.cost_usd_max
    own = EACH * len(state.turns)
    assert sum((child.spent.cost_usd for child in children), own) == state.spent.cost_usd <= limit


async def test_a_cancelled_parent_takes_its_thinking_children_with_it(tmp_path: Path) -> None:
    """The child is being asked something by its model when the parent is cancelled; nothing of it begins any more."""

    def asks(request: Any) -> Any:
        return call("ask_person", questions=[{"name": "city", "question": "Which city?"}]) if not asked(request) else "done"

    child = Agent("child", model=ScriptedModel(asks, name="child"), goal="Work")
    parent = Agent("parent", model=ScriptedModel([call("child"), "led"], name="parent"), agents=[child])
    async with Holdfast(tmp_path / "runs.db") as app:
        run = await app.run(parent, "Lead", id="p", patience_seconds=0.5)
        (row,) = await app.children("p")
        assert (await app.show(row.run_id)).status == "blocked"
        await app.cancel("p", by="ann", reason="enough")
        run = await app.run(parent, id="p", patience_seconds=5.0)
        assert run.status == "cancelled"
        await app.work(parent, until_idle=True)
        child_run = await app.show(row.run_id)
    assert child_run.status == "cancelled" and "p" in child_run.reason + (await _why(tmp_path, row.run_id))


async def _why(tmp_path: Path, run_id: str) -> str:
    async with Holdfast(tmp_path / "runs.db") as app:
        (event,) = of(await app.history(run_id), e.RunCancelled)
    return f"{event.by} {event.reason}"


# --- without the library ------------------------------------------------------------------------------------------

BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pydantic_ai", "genai_prices", "anthropic", "openai"):
            raise ImportError(f"no module named {name!r} is installed here", name=name)
sys.meta_path.insert(0, Blocked())
"""
AGENT = """
from decimal import Decimal
from holdfast import Agent, Models, Price
PRICE = Price(input_usd=Decimal(3), output_usd=Decimal(15))
agent = Agent("a", model=Models("anthropic:claude-sonnet-5", prices={"anthropic:claude-sonnet-5": PRICE}))
unpriced = Agent("b", model="anthropic:claude-sonnet-5")
"""


def python(tmp_path: Path, code: str) -> subprocess.CompletedProcess[str]:
    """A Python of its own that runs this code."""
    (tmp_path / "desk.py").write_text(AGENT)
    environment = {**os.environ, "PYTHONPATH": f"{SOURCES}:{tmp_path}"}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )


def test_nothing_of_the_library_is_imported_before_a_model_is_asked(tmp_path: Path) -> None:
    """Not by the package, nor by an agent with a model whose price is given."""
    heavy = "('pydantic_ai', 'genai_prices', 'anthropic', 'openai')"
    code = f"import sys, holdfast\nimport desk\nprint([name for name in {heavy} if name in sys.modules])"
    done = python(tmp_path, code)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.parametrize(("agent", "code"), [("agent", 3), ("unpriced", 2)])
def test_without_the_extra_it_is_said_what_to_install(tmp_path: Path, agent: str, code: int) -> None:
    """No trace of a stack, and an exit code that says who is to act: who started it wrongly, or a person who can install it."""
    words = ["holdfast", "run", f"desk.py:{agent}", "go", "--id", "r", "--db", "runs.db"]
    done = python(tmp_path, f"{BLOCKED}\nsys.argv = {words!r}\nfrom holdfast.cli.main import main\nsys.exit(main())")
    said = done.stdout + done.stderr
    assert "pip install 'holdfast[models]'" in said, said
    assert "Traceback" not in said
    assert done.returncode == code, said
