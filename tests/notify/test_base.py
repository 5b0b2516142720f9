"""Who is told."""

from __future__ import annotations

import pytest

from holdfast.journal.people import Person
from holdfast.notify.base import addressees
from tests.notify.kit import ANN, BOB, notice

CAT = Person(name="cat", roles=("finance",), tenants=("north",))


@pytest.mark.parametrize(
    ("who", "tenant", "told"),
    [
        ((), "", ["ann", "bob"]),
        ((), "north", ["ann", "bob", "cat"]),
        ((), "south", ["ann", "bob"]),
        (("finance",), "north", ["ann", "cat"]),
        (("finance",), "", ["ann"]),
        (("bob", "nobody"), "", ["bob"]),
        (("cat",), "south", []),
        (("fin",), "north", []),
    ],
)
def test_told_are_those_with_the_role_or_name_and_of_the_tenant(who: tuple[str, ...], tenant: str, told: list[str]) -> None:
    """All, where none is named; and nobody hears of a tenant whose runs are not theirs."""
    found = addressees(notice(who=who, tenant=tenant), [ANN, BOB, CAT])
    assert [person.name for person in found] == told
