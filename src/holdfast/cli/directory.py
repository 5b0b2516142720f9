"""`people`: who may decide what people are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.given import only_before
from holdfast.cli.options import DONE, AsJson, Db, command, examples, in_store, wrong
from holdfast.cli.text import one_line, put, put_json, say

if TYPE_CHECKING:
    from holdfast.app import Holdfast
    from holdfast.cli.drawing import Cell
    from holdfast.journal.people import Person


def register(app: typer.Typer) -> None:
    """Add this group of commands."""
    group = typer.Typer(
        help=HELP,
        short_help="Who may decide what people are asked.",
        epilog=EXAMPLES,
        rich_markup_mode=None,
        add_completion=False,
    )
    group.callback(invoke_without_command=True)(root)
    group.command("add", epilog=ADD_EXAMPLES)(add)
    group.command("remove", epilog=REMOVE_EXAMPLES)(remove)
    app.add_typer(group, name="people")


HELP = """Who may decide what people are asked: names and roles.

Without a command it lists who is known. As long as nobody is, anybody may decide what names nobody; from the first one on, only
people who are listed may. A question that names a role or a person is for those alone.
"""

EXAMPLES = examples(
    "holdfast people",
    "holdfast people add ann --role finance --mail ann@shop.example",
    "holdfast people --json | jq -r 'select(.roles | index(\"finance\")) | .name'",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="As it is given with --by.", show_default=False)]


def root(context: typer.Context, json: AsJson = False, db: Db = "holdfast.db") -> int | None:
    if context.invoked_subcommand is not None:
        only_before(context)
        return None

    async def go(app: Holdfast) -> int:
        found = await app.inbox.people()
        if json:
            put_json(found)
        elif found:
            _listed(found)
        else:
            adding = command(db, "people", "add", "NAME", "--role", "ROLE")
            say(f"nobody is known in {db}, so anybody may decide what names nobody: {adding}")
        return DONE

    raise typer.Exit(in_store(db, go))


def _listed(people: list[Person]) -> None:
    from holdfast.cli.drawing import table

    table(("name", "roles", "mail", "only for"), map(_cells, people))


def _cells(person: Person) -> tuple[Cell, ...]:
    return (person.name, "bold"), (", ".join(person.roles), "cyan"), (person.mail, ""), (", ".join(person.tenants), "")


ADD_EXAMPLES = examples(
    "holdfast people add ann --role finance --role heads",
    "holdfast people add bob --role support --mail bob@shop.example --tenant acme",
)


def add(
    name: Name,
    role: Annotated[
        list[str] | None, typer.Option("--role", metavar="ROLE", help="A role, again for each.", show_default=False)
    ] = None,
    mail: Annotated[str, typer.Option("--mail", metavar="ADDRESS", help="Where they are told.", show_default=False)] = "",
    tenant: Annotated[
        list[str] | None,
        typer.Option("--tenant", metavar="NAME", help="Whose runs alone they decide about, again for each.", show_default=False),
    ] = None,
    json: AsJson = False,
    db: Db = "holdfast.db",
) -> int:
    """Let somebody be known, with their roles.

    Somebody of that name who is there already is replaced, with all that was said of them.
    """
    if mail and ("@" not in mail or any(character.isspace() for character in mail)):
        wrong(f"--mail {mail!r} is no address", "write it as ann@shop.example")

    async def go(app: Holdfast) -> int:
        before = await app.inbox.people()
        person = await app.inbox.put_person(name, role or (), mail=mail, tenants=tenant or ())
        if json:
            put_json([person])
        else:
            put(_line(person))
        was = next((one for one in before if one.name == person.name), None)
        if was is not None and was != person:
            say(f"in place of: {_line(was)}")
        if not before:
            say("from now on only people of this store decide what people are asked")
        return DONE

    return in_store(db, go, new=True)


def _line(person: Person) -> str:
    parts = [
        one_line(person.name),
        f"roles {one_line(', '.join(person.roles))}" if person.roles else "no role",
        one_line(person.mail),
        f"only for {one_line(', '.join(person.tenants))}" if person.tenants else "",
    ]
    return "  ".join(filter(None, parts))


REMOVE_EXAMPLES = examples("holdfast people remove bob")


def remove(name: Name, json: AsJson = False, db: Db = "holdfast.db") -> int:
    """Forget somebody.

    What they decided stays decided; what they approved in advance goes on to hold until it is revoked.
    """

    async def go(app: Holdfast) -> int:
        if not await app.inbox.remove_person(name):
            wrong(f"nobody is known as {name}", f"{command(db, 'people')} lists who is")
        if json:
            put_json([{"removed": name}])
        else:
            put(f"{one_line(name)}  is known no more")
        if not await app.inbox.people():
            say("nobody is known any more, so anybody may decide what names nobody")
        given = [one.id for one in await app.inbox.standing(active=True) if one.by == name]
        if given:
            say(f"{len(given)} that they approved in advance still hold: {command(db, 'allowed')}")
        return DONE

    return in_store(db, go)
