"""The faults of models: each has a meaning, and the table in the module says the same."""

from __future__ import annotations

import asyncio
import re

import pytest

from holdfast.reasoners.model import Message, ModelFailure, Request
from holdfast.testing.clock import JumpingLoop
from holdfast.testing.models import FAULT_NAMES, Fault, FaultName, ScriptedModel, fault, faults


def test_every_fault_is_of_an_answer_or_has_a_meaning() -> None:
    """No fault is both or neither."""
    assert set(faults.MEANT) | faults.OF_THE_ANSWER == set(FAULT_NAMES)
    assert not set(faults.MEANT) & faults.OF_THE_ANSWER
    assert set(faults.OF_THE_WAY) | faults.CHARGED <= set(faults.MEANT)
    assert set(faults.OF_KIND.values()) <= set(faults.MEANT)


def test_the_table_in_the_text_says_what_is_meant() -> None:
    """Every fault stands in the first column of one row, and its kind in the last."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in str(faults.__doc__).splitlines() if line.startswith("|")
    ]
    found: dict[str, str] = {}
    for names, _, kinds in rows[2:]:
        quoted = re.findall(r"`(\w+)`", names)
        said = re.findall(r"`(\w+)`", kinds) or ["the same"]
        found |= dict(zip(quoted, said if len(said) == len(quoted) else said * len(quoted), strict=True))
    assert found == {name: faults.MEANT[name][0] if name in faults.MEANT else "the same" for name in FAULT_NAMES}


def test_a_fault_of_an_unknown_name_is_refused_where_it_is_written() -> None:
    """A slip of the pen in a script shows at once, with the names that there are."""
    with pytest.raises(ValueError, match="'rate_limted' is no fault of a model; there are rate_limited, "):
        Fault(name="rate_limted")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", faults.MEANT)
def test_a_scripted_model_says_what_each_fault_means(name: FaultName) -> None:
    """Kind and message are those of the table; what may have been counted is charged, and a time-out takes its time."""
    request = Request(model="scripted:x", system="", messages=(Message(role="user", parts=()),), timeout_seconds=30)
    loop = JumpingLoop(time_max=1e6)

    async def main() -> tuple[ModelFailure, float]:
        before = asyncio.get_running_loop().time()
        with pytest.raises(ModelFailure) as caught:
            await ScriptedModel([fault(name, retry_after=2)]).answer(request)
        return caught.value, asyncio.get_running_loop().time() - before

    failure, seconds = loop.run_until_complete(main())
    loop.close()
    assert (failure.kind, failure.message) == faults.MEANT[name]
    assert failure.context == (name == "context")
    assert failure.charged == (name in faults.CHARGED)
    assert failure.retry_after_seconds == 2
    assert seconds == pytest.approx(30 if name == "timeout" else 0)
