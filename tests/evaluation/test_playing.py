"""One run of a case: time, people, worlds of one's own, tools without a stand-in, and what is written down of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from holdfast import Agent, Holdfast, Policy, Rule, Secret, tool
from holdfast.errors import DefinitionError
from holdfast.evaluation import casefile
from holdfast.evaluation.world import Effect, Setting, equipped
from holdfast.testing.clock import JumpingLoop
from holdfast.testing.models import ScriptedModel, call, called, fault, tries
from tests.evaluation.kit import PLAN, buy, evaluated, played, price, shopper, suite_of, tell

TELLS = {"tell": {"tool": "tell", "args": {"whom": "ann"}}}


def test_a_run_is_kept_so_that_it_can_be_looked_at(tmp_path: Path) -> None:
    """Its store is one like any other, and beside it lies what the world saw."""
    run = played(tmp_path)
    assert run.outcome == "held" and run.store == "one/1/holdfast.db"

    async def look() -> tuple[str, Any]:
        async with Holdfast(tmp_path / run.store) as app:
            verified = await app.verify(run.run_id)
            assert verified.problem is None
            shown = await app.show(run.run_id)
            return shown.status, shown.result

    assert asyncio.run(look()) == ("completed", {"price": 2, "buy": {"receipt": "pen"}})
    (line,) = (tmp_path / "one/1/ledger.jsonl").read_text().splitlines()
    assert json.loads(line)["args"] == {"item": "pen", "amount": 2.0}


def test_two_runs_with_one_seed_are_the_same_entry_for_entry(tmp_path: Path) -> None:
    """A run that went wrong can be had again."""
    case = {"faults": [{"tool": "buy", "what": "fails", "chance": 0.5}], "expect": {"status": ["completed", "failed"]}}

    async def journal(folder: Path, run_id: str) -> list[Any]:
        async with Holdfast(folder / "one/1/holdfast.db") as app:
            return [(entry.at, type(entry.event).__name__) for entry in await app.history(run_id)]

    runs = [played(tmp_path / name, case) for name in "ab"]
    assert runs[0].run_id == runs[1].run_id
    first, second = (asyncio.run(journal(tmp_path / name, runs[0].run_id)) for name in "ab")
    assert first == second


# --- people -------------------------------------------------------------------------------------------------------

ASKING = Policy(name="shop", rules=(Rule(name="dear", when="amount > 500", who=("finance",), people=2),))


def test_people_take_their_time_and_a_week_takes_none(tmp_path: Path) -> None:
    """Two days later somebody says yes; on the wall that is a moment."""
    case = {"people": [{"tool": "tell", "say": "approve", "after": "2d"}], "expect": {"asked": 1, "within": "3d"}}
    run = played(tmp_path, case, shopper(TELLS, tools=(tell,)))
    assert (run.outcome, run.status, run.questions) == ("held", "completed", 1)
    assert run.seconds >= 2 * 86400 and run.wall_seconds < 5


def test_silence_is_no_yes(tmp_path: Path) -> None:
    """Nobody answers: after its time the question counts as refused, and nothing is done."""
    run = played(tmp_path, {"expect": {"status": "failed", "never": ["tell"]}}, shopper(TELLS, tools=(tell,)))
    assert (run.outcome, run.effects) == ("held", ())
    assert run.seconds >= 7 * 86400


def test_answers_are_given_by_those_who_may(tmp_path: Path) -> None:
    """Where a rule wants two of a role, two of them answer; names are made up where the file gives none."""

    @tool(safety="keyed", key_ttl="forever", amount="amount")
    def buy(item: str, amount: float) -> dict[str, str]:
        """Buy something."""
        raise AssertionError

    agent = shopper(tools=(price, buy), policy=ASKING)
    run = played(tmp_path, {"inputs": {"item": "ink"}, "people": "approve"}, agent)
    assert (run.outcome, run.unheard, len(run.effects)) == ("held", (), 1)


def test_the_first_answer_that_matches_holds_as_often_as_it_says(tmp_path: Path) -> None:
    """Once no, then yes, each by its own word."""
    plan: dict[str, Any] = {"a": TELLS["tell"], "b": {"tool": "tell", "args": {"whom": "bob"}, "after": ["a"]}}
    plan["a"] = {**TELLS["tell"], "optional": True}
    case = {
        "people": [{"tool": "tell", "say": "reject", "times": 1, "note": "no"}, {"step": "b", "say": "approve", "by": "ann"}],
        "expect": {"effects": [{"tool": "tell", "times": 1, "where": "args.whom == 'bob'"}], "asked": 2},
    }
    run = played(tmp_path, case, shopper(plan, tools=(tell,)))
    assert run.outcome == "held", run


def test_an_answer_that_cannot_be_taken_is_named(tmp_path: Path) -> None:
    """The question stays open, and the run shows what the file got wrong."""
    case = {"people": [{"say": "edit", "value": {"nobody": 1}}], "expect": {"status": "failed"}}
    run = played(tmp_path, case, shopper(TELLS, tools=(tell,)))
    assert len(run.unheard) == 1 and "edit to the approval about tell" in run.unheard[0]
    assert run.effects == ()


def test_a_run_that_only_waits_is_left_as_it_is_when_its_time_is_over(tmp_path: Path) -> None:
    """What it waits for then is its reason."""
    run = played(tmp_path, {"people": [{"say": "approve", "after": "5d"}]}, shopper(TELLS, tools=(tell,)), within="1d")
    assert (run.outcome, run.status) == ("failed", "blocked")
    assert run.unmet[0].startswith("status: it is blocked, not completed")


# --- worlds of one's own ------------------------------------------------------------------------------------------

WORLD = """
from holdfast import tool, NOT_HAPPENED
from holdfast.evaluation import Effect

