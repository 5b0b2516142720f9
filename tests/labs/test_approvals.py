"""The lab `approvals`: two thousand payouts under three policies, shortened where it does not matter, and the parts it is made of."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import msgspec
import pytest

from holdfast import policyfile
from holdfast.core.policy import Policy, Ruling, evaluate
from holdfast.errors import UsageError
from holdfast.labs import run_lab
from holdfast.labs.approvals import driver
from holdfast.labs.approvals.chart import chart
from holdfast.labs.approvals.check import book_problems, draw_of
from holdfast.labs.approvals.living import Lived, live
from holdfast.labs.approvals.outcome import outcome_of, paid_from
from holdfast.labs.approvals.people import Approver
from holdfast.labs.approvals.proposing import before_the_alarm, propose
from holdfast.labs.approvals.story import TEAM, Story, midnight, week_of
from holdfast.labs.services import start_services
from holdfast.labs.services.ledger import LedgerRow
from holdfast.labs.services.payouts import payouts_of
from tests.thorough import ALL

pytestmark = pytest.mark.xdist_group("approvals")

SOURCES = Path(__file__).resolve().parents[2] / "src"
LAB = Path(driver.__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCES)}

SHORT = Story(seed=7, count=400, a_day=100, kill_day=1)
"""So much arrives at once that nobody looks any more on the third day."""
FEW = Story(seed=7, count=60, a_day=30, kill_day=0)

_RUN_SHORT = """
import sys
from pathlib import Path
from holdfast.labs.approvals import driver
from holdfast.labs.approvals.story import Story
story = Story(seed=7, count=400, a_day=100, kill_day=1)
sys.exit(driver.run(directory=Path("lab"), seed=7, keep=False, out=Path("chart.svg"), story=story))
"""


@dataclass(frozen=True)
class Left:
    """A few payouts under the second policy, as they were lived through."""

    lived: Lived
    ledger: list[LedgerRow]


@pytest.fixture(scope="session")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """Sixty payouts, and a worker that is killed in the middle of one."""
    directory = tmp_path_factory.mktemp("approvals")
    with start_services("approvals", directory / "world", seed=FEW.seed) as services:
        lived = asyncio.run(live(directory / "runs.db", LAB / "policy-2.yaml", "few", FEW, services))
        return Left(lived, services.ledger())


# --- the lab ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not ALL, reason="half a minute; make exhaustive does it")
def test_the_same_seed_gives_the_same_page_and_the_same_chart_in_two_processes(tmp_path: Path) -> None:
    """Whatever workers and people do side by side, and though three workers are killed: byte for byte the same."""
    places = [tmp_path / name for name in ("one", "two")]
    pages = []
    for place in places:
        place.mkdir()
        command = [sys.executable, "-P", "-c", _RUN_SHORT]
        done = subprocess.run(command, cwd=place, env=ENVIRONMENT, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        pages.append(done.stdout.replace(str(place), "HERE"))

    assert pages[0] == pages[1]
    assert (places[0] / "chart.svg").read_bytes() == (places[1] / "chart.svg").read_bytes()
    ledger = [json.loads(line) for line in (places[0] / "lab" / "world" / "ledger.jsonl").read_text().splitlines()]
    assert len({row["subject"] for row in ledger}) == len(ledger) > 3 * 0.9 * SHORT.count


@pytest.mark.slow
@pytest.mark.skipif(not ALL, reason="a minute; make exhaustive does it")
def test_the_whole_lab_ends_as_it_must(tmp_path: Path) -> None:
    """Two thousand payouts: the check is content, and it says what it has counted."""
    command = [sys.executable, "-P", "-m", "holdfast", "lab", "approvals", "--dir", str(tmp_path / "lab")]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=400, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2000 payouts, frauds by the ledger of the service" in done.stdout


def test_what_cannot_be_drawn_is_said_before_anything_starts(tmp_path: Path) -> None:
    """A chart that cannot be written, and a lab that draws none: no directory is made."""
    with pytest.raises(UsageError, match="the chart cannot be written"):
        run_lab("approvals", directory=tmp_path / "lab", out=tmp_path / "nowhere" / "chart.svg")
    with pytest.raises(UsageError, match="nothing is drawn in the lab payment"):
        run_lab("payment", directory=tmp_path / "lab", out=tmp_path / "chart.svg")
    assert not (tmp_path / "lab").exists()


# --- the check ----------------------------------------------------------------------------------------------------


def test_the_check_is_content_with_weeks_that_are_as_they_must_be(left: Left) -> None:
    """Sixty payouts, one death, no problem; and every payout was paid or refused."""
    assert book_problems(FEW, left.lived, left.ledger) == []
    assert left.lived.deaths == 1
    refused = [row for row in left.lived.judged if row.decision == "reject"]
    assert len(left.ledger) + len(refused) == FEW.count


def _paid_twice(left: Left) -> tuple[Lived, list[LedgerRow], str]:
    return left.lived, [*left.ledger, left.ledger[0]], "was paid 2 times"


def _paid_never(left: Left) -> tuple[Lived, list[LedgerRow], str]:
    return left.lived, left.ledger[1:], "was approved, or nobody was to be asked, and it was not paid"


def _refused_and_paid(left: Left) -> tuple[Lived, list[LedgerRow], str]:
    paid = {row["subject"].partition("/")[2] for row in left.ledger}
    (first, *_) = [row for row in left.lived.judged if row.asked and row.run_id in paid]
    judged = [msgspec.structs.replace(row, decision="reject") if row is first else row for row in left.lived.judged]
    return replace(left.lived, judged=judged), left.ledger, f"{first.run_id} was refused, and paid"


def _not_asked(left: Left) -> tuple[Lived, list[LedgerRow], str]:
    (first, *_) = [row for row in left.lived.judged if row.asked]
    judged = [row for row in left.lived.judged if row is not first]
    return replace(left.lived, judged=judged), left.ledger, f"about {first.run_id} nobody was asked"


def _asked_by_another_draw(left: Left) -> tuple[Lived, list[LedgerRow], str]:
    renamed = msgspec.structs.replace(left.lived.policy, name="others")
    return replace(left.lived, policy=renamed), left.ledger, "by the rules and the draw it is otherwise"


def _left_unended(left: Left) -> tuple[Lived, list[LedgerRow], str]:
    return replace(left.lived, runs=left.lived.runs[1:]), left.ledger, "is not there, and must be"


@pytest.mark.parametrize(
    "change", [_paid_twice, _paid_never, _refused_and_paid, _not_asked, _asked_by_another_draw, _left_unended]
)
def test_the_check_finds_what_is_not_as_it_must_be(
    left: Left, change: Callable[[Left], tuple[Lived, list[LedgerRow], str]]
) -> None:
    """One thing is changed, and it is told."""
    lived, ledger, complaint = change(left)
    problems = book_problems(FEW, lived, ledger)
    assert any(complaint in problem for problem in problems), problems


def test_the_draws_made_here_are_those_that_were_made_and_recorded(left: Left) -> None:
    """From the ids alone, and the same as the runtime's; so the same seed gives the same sample."""
    sampled = [row for row in left.lived.judged if row.draw is not None]
    assert len(sampled) > FEW.count / 2
    assert [row.draw for row in sampled] == [draw_of("payouts", "the rest", row.run_id) for row in sampled]
    policy = policyfile.load(LAB / "policy-2.yaml")
    ruling = evaluate(policy, {"amount": 5.0}, seed="p0003\x1fpay\x1f1")
    assert isinstance(ruling, Ruling) and ruling.draw == draw_of("payouts", "the rest", "p0003")


