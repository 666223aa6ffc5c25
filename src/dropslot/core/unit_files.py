"""Words in a systemd unit file (systemd.syntax(7), systemd.unit(5))."""

from __future__ import annotations


def quoted(text: str) -> str:
    """As systemd reads a word: % begins a specifier there, and a blank ends a word."""
    plain = text.replace("%", "%%")
    if not set(plain) & set(" \t\"'\\"):
        return plain
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def command_line(words: list[str]) -> str:
    """The value of ExecStart: there, $ begins a variable."""
    return " ".join(map(quoted, words)).replace("$", "$$")
