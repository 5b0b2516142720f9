"""The labs' services whose answers are not the whole story: a CRM that is behind, a travel world that is full, and a background
check that calls back. Real processes and sockets, as in `test_services`, whose hands are borrowed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.labs.services import Services, start_services
from tests.labs.test_services import call, effects, until


@pytest.fixture(scope="module")
def customers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """One world for all tests of mail and CRM; each keeps to a customer of its own."""
    faults = {"crm_delay_seconds": 0.2, "unseen_for": ["una"], "answered": ["ann"]}
    with start_services("forty_seven", tmp_path_factory.mktemp("customers"), faults) as services:
        yield services


@pytest.fixture(scope="module")
def travel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with start_services("weekend", tmp_path_factory.mktemp("travel"), {"full_towns": ["Brugge"]}) as services:
        yield services


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    faults = {"checked_early": ["early"], "checked_late": ["late"], "checked_twice": ["twice"], "never_checked": ["silent"]}
    with start_services("onboarding", tmp_path_factory.mktemp("checks"), {**faults, "check_seconds": 0.0}) as services:
        yield services


class TestCustomers:
    def test_a_mail_is_in_the_sent_log_at_once_and_in_the_crm_only_later(self, customers: Services) -> None:
        status, mail = call(customers, "POST", "/mails", {"to": "bob", "text": "hello"}, key="k-bob")
        sent = call(customers, "GET", "/sent?to=bob")
        seen_first = call(customers, "GET", "/crm/bob")[1]["mails"]

        assert (status, sent) == (201, (200, [{"id": mail["id"], "key": "k-bob"}]))
        assert seen_first == []
        assert until(lambda: call(customers, "GET", "/crm/bob")[1]["mails"]) == [{"id": mail["id"], "key": "k-bob"}]

    def test_a_mail_that_is_sent_twice_goes_out_twice_whatever_its_key(self, customers: Services) -> None:
        for _ in range(2):
            call(customers, "POST", "/mails", {"to": "cat", "text": "hello"}, key="k-cat")
        assert [row["key"] for row in effects(customers, "cat")] == ["k-cat", "k-cat"]

    def test_the_first_mail_to_some_never_shows_and_their_second_one_does(self, customers: Services) -> None:
        for key in ("first", "second"):
            call(customers, "POST", "/mails", {"to": "una", "text": "hello"}, key=key)
        seen = until(lambda: call(customers, "GET", "/crm/una")[1]["mails"])
        assert [mail["key"] for mail in seen] == ["second"]

    def test_the_crm_knows_who_has_answered(self, customers: Services) -> None:
        answers = {name: call(customers, "GET", f"/crm/{name}")[1]["has_answered"] for name in ("ann", "dan")}
        assert answers == {"ann": True, "dan": False}


class TestTravel:
    def test_towns_are_those_within_reach_and_the_nearest_comes_first(self, travel: Services) -> None:
        towns = [town["town"] for town in call(travel, "GET", "/towns?hours=2")[1]]
        assert towns == ["Brugge", "Gent", "Lille"]
        assert call(travel, "GET", "/towns?hours=soon") == (400, {"error": "hours must be a number"})

    def test_no_flight_is_to_be_had_and_nothing_is_to_be_done_anywhere(self, travel: Services) -> None:
        assert call(travel, "POST", "/flights", {"guest": "a", "to": "Gent"}) == (503, {"error": "the flight system is down"})
        assert call(travel, "GET", "/activities?town=Gent") == (200, [])

    def test_a_train_ticket_is_sold_once_under_a_key(self, travel: Services) -> None:
        sold = [call(travel, "POST", "/trains", {"guest": "bea", "to": "Gent"}, key="k-bea") for _ in range(2)]
        assert sold[0] == sold[1] == (201, {"id": sold[0][1]["id"], "to": "Gent", "by": "train"})
        assert len(effects(travel, "bea")) == 1

    def test_a_full_town_is_a_conflict_and_no_booking(self, travel: Services) -> None:
        refused = call(travel, "POST", "/hotels", {"guest": "cem", "town": "Brugge"})
        assert refused == (409, {"error": "Brugge is fully booked"})
        assert effects(travel, "cem") == []

    def test_rooms_can_be_asked_for_and_given_back_once(self, travel: Services) -> None:
        _, room = call(travel, "POST", "/hotels", {"guest": "dan", "town": "Gent"})
        found = call(travel, "GET", "/hotels?guest=dan&town=Gent")[1]
        cancelled = [call(travel, "DELETE", f"/hotels/{room['id']}")[1]["cancelled"] for _ in range(2)]

        assert found == [room]
        assert cancelled == [True, False]
        assert call(travel, "GET", "/hotels?guest=dan&town=Gent")[1] == []
        assert [row["action"] for row in effects(travel, "dan")] == ["booked", "cancelled"]


class TestChecks:
    """The command that brings a result is the real one; the store has never heard of these tokens, so it refuses them."""

    def take(self, checks: Services, user: str, store: Path, token: str = "hfcb_unknown") -> tuple[int, Any]:
        request = {"user": user, "name": user.title(), "token": token, "store": str(store)}
        return call(checks, "POST", "/checks", request, key=f"k-{user}", timeout_seconds=30.0)

    def brought(self, checks: Services, user: str) -> list[str]:
        return [row["action"] for row in effects(checks, user) if row["service"] == "callbacks"]

    def test_a_request_is_taken_once_and_answered_before_it_is_done(self, checks: Services, tmp_path: Path) -> None:
        store = tmp_path / "none.db"
        taken = [self.take(checks, "late", store) for _ in range(2)]
        assert taken[0] == taken[1] == (202, {"id": taken[0][1]["id"], "due_seconds": 3600.0})
        assert [row["service"] for row in effects(checks, "late")] == ["background"]

    def test_a_late_result_is_brought_when_the_driver_says_so(self, checks: Services, tmp_path: Path) -> None:
        self.take(checks, "late", tmp_path / "none.db")
        code, said = checks.deliver("late")
        assert code != 0 and said
        assert self.brought(checks, "late") == ["refused"]
        with pytest.raises(RuntimeError, match="no check was asked for"):
            checks.deliver("nobody")

    def test_an_early_result_is_brought_before_the_request_is_answered(self, checks: Services, tmp_path: Path) -> None:
        self.take(checks, "early", tmp_path / "none.db")
        assert self.brought(checks, "early") == ["refused"]

    def test_a_result_may_be_brought_twice_or_never(self, checks: Services, tmp_path: Path) -> None:
        assert self.take(checks, "silent", tmp_path / "none.db")[1]["due_seconds"] < 60
        self.take(checks, "twice", tmp_path / "none.db")
        until(lambda: len(self.brought(checks, "twice")) == 2, timeout_seconds=30.0)
        assert self.brought(checks, "silent") == []

    def test_the_ledger_never_has_a_token_in_it(self, checks: Services, tmp_path: Path) -> None:
        """Not even in what the command said of it."""
        self.take(checks, "early", tmp_path / "none.db")
        rows = json.dumps(checks.ledger())
        assert '"callbacks"' in rows and "hfcb_" not in rows
