"""The lab `payment`, whole: a real kill at each gateway, and the ledger read a second time here."""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast.core.events import Answered, Entry
from holdfast.labs.http_call import WORLD
from holdfast.labs.payment import driver
from holdfast.labs.payment.check import GATEWAYS, Payment, Seen, check
from holdfast.labs.services import start_services
from holdfast.labs.services.ledger import RequestRow
from holdfast.labs.workshop import histories_in

pytestmark = pytest.mark.xdist_group("payment")

SOURCES = Path(__file__).resolve().parents[2] / "src"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCES)}


def run_lab(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "holdfast", "lab", "payment", *words]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False)


def ledger_of(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "world" / "ledger.jsonl").read_text().splitlines()]


@dataclass(frozen=True)
class Left:
    """What a run of the lab that went well left behind."""

    directory: Path
    page: str
    payments: tuple[Payment, ...]
    seen: Seen


@pytest.fixture(scope="session")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """The lab as it runs when nothing else is said."""
    directory = tmp_path_factory.mktemp("left") / "lab"
    done = run_lab("--dir", str(directory))
    assert done.returncode == 0, done.stdout + done.stderr
    histories = histories_in(directory / "runs.db")
    requests = json.loads((directory / "world" / "requests.json").read_text())
    seen = Seen(ledger=ledger_of(directory), requests=requests, histories=histories, were_killed=True)  # type: ignore[arg-type]
    return Left(directory, done.stdout, driver.payments_of(7), seen)


def assert_each_gateway_transferred_once(directory: Path, page: str) -> None:
    """By the ledger, read here once more; and three workers were killed."""
    assert Counter(row["service"] for row in ledger_of(directory)) == dict.fromkeys(GATEWAYS, 1)
    assert len(re.findall(r"^\$ kill -9 \d+$", page, re.MULTILINE)) == 3


def test_each_gateway_transfers_once_though_its_worker_is_killed(left: Left) -> None:
    """Keyed is sent twice and lands once, lookup is looked up, plain is settled by a person."""
    assert_each_gateway_transferred_once(left.directory, left.page)
    assert re.search(r"^  keyed +2 +1 +0 +1 ", left.page, re.MULTILINE)
    assert re.search(r"^  lookup +1 +1 +[1-9] +1 ", left.page, re.MULTILINE)
    assert "payment-plain  completed: " in left.page


def test_who_is_asked_finds_the_question_in_the_inbox_and_is_shown_what_nobody_knows(left: Left) -> None:
    """Listed by its kind, taken in hand, shown with the step that is unknown, and decided after that."""
    _, _, plain = left.page.partition("\nplain: ")
    told = ["$ holdfast inbox --kind escalation", "$ holdfast inbox claim payment-plain", " has it in hand until "]
    told += [
        "$ holdfast inbox show payment-plain",
        "unknown    transfer: nobody knows",
        "$ holdfast answer payment-plain respond",
    ]
    places = [plain.find(words) for words in told]

    assert -1 not in places and places == sorted(places), dict(zip(told, places, strict=True))
    assert "payment-keyed" not in plain.partition("What the journals say")[0]


@pytest.mark.parametrize(("said", "ending"), [("not-happened", "failed"), ("never-sent", "completed")])
def test_what_the_person_says_holds_and_each_gateway_transfers_once(tmp_path: Path, said: str, ending: str) -> None:
    """A wrong word is held to and nothing is sent again; where nothing was sent, it is sent once after their word."""
    directory = tmp_path / "lab"
    done = run_lab("--dir", str(directory), "--said", said)

    assert done.returncode == 0, done.stdout + done.stderr
    assert_each_gateway_transferred_once(directory, done.stdout)
    assert f"payment-plain  {ending}: " in done.stdout


def test_the_temporary_directory_is_gone_when_all_went_well(tmp_path: Path) -> None:
    """Without --dir nothing is left behind."""
    command = [sys.executable, "-P", "-m", "holdfast", "lab", "payment"]
    environment = {**ENVIRONMENT, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--said", "perhaps"], "the person cannot say 'perhaps' — they say happened, not-happened, never-sent"),
        (["--dir", str(Path(__file__).parent)], "is not an empty directory"),
    ],
)
def test_what_cannot_be_asked_for_is_told_before_anything_starts(words: list[str], complaint: str) -> None:
    """One sentence and exit code 2."""
    refused = run_lab(*words)
    assert refused.returncode == 2
    assert complaint in refused.stderr
    assert refused.stdout == ""