class Shop:
    def __init__(self, setting):
        self.setting, self.rows, self.closed = setting, [], False

    def tools(self):
        @tool(safety="read")
        def price(item: str) -> float:
            return 3.0

        @tool(safety="irreversible")
        async def buy(item: str, amount: float) -> dict[str, str]:
            self.rows.append(Effect(tool="buy", args={"item": item, "amount": amount}))
            if self.setting.case.name == "twice":
                self.rows.append(Effect(tool="buy", args={"item": item, "amount": amount}))
            return {"receipt": f"{self.setting.repeat}"}

        return [price, buy]

    def ledger(self):
        return self.rows

    def close(self):
        self.closed = True

def make(setting):
    return Shop(setting)

def nothing():
    return object()
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a world in it."""
    (tmp_path / "shop_world.py").write_text(WORLD)
    return tmp_path


def in_world(folder: Path, world: str, case: str = "one") -> Any:
    """What comes of a run in a world that a factory makes."""
    data = {"name": "shop", "world": world, "cases": {case: {"inputs": {"item": "pen"}}}}
    suite, found = casefile.parse(data, folder=str(folder))
    assert suite is not None, found
    (run,) = evaluated(suite, shopper(tools=(price, buy)), folder / "out").runs
    return run


def test_a_world_of_ones_own_stands_in_for_the_tools(shop: Path) -> None:
    """What the tool promises stays as the agent declares it; without keys effects are counted."""
    run = in_world(shop, "shop_world.py:make")
    assert (run.outcome, run.effects) == ("held", (Effect(tool="buy", args={"item": "pen", "amount": 3.0}),))
    assert run.result["buy"] == {"receipt": "1"}


def test_without_keys_two_effects_for_one_call_are_one_too_many(shop: Path) -> None:
    """The journal knows of one."""
    run = in_world(shop, "shop_world.py:make", "twice")
    assert run.disagreements == ("buy: the journal knows of 1 effect; the ledger has 2 effects",)


@pytest.mark.parametrize(
    ("world", "said"),
    [("shop_world.py:nothing", "has no tools"), ("shop_world.py:makes", "has no makes"), ("none.py:make", "there is no file")],
)
def test_what_is_no_world_is_refused_before_anything_runs(world: str, said: str, shop: Path) -> None:
    """No results are written."""
    with pytest.raises(DefinitionError, match=said):
        in_world(shop, world)
    assert not (shop / "out").exists()


def test_a_stand_in_that_cannot_stand_in_is_refused(tmp_path: Path) -> None:
    """It takes other arguments, or cannot be asked what its tool can be asked."""

    @tool(name="buy", safety="read")
    def other(item: str) -> dict[str, str]:
        return {}

    with pytest.raises(DefinitionError, match="buy has the argument amount"):
        equipped(shopper(), [other])


# --- tools without a stand-in -------------------------------------------------------------------------------------


def test_a_tool_that_changes_something_and_has_no_stand_in_is_refused(tmp_path: Path) -> None:
    """It says so before, the call fails, and the case says why."""
    cautions: list[str] = []
    suite = suite_of(services={"price": {"answer": 2}})
    (run,) = evaluated(suite, shopper(), tmp_path, on_caution=cautions.append).runs
    assert (run.outcome, run.status, run.effects) == ("failed", "failed", ())
    assert any("world: buy changes something and has no stand-in" in problem for problem in run.unmet)
    assert cautions == [f"{name} changes something and has no stand-in: a call of it is refused" for name in ("buy", "tell")]


def test_real_tools_are_called_where_that_is_allowed_and_reads_in_any_case(tmp_path: Path) -> None:
    """Of a real tool the ledger says nothing, so nothing is compared."""
    did: list[str] = []

    @tool(name="price", safety="read")
    def look(item: str) -> float:
        """Read really."""
        return 4.0

    @tool(name="buy", safety="keyed", key_ttl="1h")
    async def act(item: str, amount: float) -> dict[str, str]:
        """Buy really."""
        did.append(item)
        return {"receipt": "real"}

    agent = shopper(tools=(look, act))
    suite = suite_of(services={})
    (refused,) = evaluated(suite, agent, tmp_path / "1").runs
    (real,) = evaluated(suite, agent, tmp_path / "2", real_tools=True).runs
    assert (refused.outcome, real.outcome, real.effects, did) == ("failed", "held", (), ["pen"])


def test_a_tool_that_is_awaited_and_called_as_it_is_has_a_real_loop(tmp_path: Path) -> None:
    """One that jumps has no sockets. Who knows that it needs none can say so."""

    @tool(name="price", safety="read")
    async def look(item: str) -> float:
        """Look for the loop."""
        return float(isinstance(asyncio.get_running_loop(), JumpingLoop))

    cautions: list[str] = []
    agent, services = shopper(tools=(look, buy)), {"buy": {"answer": {"receipt": "x"}}}
    (real,) = evaluated(suite_of(services=services), agent, tmp_path / "1", on_caution=cautions.append).runs
    (jumped,) = evaluated(suite_of(services=services, time="virtual"), agent, tmp_path / "2").runs
    assert (real.result["price"], jumped.result["price"]) == (0, 1)
    assert len(cautions) == 1 and cautions[0].startswith("price: called as it is, so what takes time takes it")


def test_a_secret_is_written_into_no_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins take any; what the environment has is used where it is there, and neither is kept."""
    monkeypatch.setenv("CARD", "4111-1111")

    @tool(safety="keyed", key_ttl="forever")
    def pay(to: str, card: Secret, pin: str) -> str:
        """Pay."""
        raise AssertionError

    plan = {"pay": {"tool": "pay", "args": {"to": "ann", "card": {"$secret": "CARD"}, "pin": {"$secret": "PIN"}}}}
    run = played(tmp_path, None, shopper(plan, tools=(pay,), secrets=["pin"]), services={"pay": {"answer": "paid"}})
    assert (run.outcome, [effect.args["to"] for effect in run.effects]) == ("held", ["ann"]), run
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"4111-1111" not in kept and b"(the secret PIN)" not in kept


