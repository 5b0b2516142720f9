"""An explanation as Markdown (CommonMark), to be pasted into a ticket.

Words and values in it come from models, tools and people. They stand in one line each, with their marks escaped, as
`views/markdown.py` writes them; so nothing of them becomes a heading, a link, a table or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from holdfast.views.handoff.package import Command, plain_command
from holdfast.views.markdown import code, text
from holdfast.views.why.lines import Line, ask_lines, head_lines, step_lines
from holdfast.views.why.links import near
from holdfast.views.why.records import EntryWhy, Link, Why
from holdfast.views.words import moment

LINE_MAX = 1500


def markdown(found: Why, *, command: Command = plain_command) -> str:
    """An explanation as a page. command: makes the command lines, for the store that they are for."""
    lines = [f"# Why run {code(found.run_id)} is as it is", "", f"**{text(found.first, LINE_MAX)}**", ""]
    lines += [f"- **Agent:** {code(found.agent)}, {found.entries} entries, as of {moment(found.at)}"]
    lines += _listed(line for line in head_lines(found) if line[1])
    if found.fork is not None:
        lines += [f"- of the source: {code(command('show', found.fork.source, '--why'))}"]
    if found.entry is not None:
        lines += ["", *_entry(found.entry)]
    elif found.chain:
        lines += ["", "## From the last entry back", "", *map(_link, near(found.chain))]
    for asked in found.asks:
        lines += ["", f"## Asked of the run: {code(asked.interrupt)}", "", *_listed(ask_lines(asked))]
    for step in found.steps:
        lines += ["", f"## Step {code(step.step)} — {code(step.tool)}", "", f"**{text(step.said, LINE_MAX)}**", ""]
        lines += _listed(step_lines(step))
        if step.child:
            lines += [f"- of that run: {code(command('show', step.child, '--why'))}"]
    if found.others:
        lines += ["", "## The other steps", ""]
        lines += [f"- {code(one.step)} ({code(one.tool)}): {text(one.said, LINE_MAX)}" for one in found.others]
        lines += (
            [f"- … and {found.others_more} more: {code(command('show', found.run_id, '--why', '--all'))}"]
            if found.others_more
            else []
        )
    return "\n".join(lines) + "\n"


def _entry(entry: EntryWhy) -> Iterator[str]:
    yield f"## Entry {entry.entry}: {code(entry.event)}, {moment(entry.at)}"
    yield ""
    yield f"**{text(entry.said, LINE_MAX)}**"
    yield ""
    yield f"- {code(entry.fields)}"
    for link in entry.chain:
        yield f"- because of {_link(link).removeprefix('- ')}"
    for link in entry.followed:
        yield f"- then {_link(link).removeprefix('- ')}"


def _link(link: Link) -> str:
    said = text(link.said, LINE_MAX)
    return f"- {link.entry}, {moment(link.at)}: {f'**{said}**' if link.told else said}"


def _listed(lines: Iterable[Line]) -> list[str]:
    """Labelled lines as a list; what has no label stands beneath what has one."""
    return [
        f"- **{label.capitalize()}:** {_said(words)}" if label else f"  - {_BEGINS.sub(_ESCAPED, _said(words))}"
        for label, words in lines
    ]


def _said(words: str) -> str:
    return text(words, LINE_MAX)


# What would make something else of a line if it stood at its beginning.
_BEGINS, _ESCAPED = re.compile(r"^([0-9]*)([#+\-=.)])"), r"\1\\\2"