def test_a_transfer_that_lands_after_its_caller_was_killed_is_waited_for(tmp_path: Path) -> None:
    """The gateway takes 3 s, and the new worker asks before that: "no" is not final before `settles_within` is over.

    With a promise of 0 s in its place, two transfers were seen to land here.
    """
    agents = Path(driver.__file__).with_name("agents.py").read_text(encoding="utf-8")
    assert agents.count('settles_within="300ms"') == 1
    (tmp_path / "agents.py").write_text(agents.replace("300ms", "6s"), encoding="utf-8")
    inputs = {"account": "late", "amount": "10.00", "reference": "invoice-1"}
    (tmp_path / "inputs.json").write_text(json.dumps(inputs), encoding="utf-8")
    command = [sys.executable, "-P", "-m", "holdfast", "run", "agents.py:lookup", "--input", "@inputs.json", "--id", "late"]
    command += ["--lease", "1"]
    with start_services("payment", tmp_path / "world", {"late_commit_seconds": 3.0}) as services:
        environment = {**ENVIRONMENT, WORLD: str(tmp_path / "world")}
        with (tmp_path / "said").open("w") as said:
            first = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=said, stderr=said)
        while not services.requests():
            assert first.poll() is None, (tmp_path / "said").read_text()
            time.sleep(0.01)
        first.kill()
        first.wait()
        second = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False)
        landed = services.ledger()

    assert second.returncode == 0, second.stderr
    assert len(landed) == 1


# --- the check itself ---------------------------------------------------------------------------------------------


@pytest.fixture
def well(left: Left) -> tuple[tuple[Payment, ...], Seen]:
    """Payments and a world in which all is well."""
    return left.payments, left.seen


def test_the_check_is_content_with_a_world_that_is_as_it_must_be(well: tuple[tuple[Payment, ...], Seen]) -> None:
    """No problems are found where there are none."""
    assert check(*well, "happened") == []


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_the_check_finds_a_second_transfer_and_a_missing_one(well: tuple[tuple[Payment, ...], Seen], gateway: str) -> None:
    """Two and none are each told, with the account."""
    payments, seen = well
    (account,) = (payment.account for payment in payments if payment.gateway == gateway)
    (row,) = (row for row in seen.ledger if row["service"] == gateway)

    twice = check(payments, replace(seen, ledger=[*seen.ledger, row]), "happened")
    never = check(payments, replace(seen, ledger=[other for other in seen.ledger if other is not row]), "happened")
    assert twice == [f"{gateway}: 2 transfers to {account}, where one must be"]
    assert never == [f"{gateway}: 0 transfers to {account}, where one must be"]


def test_the_check_finds_a_repeat_that_no_gateway_would_drop(well: tuple[tuple[Payment, ...], Seen]) -> None:
    """Under another key, or at a gateway without keys."""
    payments, seen = well
    keyed = next(row for row in seen.requests if row["path"] == "/keyed/transfers")
    plain = next(row for row in seen.requests if row["path"] == "/plain/transfers")
    other_key = [RequestRow(**{**row, "key": "another"}) if row is keyed else row for row in seen.requests]

    assert check(payments, replace(seen, requests=other_key), "happened") == ["keyed: a repeat went out under another key"]
    assert check(payments, replace(seen, requests=[*seen.requests, plain]), "happened") == [
        "plain: 2 requests for a transfer, where 1 must be"
    ]


def test_the_check_finds_runs_that_were_left_as_they_must_not_be(well: tuple[tuple[Payment, ...], Seen]) -> None:
    """A run that did not end, a word that was not heard, one of somebody who had not looked, and a kill that was none."""
    payments, seen = well
    short = {**seen.histories, "payment-keyed": seen.histories["payment-keyed"][:-1]}

    assert check(payments, replace(seen, histories=short), "happened") == [
        "payment-keyed: it is not ended, and must be completed"
    ]
    assert "payment-plain: it is completed, and must be failed" in check(payments, seen, "not-happened")
    unread = {**seen.histories, "payment-plain": [_unread(entry) for entry in seen.histories["payment-plain"]]}
    assert check(payments, replace(seen, histories=unread), "happened") == [
        "payment-plain: the person was not shown what they decided"
    ]
    assert check(payments, replace(seen, were_killed=False), "happened") == [
        "a worker was not killed before the transfer was written down"
    ]


def _unread(entry: Entry) -> Entry:
    """The same, decided by somebody who was not shown it."""
    if not isinstance(entry.event, Answered):
        return entry
    return msgspec.structs.replace(entry, event=msgspec.structs.replace(entry.event, seen_at=None))