def test_agents_below_an_agent_live_in_the_same_world(tmp_path: Path) -> None:
    """Their tools are replaced, their journals are held against the ledger, and people are asked for them."""
    child = shopper({**PLAN, "tell": {"tool": "tell", "args": {"whom": "ann"}, "after": ["buy"]}})
    plan = {"shop": {"agent": "shopper", "inputs": {"item": {"$ref": "inputs.item"}}}}
    parent = Agent("boss", plan=plan, agents=[child], inputs={"item": {"type": "string"}})
    case = {"people": [{"tool": "tell", "say": "approve", "after": "1h"}], "expect": {"effects": ["buy", "tell"], "asked": 1}}
    run = played(tmp_path, case, parent)
    assert run.outcome == "held", run
    services = {"price": {"answer": 1}, "buy": {"answer": {"receipt": "x"}}, "tell": {"answer": "told"}}
    lost = {**case, "faults": [{"tool": "buy", "what": "times_out"}]}
    assert played(tmp_path / "2", lost, parent, services=services).outcome == "wrong"


# --- models -------------------------------------------------------------------------------------------------------

TURNS = [{"call": "price", "args": {"item": "pen"}}, {"call": "buy", "args": {"item": "pen", "amount": 2}}, "Bought a pen."]


def thinker(model: Any = None) -> Agent:
    """An agent that asks a model."""

    def script(request: Any) -> Any:
        return call("buy", item="pen", amount=2) if not called(request, "buy") else "Bought."

    return Agent(
        "shopper", model=model or ScriptedModel(script, name="own"), tools=[price, buy], inputs={"item": {"type": "string"}}
    )


