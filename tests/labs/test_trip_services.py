"""The services of the labs `drift`, `second_run` and `news`: prices that move, rooms that are held, and a search that is easily
too narrow. Real processes and sockets, as in `test_services`, whose hands are borrowed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.labs.services import Services, start_services
from tests.labs.test_services import call, effects


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """One world for all tests of trips; each keeps to a guest of its own."""
    with start_services("drift", tmp_path_factory.mktemp("trips")) as services:
        yield services


def test_a_price_moves_for_one_guest_in_one_town(trips: Services) -> None:
    """When the driver says so."""
    trips.change_price("ann", "Bergen", "199.50")
    prices = [
        call(trips, "GET", f"/prices?guest={guest}&town={town}")[1]["usd"]
        for guest in ("ann", "bob")
        for town in ("Bergen", "Trondheim")
    ]
    assert prices == ["199.50", "140", "180", "140"]
    assert call(trips, "GET", "/prices?guest=ann&town=Rome") == (404, {"error": "there are no rooms in Rome"})


def test_a_room_is_held_once_under_a_key_and_given_back_once(trips: Services) -> None:
    """Whoever asks again."""
    body = {"guest": "cem", "town": "Bergen", "beds": "2"}
    held = [call(trips, "POST", "/rooms", body, key="k-cem") for _ in range(2)]
    assert held[0] == held[1] == (201, {"id": held[0][1]["id"], "town": "Bergen", "beds": 2})
    back = [call(trips, "DELETE", f"/rooms/{held[0][1]['id']}")[1]["given_back"] for _ in range(2)]
    assert back == [True, False]
    assert [row["action"] for row in effects(trips, "cem")] == ["held", "given back"]


def test_a_payment_is_taken_at_the_price_of_the_moment_and_as_often_as_it_comes(trips: Services) -> None:
    """There are no keys; a room that is not held, or that is somebody else's, cannot be paid."""
    room = call(trips, "POST", "/rooms", {"guest": "dan", "town": "Bergen", "beds": "1"}, key="k-dan")[1]["id"]
    trips.change_price("dan", "Bergen", "200")
    old = call(trips, "POST", "/payments", {"guest": "dan", "room": room, "usd": "180"}, key="k-pay")
    paid = [call(trips, "POST", "/payments", {"guest": "dan", "room": room, "usd": "200"}, key="k-pay")[0] for _ in range(2)]
    stolen = call(trips, "POST", "/payments", {"guest": "eve", "room": room, "usd": "200"})
    assert (old, paid, stolen) == ((409, {"error": "it costs 200"}), [201, 201], (404, {"error": "no such room is held"}))
    assert [row["action"] for row in effects(trips, "dan")] == ["held", "paid", "paid"]


def test_a_booking_is_made_once_under_a_key_and_at_the_price_of_the_day(trips: Services) -> None:
    """What it is for is in the ledger."""
    body = {"guest": "fay", "town": "Bergen", "address": "Strandgaten 9", "beds": "2", "usd": "180", "cost_centre": "K-1"}
    booked = [call(trips, "POST", "/bookings", body, key="k-fay") for _ in range(2)]
    assert booked[0] == booked[1] and booked[0][0] == 201
    assert call(trips, "POST", "/bookings", {**body, "usd": "1"}, key="k-other") == (409, {"error": "it costs 180"})
    assert [row["detail"]["cost_centre"] for row in effects(trips, "fay")] == ["K-1"]


def test_a_search_finds_what_has_all_of_the_words(tmp_path: Path) -> None:
    """A headline with a comma in it too; and nothing at all where one word is too many."""
    with start_services("news", tmp_path) as services:
        found = [hit["page"] for hit in call(services, "GET", "/search?words=tidal+power")[1]]
        none = call(services, "GET", "/search?words=top+three+news+stories+about+tidal+power")
        missing = call(services, "GET", "/pages/nothing")
    assert found == ["sea-wall", "kites", "eels", "price", "harbour", "storm"]
    assert (none, missing) == ((200, []), (404, {"error": "there is no such page"}))
