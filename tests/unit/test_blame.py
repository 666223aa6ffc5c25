"""What went wrong in somebody's own code, in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dropslot.config.mistakes.blame import LONGEST, in_words


class Odd(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def raised(source: str, file: Path) -> BaseException:
    """What code in a file raises when it is run."""
    try:
        exec(compile(source, str(file), "exec"), {"Odd": Odd, "json": json})
    except BaseException as error:  # noqa: BLE001
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def f():\n  raise ValueError('no scan')\nf()", "ValueError: no scan ({}:2, in f)"),
        (
            "json.loads('{')",
            "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2",
        ),
        ("raise Odd()", "Odd: its own text cannot be shown ({}:1, in <module>)"),
        ("raise KeyError()", "KeyError ({}:1, in <module>)"),
        ("raise SystemExit(3)", "SystemExit: 3 ({}:1"),
        ("raise ValueError('a\\n\\x1b[31mb')", r"ValueError: a \x1b[31mb ({}:1"),
        ("x = (", "SyntaxError: '(' was never closed"),
    ],
)
def test_the_kind_the_message_and_the_line_are_said(source: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "tasks.py"
    said = in_words(raised(source, file))
    assert said.startswith(words.format(file))
    assert f"{file}:" in said and said.isprintable()


def test_a_long_message_is_cut() -> None:
    assert len(in_words(ValueError("x" * 9999))) < LONGEST + 50