def test_a_scripted_model_in_the_file_is_asked_in_place_of_the_agents(tmp_path: Path) -> None:
    """Case by case, or for all; each run begins at the beginning of the script."""
    suite = suite_of({"goal": "Buy a pen", "repeat": 2, "expect": {"that": "result == 'Bought a pen.'"}}, model=TURNS)
    results = evaluated(suite, thinker("anthropic:claude-sonnet-5"), tmp_path)
    assert [(run.outcome, run.turns, run.calls) for run in results.runs] == [("held", 3, 2)] * 2
    assert results.header.model == "script"
    own = played(tmp_path / "own", {"goal": "Buy a pen", "expect": {"that": "result == 'Bought.'"}}, thinker())
    assert (own.outcome, own.turns) == ("held", 2)


def test_each_run_hears_the_tries_of_a_script_from_the_first(tmp_path: Path) -> None:
    """Nothing of an earlier run is left in the agent's own model."""
    model = ScriptedModel([call("price", item="pen"), tries(fault("overloaded"), "At last.")], name="slow")
    suite = suite_of({"goal": "Say something", "repeat": 2})
    runs = evaluated(suite, thinker(model), tmp_path).runs
    assert [(run.outcome, run.seconds > 0) for run in runs] == [("held", True)] * 2


def test_what_a_setting_tells_is_enough_for_a_world(tmp_path: Path) -> None:
    """Its fields are what the page says."""
    assert Setting.__struct_fields__ == ("case", "repeat", "seed", "agent", "clock", "deliver")


def test_a_run_that_breaks_the_evaluation_is_a_failed_run(tmp_path: Path) -> None:
    """A world that raises in the middle does not end the others."""
    (tmp_path / "odd_world.py").write_text(
        WORLD + "\ndef odd(setting):\n    shop = Shop(setting)\n    shop.ledger = lambda: 1 / 0\n    return shop\n"
    )
    run = in_world(tmp_path, "odd_world.py:odd")
    assert run.outcome == "failed" and "ZeroDivisionError" in run.unmet[0]
