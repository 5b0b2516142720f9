"""Journals that earlier releases wrote, read by this one: every event, every chain, and what they come to."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from holdfast.core import events as e
from holdfast.core.decide import decide
from holdfast.core.evolve import fold
from holdfast.core.plan import Plan, Step
from holdfast.core.policy import Verdict
from holdfast.journal import codec
from tests.histories.record import FOLDER, summary

FILES = sorted(FOLDER.glob("*.jsonl"))

# The digests of the files whose releases are out.
WRITTEN = {
    "0001_first_form": "a3fc8b2e25acb77ee4a16ff91dd20d014d3a6cb27dc8ec073114168226b6860a",
    "0002_messy_outcomes": "d246516df63c09be311fbc4c31ded4d7da522ad10ff65ec8152e7af0cb11e9e3",
    "0003_thinking": "275611b20f2370e03ebe6c78fc74ebe42ccf3fd6704ff2c2c1a6d7e4423a8220",
    "0004_people": "8f428193eaeeec733e27db8a0e77b959db1a0bfd0f73905c22c2861b33d6748e",
}


class Recorded:
    """The runs of one file."""

    def __init__(self, path: Path):
        self.contents: dict[str, bytes] = {}
        self.batches: dict[str, list[dict[str, Any]]] = {}
        self.summaries: dict[str, dict[str, Any]] = {}
        for text in path.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            if "content" in line:
                self.contents[line["content"]] = line["body"].encode()
            elif "summary" in line:
                self.summaries[line["run"]] = line["summary"]
            else:
                self.batches.setdefault(line["run"], []).append(line)

    def entries(self, run_id: str) -> list[e.Entry]:
        """A run's entries, with its chain checked link by link."""
        found: list[e.Entry] = []
        link = b""
        for batch in self.batches[run_id]:
            body = batch["body"].encode()
            link = codec.link(link, run_id, batch["first"], batch["fence"], batch["at"], body)
            assert link.hex() == batch["link"], f"{run_id}: the chain breaks at {batch['first']}"
            assert batch["first"] == len(found) + 1
            found.extend(codec.entries(body, batch["first"], batch["fence"], batch["at"], self.contents.__getitem__))
        return found


RECORDED = {path.stem: Recorded(path) for path in FILES}
EVERY_RUN = [(name, run_id) for name, recorded in RECORDED.items() for run_id in recorded.summaries]


def test_there_is_a_history_of_each_form() -> None:
    """Numbered without a gap."""
    assert [int(path.stem.split("_")[0]) for path in FILES] == list(range(1, len(FILES) + 1))


@pytest.mark.parametrize(("name", "run_id"), EVERY_RUN)
def test_a_run_comes_to_what_it_came_to_when_it_was_recorded(name: str, run_id: str) -> None:
    """Decoded, linked and folded. Whatever was compared then is compared now."""
    state = fold(RECORDED[name].entries(run_id))
    recorded = RECORDED[name].summaries[run_id]
    assert like(json.loads(json.dumps(summary(state))), recorded) == recorded


def like(found: Any, recorded: Any) -> Any:
    """The parts of a summary that an earlier one had too."""
    if isinstance(found, dict) and isinstance(recorded, dict):
        return {name: like(found[name], part) for name, part in recorded.items()}
    return found


