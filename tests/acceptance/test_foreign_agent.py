"""A run whose reasoner is an agent of Pydantic AI, killed: each effect happens once, and nothing that was said is lost."""

import shutil
import signal
from pathlib import Path

import pytest

from holdfast.core.events import CallUnknown, Entry, ModelAnswered, RunCompleted
from tests.acceptance.stage import Stage
from tests.thorough import ALL

pytest.importorskip("pydantic_ai", reason="the provider library is not installed")

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "foreign_agent.py"
FOREIGN = f"{Path(__file__).with_name('foreign.py')}:foreign"
LEASE = ("--lease", "1")


def answers(history: list[Entry]) -> list[ModelAnswered]:
    """What the model said."""
    return [entry.event for entry in history if isinstance(entry.event, ModelAnswered)]


def result(history: list[Entry]) -> object:
    """What came of the run."""
    return next(entry.event.result for entry in history if isinstance(entry.event, RunCompleted))


async def test_the_example_killed_when_the_bank_has_booked_refunds_once(stage: Stage) -> None:
    """kill -9 in the middle of the effect; the next worker looks, and the model goes on with the receipt."""
    shutil.copy(EXAMPLE, stage.world)
    bank = stage.world / "bank.txt"
    words = ("run", "foreign_agent.py", "--id", "order-7", *LEASE)
    first = stage.begin(*words, cwd=stage.world)
    stage.until(lambda: bank.exists() and bank.read_text().endswith("\n"))
    first.send_signal(signal.SIGKILL)
    first.wait()
    last = stage.holdfast(*words, cwd=stage.world)

    assert last.returncode == 0, last.stderr
    assert len(bank.read_text().splitlines()) == 1
    history = await stage.history("order-7")
    assert [entry.event.crashed for entry in history if isinstance(entry.event, CallUnknown)] == [True]
    assert len(answers(history)) == 3, "no turn was lost or asked for twice"
    assert result(history) == {"receipt": "R-7", "amount": 80}


@pytest.mark.parametrize("turn", [1, 2, 3])
async def test_killed_while_the_model_thinks_it_is_asked_again_with_all_it_was_told(stage: Stage, turn: int) -> None:
    """What was said before is read back from the journal, results and all; no call is made again."""
    stage.environment["PYTHONPATH"] += f":{ROOT}"
    stage.shut(f"think-{turn}")
    words = ("run", FOREIGN, "--id", "r", *LEASE)
    first = stage.begin(*words)
    stage.until(lambda: stage.waits(f"think-{turn}"))
    first.send_signal(signal.SIGKILL)
    first.wait()
    stage.open(f"think-{turn}")
    last = stage.holdfast(*words)

    assert last.returncode == 0, last.stderr
    assert stage.effects() == {"a": 1, "b": 1, "c": 1}
    assert len(stage.calls()) == 3
    history = await stage.history("r")
    assert len(answers(history)) == 3
    assert result(history) == "done done done"


@pytest.mark.parametrize("subject", ["a", "b", "c"][: 3 if ALL else 1])
async def test_killed_in_the_middle_of_a_call_of_the_model_each_effect_happens_once(stage: Stage, subject: str) -> None:
    """The other call of the same answer is not disturbed."""
    stage.environment["PYTHONPATH"] += f":{ROOT}"
    stage.shut(subject)
    words = ("run", FOREIGN, "--id", "r", *LEASE)
    first = stage.begin(*words)
    stage.until(lambda: stage.waits(subject))
    first.send_signal(signal.SIGKILL)
    first.wait()
    stage.open(subject)
    last = stage.holdfast(*words)

    assert last.returncode == 0, last.stderr
    assert stage.effects() == {"a": 1, "b": 1, "c": 1}
    assert len(answers(await stage.history("r"))) == 3
