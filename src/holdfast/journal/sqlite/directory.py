"""Who the people are, in SQL."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import apsw

from holdfast.journal.people import Person
from holdfast.journal.sqlite.file import all_rows, one_row

_ROW = "name, roles, mail, tenants"


def listed(connection: apsw.Connection) -> list[Person]:
    """See `PeopleStore.people`."""
    return [_read(row) for row in all_rows(connection, f"select {_ROW} from people order by name")]


def those(connection: apsw.Connection, names: Iterable[str]) -> dict[str, Person] | None:
    """Those of these names who are known, by name; None where nobody at all is."""
    if one_row(connection, "select 1 from people limit 1") is None:
        return None
    rows = (one_row(connection, f"select {_ROW} from people where name = ?", (name,)) for name in set(names))
    return {row[0]: _read(row) for row in rows if row is not None}


def _read(row: tuple[Any, ...]) -> Person:
    name, roles, mail, tenants = row
    return Person(name=name, roles=tuple(json.loads(roles)), mail=mail, tenants=tuple(json.loads(tenants)))


def put(connection: apsw.Connection, person: Person) -> None:
    """See `PeopleStore.put_person`."""
    connection.execute(
        "insert or replace into people (name, roles, mail, tenants) values (?,?,?,?)",
        (person.name, json.dumps(person.roles), person.mail, json.dumps(person.tenants)),
    )


def remove(connection: apsw.Connection, name: str) -> bool:
    """See `PeopleStore.remove_person`."""
    connection.execute("delete from people where name = ?", (name,))
    return connection.changes() > 0
