"""Who the people are, in SQL."""

from __future__ import annotations

import json

import apsw

from holdfast.journal.people import Person
from holdfast.journal.sqlite.file import all_rows


def listed(connection: apsw.Connection) -> list[Person]:
    """See `PeopleStore.people`."""
    rows = all_rows(connection, "select name, roles, mail, tenants from people order by name")
    return [
        Person(name=name, roles=tuple(json.loads(roles)), mail=mail, tenants=tuple(json.loads(tenants)))
        for name, roles, mail, tenants in rows
    ]


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
