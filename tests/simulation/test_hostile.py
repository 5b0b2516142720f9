"""Hostile models: thousands of seeds in which the reasoner says and does whatever a model may get wrong, among crashes and lies.

A seed that fails here is had again with the command that the failure prints.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.testing.simulate import CHUNK_SEEDS, HOSTILE_CHUNKS, Soak, main, report, simulate, table
from holdfast.testing.simulation.providers import KINDS
from holdfast.testing.simulation.stage import play
from tests.thorough import ALL

SEEDS = 2_000 if ALL else 500
CHUNK = 250


@pytest.mark.parametrize("first", range(1, SEEDS, CHUNK))
def test_no_law_is_broken_whatever_a_model_says(first: int) -> None:
    """Nothing done twice, nothing spent beyond the limit, nothing believed that nobody saw or said, and every run ends."""
    batch = simulate(range(-first, -first - CHUNK, -1), broken_max=1)
    assert batch.hostile == CHUNK or batch.broken
    for seed, law, what in batch.broken:
        pytest.fail(f"seed {seed}: {law}: {what}\n{report(seed)}", pytrace=False)


@pytest.mark.skipif(not ALL, reason="it plays more seeds; make exhaustive does it")
def test_every_kind_of_hostility_happens(capsys: pytest.CaptureFixture[str]) -> None:
    """One that never happens proves nothing; how often each did is printed."""
    batch = simulate(range(-1, -500, -1))
    with capsys.disabled():
        print(f"\n{table(batch)}")
    assert batch.never == []
    assert len(KINDS) >= 50
    assert {"completed", "failed", "cancelled"} <= batch.statuses.keys()


def test_a_hostile_seed_gives_the_same_trace_in_every_process() -> None:
    """Byte for byte, whatever the hash seed and the time zone."""
    program = (
        "from holdfast.testing.simulation.stage import play\n"
        "print(*(play(-seed).digest() for seed in (3, 9, 48, 71, 103, 183, 208, 334)), sep='\\n')"
    )
    outputs = set()
    for hash_seed, zone in (("0", "UTC"), ("1", "Asia/Kathmandu"), ("4242", "America/St_Johns")):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": zone}
        outputs.add(subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True).stdout)
    assert len(outputs) == 1
    assert len(set(outputs.pop().split())) == 8


def test_a_hostile_seed_prints_its_trace_and_how_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    """What models were asked and said stands among the rest."""
    assert main(["--seed", "-9"]) == 0
    shown = capsys.readouterr()
    assert "proposal_requested" in shown.out
    assert "is asked by run-0" in shown.out
    assert "seed -9: all laws hold" in shown.err


def test_many_hostile_seeds_print_what_happened_how_often(capsys: pytest.CaptureFixture[str]) -> None:
    """Of these kinds, and no others."""
    assert main(["--seed", "-1", "--runs", "5"]) == 0
    shown = capsys.readouterr().out
    assert all(kind in shown for kind in KINDS)
    assert "5 seeds at" in shown
    assert "callback twice" not in shown


def test_a_soak_plays_hostile_seeds_as_well(tmp_path: Path) -> None:
    """One chunk of a few; they count like the others, and are not played again."""
    file = tmp_path / "soak.json"
    before = CHUNK_SEEDS * (HOSTILE_CHUNKS - 1)
    soak = Soak(1, before + 20, file, jobs=1)
    chunks = list(soak._chunks())
    assert [first for _, (first, *_) in chunks][-1] == -before - 1
    assert [seed < 0 for _, seeds in chunks for seed in (*seeds,)].count(True) == 20
    file.write_text(json.dumps({
        "first": 1, "runs": 0, "chunk": CHUNK_SEEDS, "complete": HOSTILE_CHUNKS - 1, "batch": {"seeds": before},
        "done": {str(HOSTILE_CHUNKS - 1): 15},
    }))  # fmt: skip
    batch = Soak(1, before + 20, file, jobs=1).run()
    assert (batch.seeds, batch.hostile, batch.broken) == (before + 5, 5, [])


def test_a_soak_begins_with_the_first_seed() -> None:
    """Which of its chunks are hostile follows from that."""
    with pytest.raises(SystemExit):
        main(["--soak", "--seed", "-1", "--runs", "10"])


def test_the_models_of_a_seed_are_its_own() -> None:
    """Played twice in one process, with others in between, it is the same."""
    before = play(-7).digest()
    play(-8)
    assert play(-7).digest() == before
