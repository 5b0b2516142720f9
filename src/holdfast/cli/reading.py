"""What stands on a command line becomes values. Typer has pydantic read every one of them, which takes longer to load than most
commands take; a text is a text, and what is not given is nothing, without it.

This hooks into a part of typer that it does not promise to keep. Where it is another one, all is read by typer as ever.
"""

from __future__ import annotations

from typing import Any

import typer

_TEXT: tuple[Any, ...] = (str, str | None)


class Plain:
    """Reads one parameter: texts and nothing at once, all else by what typer would use."""

    def coerce(self, value: Any, param: Any, ctx: typer.Context) -> Any:
        """The value, as the command takes it; typer's BadParameter where it cannot be one."""
        many = param.multiple or param.nargs == -1
        if value is None:
            return () if many else None
        if isinstance(value, str) and not many and param.type_descriptor.annotation in _TEXT:
            return value
        if many and isinstance(value, (list, tuple)) and param.type_descriptor.annotation in (list[str], list[str] | None):
            return list(value)
        from typer._coercion import build_runtime_param

        return build_runtime_param(param.type_descriptor).coerce(value, param=param, ctx=ctx)


def read_plainly(command: Any, ctx: typer.Context) -> None:
    """Have the parameters of a command read so, where this is a typer that can."""
    for param in command.get_params(ctx):
        if getattr(param, "_runtime_param", ...) is None and hasattr(param, "type_descriptor"):
            param._runtime_param = Plain()
