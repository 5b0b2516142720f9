"""The group of all commands: its help, what stands before a command, and how every error ends.

A command returns its exit code. What it raises becomes one line on stderr here, and nowhere else: the errors of holdfast
by who must act next, the mistakes of a command line with how to get help.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import typer
from typer.core import TyperGroup

from holdfast.cli import options
from holdfast.cli.reading import read_plainly
from holdfast.cli.text import say
from holdfast.errors import HoldfastError

HELP = """
Run agents that do real work: nothing lost, nothing done twice, every run explained.

\b
Exit codes:
    0  done
    1  failed: a run failed or was cancelled, a journal is broken
    2  used wrongly: a flag, a file, a plan, an answer that cannot be taken
    3  waits for a person: a run asks, or a word is to be confirmed
    4  not finished: patience is over, another worker has it, it was stopped
    5  the store cannot be used or trusted
  130  interrupted

Of several runs the worst counts: 5, then 1, 3, 4, 0.
"""

EPILOG = options.examples(
    "holdfast run refunds.py 'Refund order 7 in full' --id order-7",
    "holdfast show order-7",
    "holdfast inbox",
    "holdfast answer order-7 approve",
    "holdfast run --help      # every command has examples",
)


# Groups of commands, each with the command before which it stands.
GROUPS = {"inbox": "answer", "people": "allow", "schedule": "check", "memory": "check", "eval": "check"}


class Commands(TyperGroup):
    """The group of all commands, which knows how errors end."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """In the order in which people meet them; typer would put the groups among them first."""
        names = [name for name in super().list_commands(ctx) if name not in GROUPS]
        for name, before in GROUPS.items():
            if before in names:
                names.insert(names.index(before), name)
        return names

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The words of the group itself."""
        read_plainly(self, ctx)
        return super().parse_args(ctx, args)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        """The command, whose words are read without loading more than they need."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            read_plainly(command, ctx)
        return command

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run one command and leave with its exit code."""
        given = list(sys.argv[1:] if args is None else args)
        try:
            _check_words(given)
            code = super().main(given, "holdfast", complete_var, False, windows_expand_args, **extra)
        except typer.TyperException as mistake:
            where = getattr(getattr(mistake, "ctx", None), "command_path", "holdfast")
            said = " ".join(mistake.format_message().replace("Value error, ", "").split()).rstrip(".")
            code = _told(f"{said} — see `{where} --help`", options.WRONG)
        except typer.Abort:
            code = options.INTERRUPTED
        except HoldfastError as error:
            code = _told(str(error), options.code_of_error(error))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            # What is printed goes into a file; what is left of it would be tried again when the process ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = _told(f"what is printed has no room where it goes ({error.strerror})", options.FAILED)
        sys.exit(code if isinstance(code, int) else options.DONE)


def _told(text: str, code: int) -> int:
    say(f"holdfast: {text}")
    return code


def _check_words(given: list[str]) -> None:
    """Refuse words that are no text: bytes that are not UTF-8 arrive as half characters."""
    for word in given:
        if any("\ud800" <= character <= "\udfff" for character in word):
            options.wrong(f"the argument {word.encode('utf-8', 'replace').decode()!r} is not UTF-8")


class Room(Protocol):
    """A module with commands."""

    def register(self, app: typer.Typer) -> None:
        """Add them."""


def made(rooms: Iterable[Room]) -> typer.Typer:
    """The command line with the commands of these rooms."""
    app = typer.Typer(
        name="holdfast", cls=Commands, help=HELP, epilog=EPILOG, rich_markup_mode=None, add_completion=False,
        pretty_exceptions_enable=False, context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 110},
    )  # fmt: skip

    @app.callback(invoke_without_command=True)
    def root(
        context: typer.Context,
        version: bool = typer.Option(False, "--version", help="Say which release this is, and end."),
    ) -> None:
        if version:
            from holdfast import __version__

            print(f"holdfast {__version__}")
            raise typer.Exit(options.DONE)
        if context.invoked_subcommand is None:
            print(context.get_help(), file=sys.stderr)
            raise typer.Exit(options.WRONG)

    for room in rooms:
        room.register(app)
    return app


def begin(rooms: Iterable[Room]) -> None:
    """Do what the command line says, with the commands of these rooms."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    made(rooms)()