# --- what is counted, proposed and drawn --------------------------------------------------------------------------


def test_frauds_are_counted_in_the_ledger_and_not_by_what_people_said(left: Left) -> None:
    """A row that is taken from the ledger, or put into it, changes the figures; another book does not."""
    truth = {payout.name for payout in FEW.payouts if payout.fraud}
    came = outcome_of(left.lived, FEW, left.ledger, "2: few")
    assert came.caught + came.let_through == len(truth)
    fraud = LedgerRow(**{**left.ledger[0], "detail": {"id": "x", "usd": "999", "fraud": "yes"}})
    worse = outcome_of(left.lived, FEW, [*left.ledger, fraud], "2: few")
    assert (worse.let_through, worse.lost_usd) == (came.let_through + 1, came.lost_usd + 999)
    other = LedgerRow(**{**fraud, "subject": "other/p0000"})
    assert outcome_of(left.lived, FEW, [*left.ledger, other], "2: few") == came
    assert paid_from([other], "few") == []


def test_the_third_policy_is_sound_and_asks_above_the_threshold(left: Left) -> None:
    """Made from what was decided before the alarm; where the record has no threshold, the second policy stays."""
    proposal = propose(left.lived)
    policy, found = policyfile.parse(_yaml(proposal.policy_file))
    assert found == [] and policy is not None
    assert policy.version == ("3" if proposal.cut is not None else "2")
    assert len(before_the_alarm(left.lived)) == sum(row.decided_at is not None for row in left.lived.judged)


def _yaml(text: str) -> Any:
    import yaml

    return yaml.safe_load(text)


