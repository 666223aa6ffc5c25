"""The command `dropslot`: parse, call, print, exit status.

`app` holds the typer app; most other modules are a group of commands each. The sender's commands need neither the
server's packages nor POSIX.
"""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Sequence
from typing import NoReturn


def main() -> NoReturn:
    """The command of this process; ends it with status 0 (done), 1 (something failed) or 2 (wrong usage)."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that a log of Windows cannot store ends no command
        sys.stdout.reconfigure(errors="backslashreplace")
    gc.disable()  # until everything is loaded (`startup.configured`): a collection takes 0.1 s and finds nothing
    if sys.platform != "win32":
        from dropslot.cli.run_as_owner import begin_command

        begin_command(next((word for word in sys.argv[1:] if not word.startswith("-")), ""))
    try:
        status = run(sys.argv[1:])
    except KeyboardInterrupt:  # while it was loaded
        sys.stderr.write("\ndropslot: Interrupted before anything was done.\n")
        status = 130
    if "django.db" in sys.modules and _has_settings():  # not before: `--help` answers without it
        from django.db import connections

        connections.close_all()  # the last one out folds SQLite's log into the database
    gc.freeze()  # otherwise the interpreter's last collection takes 0.2 s
    sys.exit(status)


def _has_settings() -> bool:
    """Whether config.yaml could be read: without settings, Django has no connections to close."""
    from django.conf import settings

    return settings.configured


def run(args: Sequence[str]) -> int:
    """Run one command; its exit status. Errors are printed to stderr in words, never as a traceback."""
    from dropslot.cli.app import invoke

    return invoke(args)
