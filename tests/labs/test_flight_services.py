"""The services of the lab `flight`: a calendar, and an airline whose first search is never answered. Real processes and sockets, as
in `test_services`, whose hands are borrowed."""

from collections import Counter
from collections.abc import Iterator

import pytest

from holdfast.labs.flight.story import flight_at
from holdfast.labs.services import Services, start_services
from holdfast.labs.services.flights import flights_of_a_day
from tests.labs.test_services import call, effects


@pytest.fixture(scope="module")
def airline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """One world for all tests; each keeps to a traveller of its own."""
    with start_services("flight", tmp_path_factory.mktemp("airline"), {"lost_after_seconds": 0.05}) as services:
        yield services


def search(services: Services, traveller: str) -> list[str]:
    _, found = call(services, "GET", f"/flights?traveller={traveller}&from=San+Francisco&to=NYC")
    return [one["flight"] for one in found]


def booking(traveller: str, departs: str = "09:00", **other: object) -> dict[str, object]:
    flight = flight_at(departs)
    return {"traveller": traveller, "flight": flight["flight"], "airport": flight["airport"], "usd": flight["usd"], **other}


def test_there_are_47_flights_of_which_18_go_where_the_traveller_does_not_want_to() -> None:
    """Each has a name of its own; the nine o'clock one is 12 dollars more than the eight o'clock one."""
    flights = flights_of_a_day()
    assert Counter(one["airport"] for one in flights) == {"JFK": 18, "LGA": 14, "EWR": 15}
    assert len({one["flight"] for one in flights}) == 47
    assert flight_at("09:00")["usd"] - flight_at("08:00")["usd"] == 12


def test_the_first_search_of_each_traveller_is_never_answered(airline: Services) -> None:
    """The second one is; from elsewhere nothing flies."""
    with pytest.raises(OSError):
        search(airline, "ann")
    assert len(search(airline, "ann")) == 47
    assert call(airline, "GET", "/flights?traveller=ann&from=Oslo&to=NYC") == (200, [])


def test_a_flight_is_sold_out_for_one_traveller(airline: Services) -> None:
    """It is neither found, held nor booked any more."""
    gone = str(booking("bob")["flight"])
    airline.sell_out("bob", gone)
    with pytest.raises(OSError):
        search(airline, "bob")
    assert gone not in search(airline, "bob")
    refused = (409, {"error": f"{gone} is sold out"})
    assert call(airline, "POST", "/seats", {"traveller": "bob", "flight": gone}, key="k-bob") == refused
    assert call(airline, "POST", "/bookings", booking("bob")) == refused
    assert call(airline, "POST", "/bookings", booking("cem"))[0] == 201
    assert effects(airline, "bob") == []


def test_a_seat_is_held_once_under_a_key_and_released_once(airline: Services) -> None:
    """Whoever asks again."""
    flight = flight_at("06:00")["flight"]
    held = [call(airline, "POST", "/seats", {"traveller": "dan", "flight": flight}, key="k-dan") for _ in range(2)]
    assert held[0] == held[1] == (201, {"id": held[0][1]["id"], "flight": flight, "airport": "LGA"})
    released = [call(airline, "DELETE", f"/seats/{held[0][1]['id']}")[1]["released"] for _ in range(2)]
    assert released == [True, False]
    assert [row["action"] for row in effects(airline, "dan")] == ["held", "released"]


def test_a_booking_takes_the_fare_of_the_flight_and_as_often_as_it_comes(airline: Services) -> None:
    """There are no keys; another fare and another airport are refused."""
    dear, elsewhere = booking("eva", usd=1), booking("eva", airport="JFK")
    statuses = [
        call(airline, "POST", "/bookings", body, key="k")[0] for body in (dear, elsewhere, booking("eva"), booking("eva"))
    ]
    assert statuses == [409, 422, 201, 201]
    rows = effects(airline, "eva")
    assert [(row["service"], row["detail"]["usd"]) for row in rows] == [("payments", "201"), ("bookings", "201")] * 2