def test_the_chart_stands_alone_and_says_what_it_shows(left: Left) -> None:
    """Sound XML with heads, axes and a name for each policy; nothing in it is loaded from elsewhere."""
    outcomes = [outcome_of(left.lived, FEW, left.ledger, f"{number}: <some> & more") for number in (1, 2)]
    drawn = chart(outcomes)
    root = ElementTree.fromstring(drawn)
    words = [part.text or "" for part in root.iter("{http://www.w3.org/2000/svg}text")]

    assert {"week", "days", "1: <some> & more", "2: <some> & more"} <= set(words)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 2
    assert "href" not in drawn and "@import" not in drawn
    assert "simulated people" in drawn.lower()


# --- people, calendar and world -----------------------------------------------------------------------------------


def test_an_approver_looks_closely_where_little_is_open_and_hardly_at_all_where_much_is() -> None:
    """Minutes and nine of ten frauds; seconds and next to none."""
    person = Approver("Amina", 7)
    frauds = [payout for payout in payouts_of(7) if payout.fraud]
    careful, hurried = person.attention(5), person.attention(200)

    assert sum(person.stops(payout, careful) for payout in frauds) >= 0.75 * len(frauds)
    assert sum(person.stops(payout, hurried) for payout in frauds) <= 2
    assert all(person.seconds(payout, careful) > 200 for payout in frauds)
    assert all(person.seconds(payout, hurried) < 10 for payout in frauds)


def test_a_deep_queue_wears_a_person_out_and_an_empty_one_lets_them_recover() -> None:
    """Attention falls from day to day, and comes back."""
    person = Approver("Amina", 7)
    fresh = person.attention(0)
    for _ in range(5):
        person.evening(250)
    weary = person.attention(0)
    for _ in range(10):
        person.evening(0)

    assert weary < 0.7 * fresh
    assert person.attention(0) == fresh


def test_people_draw_alike_under_each_policy_and_sit_down_in_their_hours() -> None:
    """The same person, day and payout: the same times and eyes, in any order."""
    once, again = Approver("Bruno", 7), Approver("Bruno", 7)
    payout = payouts_of(7)[3]
    again.seconds(payouts_of(7)[9], 1.0)

    assert once.sittings(4) == again.sittings(4)
    assert once.seconds(payout, 0.5) == again.seconds(payout, 0.5)
    assert all(8 * 3600 < at - midnight(4) < 17 * 3600 for name in TEAM for at in Approver(name, 7).sittings(4))
    assert [week_of(midnight(day)) for day in (0, 4, 5, 9, 10)] == [0, 0, 1, 1, 2]


def test_one_payout_in_fifty_is_a_fraud_and_no_rule_tells_them_apart() -> None:
    """Frauds are larger on the whole, and honest payouts are among the largest too."""
    payouts = payouts_of(11)
    frauds = [payout.usd for payout in payouts if payout.fraud]
    honest = sorted(payout.usd for payout in payouts if not payout.fraud)

    assert (len(payouts), len(frauds)) == (2000, 40)
    assert sorted(frauds)[20] > honest[len(honest) * 3 // 4]
    assert min(frauds) < honest[-1] and honest[-20] > sorted(frauds)[20]


def test_the_payout_service_drops_repeats_in_a_book_and_refuses_what_nobody_asked_for(tmp_path: Path) -> None:
    """The same key is one payout in a book and another one in another book; amount and name must be those asked for."""
    payout = payouts_of(7)[0]
    order = {"book": "a", "payout": payout.name, "amount": str(payout.usd)}
    with start_services("approvals", tmp_path, seed=7) as services:

        def post(body: dict[str, str], key: str = "k") -> int:
            connection = HTTPConnection(urlsplit(services.http).netloc, timeout=10)
            connection.request("POST", "/payouts", json.dumps(body), {"Idempotency-Key": key})
            status = connection.getresponse().status
            connection.close()
            return status

        assert [post(order), post(order), post({**order, "book": "b"})] == [201, 201, 201]
        assert post({**order, "payout": "p9999"}) == 404
        assert post({**order, "amount": str(payout.usd + 1)}, "other") == 422
        rows = services.ledger()

    assert [row["subject"] for row in rows] == [f"a/{payout.name}", f"b/{payout.name}"]
    assert {row["detail"]["fraud"] for row in rows} == {"no"}


def test_the_policies_of_the_lab_are_sound() -> None:
    """Both files load, and are versions of one policy."""
    policies: list[Policy] = [policyfile.load(LAB / name) for name in driver.FILES]
    assert [(policy.name, policy.version) for policy in policies] == [("payouts", "1"), ("payouts", "2")]
