"""The simulation: eight thousand seeds of the production code among crashes and lies, and the same trace for the same seed.

`pytest --seed N` does not exist on purpose: a seed that fails here is had again with the command that the failure prints.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.testing.simulate import Soak, main, report, simulate, table
from holdfast.testing.simulation.faults import KINDS
from holdfast.testing.simulation.stage import play
from tests.thorough import ALL

SEEDS = 8_000 if ALL else 1_500
CHUNK = 500


@pytest.mark.parametrize("first", range(1, SEEDS, CHUNK))
def test_no_law_is_broken_whatever_goes_wrong(first: int) -> None:
    """Nothing done twice, nothing lost, nothing stuck, nothing reported that is not so; in seeds `first` and after."""
    batch = simulate(range(first, first + CHUNK), broken_max=1)
    assert batch.seeds == CHUNK or batch.broken
    for seed, law, what in batch.broken:
        pytest.fail(f"seed {seed}: {law}: {what}\n{report(seed)}", pytrace=False)


@pytest.mark.skipif(not ALL, reason="it plays more seeds; make exhaustive does it")
def test_every_kind_of_fault_happens(capsys: pytest.CaptureFixture[str]) -> None:
    """One that never happens proves nothing; how often each did is printed."""
    batch = simulate(range(1, 1_500))
    with capsys.disabled():
        print(f"\n{table(batch)}")
    assert batch.never == []
    assert len(KINDS) >= 80


def test_the_same_seed_gives_the_same_trace_in_every_process() -> None:
    """Byte for byte, whatever the hash seed and the time zone."""
    program = (
        "from holdfast.testing.simulation.stage import play\n"
        "print(*(play(seed).digest() for seed in (3, 9, 11, 74, 5366, 22207, 124, 428)), sep='\\n')"
    )
    outputs = set()
    for hash_seed, zone in (("0", "UTC"), ("1", "Asia/Kathmandu"), ("4242", "America/St_Johns")):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": zone}
        outputs.add(subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True).stdout)
    assert len(outputs) == 1
    assert len(outputs.pop().split()) == 8


def test_another_seed_gives_another_trace() -> None:
    """The seed is what everything is drawn from."""
    assert len({play(seed).digest() for seed in range(1, 30)}) == 29


def test_a_seed_played_twice_in_one_process_is_the_same() -> None:
    """Nothing is left over from one seed to the next."""
    before = play(7).digest()
    play(8)
    assert play(7).digest() == before


def test_a_seed_prints_its_trace_and_how_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    """The trace on stdout, the verdict on stderr."""
    assert main(["--seed", "12"]) == 0
    shown = capsys.readouterr()
    assert "call_intended" in shown.out
    assert "seed 12: all laws hold" in shown.err


def test_many_seeds_print_what_went_wrong_how_often(capsys: pytest.CaptureFixture[str]) -> None:
    """And the rate, and how the runs ended."""
    assert main(["--seed", "1", "--runs", "20"]) == 0
    shown = capsys.readouterr().out
    assert all(kind in shown for kind in KINDS)
    assert "20 seeds at" in shown
    assert "broken: 0" in shown


@pytest.mark.skipif(not ALL, reason="it forks processes for a while; make exhaustive does it")
def test_a_soak_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """What is in the file is not played again; another first seed does not get mixed into it."""
    file = tmp_path / "soak.json"
    first = Soak(1, 300, file, jobs=2).run()
    assert (first.seeds, first.broken) == (300, [])
    kept = json.loads(file.read_text())
    kept["batch"]["counter"]["marked"] = 1
    file.write_text(json.dumps(kept))
    second = Soak(1, 550, file, jobs=2)
    assert second.batch.seeds == 300
    after = second.run()
    assert after.seeds == 550
    assert after.counter["marked"] == 1
    with pytest.raises(SystemExit, match="--seed 1"):
        Soak(2, 300, file, jobs=2)
