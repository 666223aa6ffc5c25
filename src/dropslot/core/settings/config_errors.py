"""What is wrong with a configuration: every mistake, in one error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dropslot.core.concealing import conceal, conceal_value
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

Location = tuple[str | int, ...]

_LONGEST_VALUE = 80


class _NoValue:
    def __repr__(self) -> str:
        return "NO_VALUE"


NO_VALUE = _NoValue()


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: the key as people write it (`routes.study.deliver[0].to`), its value, what was expected.

    `line` counts from 1 in config.yaml; None where the configuration is no file. `value` is NO_VALUE where
    there is none, or where it must not be shown.
    """

    key: str
    value: Any
    expected: str
    line: int | None = None
    example: str = ""

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        key, expected = conceal_value(self.key), conceal(self.expected)
        value = "" if self.value is NO_VALUE else f" is {shown(self.value)}"
        example = f" For example: {self.example}" if self.example else ""
        stop = "" if expected.endswith("?") else "."
        return f"{where}{key or 'the file'}{value}: {expected}{stop}{example}"


class ConfigError(DropslotError):
    """The configuration cannot be used; nothing was started. `problems` has every mistake that was found."""

    code = "config"

    def __init__(self, problems: Sequence[Problem], source: str = "") -> None:
        self.problems = list(problems)
        self.source = source
        count = len(self.problems)
        super().__init__(f"{source or 'The configuration'} has {count} mistake{'s' if count != 1 else ''}")

    def __str__(self) -> str:
        return "\n".join([f"{self.what}:", *(f"  {problem}" for problem in self.problems)])


def key_of(location: Location) -> str:
    """`("routes", "study", "deliver", 0, "to")` as `routes.study.deliver[0].to`."""
    key = ""
    for step in location:
        if isinstance(step, int):
            key += f"[{step}]"
        else:
            word = escape(conceal_value(step))
            key += f".{word}" if key else word
    return key


def shown(value: Any) -> str:
    """A value as people can read it in a terminal, without secrets, cut short."""
    value = conceal_value(value)
    # A backslash stays: regular expressions are full of them, and no names are copied from here.
    text = escape(f"'{value}'" if isinstance(value, str) else _plain(value)).replace(r"\x5c", "\\")
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _plain(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
