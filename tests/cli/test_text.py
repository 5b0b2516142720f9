"""Foreign text is made harmless before a terminal gets it."""

from __future__ import annotations

import json

import pytest

from holdfast.cli.text import as_json, clean, one_line

STEERING = {
    "a colour": ("\x1b[31mred\x1b[0m", "red"),
    "a title, ended by a bell": ("\x1b]0;owned\x07text", "text"),
    "a title, ended by a string terminator": ("\x1b]0;owned\x1b\\text", "text"),
    "a link": ("\x1b]8;;http://evil\x1b\\here\x1b]8;;\x1b\\", "here"),
    "a device string": ("\x1bPq#0\x1b\\text", "text"),
    "eight-bit CSI": ("\x9b1mbold", "bold"),
    "eight-bit OSC": ("\x9d0;owned\x9ctext", "text"),
    "clearing the screen": ("\x1b[2J\x1b[H\x1bctext", "text"),
    "a sequence that never ends": ("\x1b]0;owned", "0;owned"),
    "an escape alone": ("a\x1b", "a"),
    "a carriage return over the line": ("good\rbad", "goodbad"),
    "a backspace": ("ab\b\bxy", "abxy"),
    "a bell and a null": ("a\x07b\x00c", "abc"),
    "delete": ("a\x7fb", "ab"),
    "a line turned round": ("\u202egnp.exe\u202c", "gnp.exe"),
    "an isolate": ("\u2066a\u2069", "a"),
    "a mark of direction": ("a\u200fb\u200eb\u061cb", "abbb"),
    "a separator of lines": ("a\u2028b\u2029c", "abc"),
    "letters in tags": ("a\U000e0041\U000e0042b", "ab"),
    "half a character": ("a\ud800b", "ab"),
    "a byte-order mark": ("\ufeffa", "a"),
}


@pytest.mark.parametrize("name", STEERING)
def test_what_steers_a_terminal_is_taken_out(name: str) -> None:
    """All of it, and nothing else."""
    text, left = STEERING[name]
    assert clean(text) == left


@pytest.mark.parametrize("text", ["plain", "naïve — „quoted“", "日本語", "emoji 👩‍👩‍👧 🏴", "line\nline\tcell", "שלום", "مرحبا"])
def test_what_people_write_stays(text: str) -> None:
    """Other scripts, emoji of several parts, line ends and tabs."""
    assert clean(text) == text


def test_one_line_is_one_line() -> None:
    """Line ends, tabs and runs of spaces become one space."""
    assert one_line("  a\n\n b\tc\r\nd ") == "a b c d"


@pytest.mark.parametrize("name", [name for name in STEERING if name != "half a character"])
def test_json_for_machines_loses_nothing_and_steers_nothing(name: str) -> None:
    """Control characters stand as escapes."""
    text, _ = STEERING[name]
    line = as_json({"text": text})
    assert clean(line) == line and "\n" not in line
    assert json.loads(line) == {"text": text}
