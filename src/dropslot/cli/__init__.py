"""The command `dropslot`: parse, call, print, exit status.

`commands` holds the typer app; each other module is a group of commands. Importing this needs none of the
server's packages, so that the command can say what is missing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

_SERVER_PACKAGES = frozenset({"typer", "rich", "pydantic", "yaml", "structlog", "django"})


def main() -> NoReturn:
    """The command of this process; ends it with status 0 (done), 1 (something failed) or 2 (wrong usage)."""
    sys.exit(run(sys.argv[1:]))


def run(args: Sequence[str]) -> int:
    """Run one command; its exit status. Errors are printed to stderr in words, never as a traceback."""
    try:
        from dropslot.cli.commands import invoke
    except ModuleNotFoundError as error:
        if error.name not in _SERVER_PACKAGES:
            raise
        sys.stderr.write(f"dropslot needs {error.name} here. Install it: pip install 'dropslot[server]'\n")
        return 1
    return invoke(args)
