"""Errors as words and an exit status."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from dropslot.config.mistakes import blame
from dropslot.core.concealing import conceal
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.settings.config_errors import ConfigError

FAILED = 1
WRONG_USAGE = 2
TRACEBACK_VARIABLE = "DROPSLOT_TRACEBACK"
# Mistakes that show only during work: an option that a check does not accept, an unknown id, a name that an arrival
# cannot get.
_MISTAKES = frozenset({"bad-account", "bad-name", "bad-option", "bad-token", "no-such-arrival"})
_OF_THE_DATABASE = frozenset({"django.db.utils.Error", "django.core.exceptions.ImproperlyConfigured"})


class UsageError(DropslotError):
    """The command was called in a way that cannot work."""

    code = "usage"


def explain(error: BaseException) -> int:
    """Say on stderr what went wrong and what to do; the exit status for it."""
    if os.environ.get(TRACEBACK_VARIABLE):
        sys.stderr.write(conceal("".join(traceback.format_exception(error))))
    if isinstance(error, BrokenPipeError):
        return _silence_stdout()
    words, status = judged(error)
    sys.stderr.write(f"dropslot: {conceal(words)}\n")
    return status


def judged(error: BaseException) -> tuple[str, int]:
    """An error in words, and the exit status for it."""
    if isinstance(error, (ConfigError, UsageError)):
        return str(error), WRONG_USAGE
    if isinstance(error, DropslotError) and error.code in _MISTAKES:
        return str(error), WRONG_USAGE
    if isinstance(error, DropslotError):
        return str(error), FAILED
    if words := _words_of_django(error):
        return words, FAILED
    if isinstance(error, OSError):
        return _words_of_system(error), FAILED
    whose, then = (
        ("your own code", "fix it there") if blame.is_own(error) else ("dropslot itself", "report it")
    )
    what = f"An error in {whose}: {blame.in_words(error)}"
    return f"{what}. Set {TRACEBACK_VARIABLE}=1 to see the traceback, and {then}.", FAILED


def _silence_stdout() -> int:
    # The reader of the output has gone; Python would report it again when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


def _words_of_django(error: BaseException) -> str:
    # By name, so that a command which needs no Django does not import it. Its other errors are faults in dropslot.
    names = {f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__}
    if not names & _OF_THE_DATABASE:
        return ""
    from dropslot.arrivals.upkeep.database import words_for

    return words_for(error)


def _words_of_system(error: OSError) -> str:
    if not isinstance(error.filename, (str, bytes)):
        return f"The system refused: {error.strerror or error}."
    path = Path(os.path.abspath(os.fsdecode(error.filename)))
    remedy = _remedy(error, path)
    return f"The system refused: {error.strerror} at {escape(str(path))}.{f' {remedy}.' if remedy else ''}"


def _remedy(error: OSError, path: Path) -> str:
    if sys.platform == "win32":
        return ""
    from dropslot.config.mistakes.remedies import remedy_for

    return remedy_for(error, path)