@pytest.mark.parametrize(("name", "digest"), WRITTEN.items())
def test_a_form_is_what_was_written_then(name: str, digest: str) -> None:
    """Byte for byte: a file that is changed to please a later release pins nothing."""
    assert hashlib.sha256((FOLDER / f"{name}.jsonl").read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(("name", "run_id"), EVERY_RUN)
def test_folding_in_parts_gives_the_same(name: str, run_id: str) -> None:
    """As a checkpoint does, at every place."""
    entries = RECORDED[name].entries(run_id)
    whole = fold(entries)
    for at in range(1, len(entries)):
        assert fold(entries[at:], fold(entries[:at])) == whole


@pytest.mark.parametrize(("name", "run_id"), EVERY_RUN)
def test_a_run_of_an_earlier_release_goes_on(name: str, run_id: str) -> None:
    """From every place of its history something can be decided, now or at a time, and nothing breaks."""
    entries = RECORDED[name].entries(run_id)
    for at in range(1, len(entries) + 1):
        state = fold(entries[:at])
        decision = decide(state, state.at)
        assert decision.state.ended or decision.commands or decision.wake_at is not None or decision.events or flying(state)


def flying(state: Any) -> bool:
    """Whether something is under way."""
    looked_for = any(owed.looking is not None for owed in state.pending.values())
    return (
        state.proposing is not None
        or state.checking_plan is not None
        or looked_for
        or any(state.steps[name].phase in ("flying", "probing", "checking") for name in state.active)
    )


def test_every_kind_of_event_is_in_some_history() -> None:
    """What was never recorded could be lost unseen."""
    seen = {type(entry.event) for name, run_id in EVERY_RUN for entry in RECORDED[name].entries(run_id)}
    assert seen == set(get_args(e.AnyEvent))


def test_histories_hold_what_is_hard_to_keep() -> None:
    """Large values beside the batches, names that look like our marks, numbers beyond 64 bits, letters beyond ASCII."""
    recorded = RECORDED["0001_first_form"]
    (start, *rest) = recorded.entries("shop/1")
    assert isinstance(start.event, e.RunStarted)
    assert start.event.goal.inputs["guest"] == {"name": "Zoë", "vip": True, "points": 10**25}
    values = [entry.event.value for entry in rest if isinstance(entry.event, e.CallSucceeded) and entry.event.step == "find"]
    assert values[0]["$blob"] == "not ours"
    assert len(values[0]["page"].encode()) > codec.LARGE_BYTES
    assert any(len(content) > codec.LARGE_BYTES for content in recorded.contents.values())


def test_the_history_of_people_holds_each_of_their_ways() -> None:
    """Who may decide, how they are asked, what they said, and what it is said about: each new part of an event is in it."""
    recorded = RECORDED["0004_people"]
    found = [entry.event for run_id in recorded.summaries for entry in recorded.entries(run_id)]
    asked = [event for event in found if isinstance(event, e.Asked)]
    words = [event for event in found if isinstance(event, e.Answered)]
    rulings = [event.ruling for event in found if isinstance(event, (e.Asked, e.PolicyRuled)) and event.ruling is not None]
    for name in ("ruling", "who", "not_by", "ladder", "rung", "amount", "calls"):
        assert any(getattr(event, name) for event in asked), name
    assert {event.people for event in asked} >= {1, 2}
    assert {event.kind for event in asked} == set(get_args(e.InterruptKind))
    assert {event.about for event in asked} >= {"call", "plan", "handoff", "failure", "question"}
    for name in ("roles", "seen_at", "said_at", "bulk", "standing"):
        assert any(getattr(event, name) for event in words), name
    assert {ruling.verdict for ruling in rulings} == set(get_args(Verdict))
    assert {ruling.asks for ruling in rulings if ruling.draw is not None} == {True, False}
    assert {check.holds for event in found if isinstance(event, e.ChecksAnswered) for check in event.answers.values()} == {
        True, False, None,
    }  # fmt: skip
    assert {event.policy is None for event in found if isinstance(event, e.PolicyChanged)} == {True, False}
    assert {event.until is None for event in found if isinstance(event, e.RunPaused)} == {True, False}
    assert {event.kind for event in found if isinstance(event, e.Escalated)} == {None, "handoff"}


def test_a_plan_reads_the_same_within_its_batch_and_beside_it() -> None:
    """One that is not final was once stored by its digest like every other; now it stands among its events."""
    plan = Plan(steps=(Step(id="a", tool="look", args={"$blob": 1}),), final=False)
    adopted = e.PlanAdopted(turn=1, revision=1, plan=plan, reason="look first")
    within, beside = codec.encode([adopted])
    assert not beside
    (event,) = json.loads(within)
    form = json.dumps(event["plan"]).encode()
    digest = codec.blob_digest(form)
    shared = json.dumps([{**event, "plan": {codec.BLOB: digest}}]).encode()
    assert codec.decode(within, {}.__getitem__) == codec.decode(shared, {digest: form}.__getitem__) == (adopted,)


def test_the_latest_form_is_what_is_written_today() -> None:
    """The events of the newest file, written again, give its bytes: a difference is a new form, and needs a file of its own."""
    newest = RECORDED[FILES[-1].stem]
    for run_id, batches in newest.batches.items():
        entries = newest.entries(run_id)
        for batch, following in zip(batches, [*batches[1:], None], strict=True):
            last = following["first"] - 1 if following is not None else len(entries)
            body, contents = codec.encode([entry.event for entry in entries[batch["first"] - 1 : last]])
            assert body.decode() == batch["body"]
            assert contents.items() <= newest.contents.items()


def test_recording_is_the_same_in_every_process() -> None:
    """Whatever the seed of its hashes, what is decided and what is written follow from the story alone."""
    program = """
import hashlib, json
from tests.histories.record import lines
print(hashlib.sha256("\\n".join(map(json.dumps, lines())).encode()).hexdigest())
"""
    digests = set()
    for seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
        digests.add(ended.stdout)
    assert len(digests) == 1


def test_a_history_is_never_written_again() -> None:
    """The script refuses a name that is there."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.histories.record", FILES[0].stem],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode != 0
    assert "FileExistsError" in ended.stderr
