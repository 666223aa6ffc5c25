"""Errors in code that is not dropslot's own (a hook, a check, a field), in words for its author."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from dropslot.core.concealing import conceal
from dropslot.core.names import escape

LONGEST = 300
_DROPSLOT = str(Path(__file__).parents[2]) + os.sep
_PYTHON = re.escape(os.path.dirname(os.__file__))
_OF_OTHERS = re.compile(rf"<.*>|.*/(site|dist)-packages/.*|{_PYTHON}/.*", re.DOTALL)


def in_words(error: BaseException) -> str:
    """`ValueError: no such scan (/srv/lab/plugins/tasks.py:12, in convert)`: the kind, what it says, and where in the
    code of who wrote the hook. One line, escaped, its message cut; never raises, whatever the error's own text does."""
    kind, said, where = type(error).__name__, _said(error), _where(error)
    return f"{kind}{': ' if said else ''}{said}{f' ({where})' if where else ''}"


def _said(error: BaseException) -> str:
    try:
        text = conceal(" ".join(str(error).split()))
    except Exception:  # noqa: BLE001 - the text of an error is code of somebody's own, too
        return "its own text cannot be shown"
    return escape(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")


def _where(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{escape(error.filename)}:{error.lineno}"
    frames = [frame for frame in _frames(error) if not frame[0].startswith(_DROPSLOT)]
    for file, line, function in reversed(_own(error) or frames):
        return f"{escape(file)}:{line}, in {escape(function)}"
    return ""


def is_own(error: BaseException) -> bool:
    """Whether it went through code that is neither dropslot's nor a library's."""
    return bool(_own(error))


def _own(error: BaseException) -> list[tuple[str, int, str]]:
    outside = [frame for frame in _frames(error) if not frame[0].startswith(_DROPSLOT)]
    return [frame for frame in outside if not _OF_OTHERS.fullmatch(frame[0])]


def _frames(error: BaseException) -> Iterator[tuple[str, int, str]]:
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        yield code.co_filename, step.tb_lineno or 0, code.co_name
        step = step.tb_next
