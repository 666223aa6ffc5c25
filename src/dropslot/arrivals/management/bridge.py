"""`python manage.py COMMAND` and `call_command("COMMAND", …)`: both hand over to the command line's own
command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from datetime import date, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from dropslot.cli.app import execute, invoke, parameters_of
from dropslot.cli.output.exit_status import judged
from dropslot.cli.run_as_owner import begin_command
from dropslot.running import log_sinks


class _PassingParser(CommandParser):
    """Knows Django's options; everything else is the command's, and stays as it is."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        known, rest = self.parse_known_args(args, namespace)
        known.args = rest
        return known


class Command(BaseCommand):
    """The command of dropslot whose name Django calls this one by."""

    requires_system_checks = ()
    _name = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:  # noqa: ARG002
        self._name = subcommand
        # Options may also be given by their names in Python: call_command("drain", now=True), or json=True.
        self.stealth_options = (*parameters_of(subcommand), "args")
        parser = _PassingParser(prog=subcommand, allow_abbrev=False, add_help=False, **kwargs)
        parser.add_argument("--settings", help=argparse.SUPPRESS)
        parser.add_argument("--pythonpath", help=argparse.SUPPRESS)
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        name, arguments = argv[1], argv[2:]
        begin_command(name)  # a process of manage.py for this alone
        rest = self.create_parser(argv[0], name).parse_args(arguments).args
        try:
            status = invoke([name, *rest])
        finally:
            connections.close_all()
        if status:
            sys.exit(status)

    def execute(self, *args: str, **options: Any) -> None:
        """What call_command calls. Raises CommandError with dropslot's exit status as `returncode`."""
        arguments = [self._name, *self._arguments(options), *map(_text, args)]
        out, err = options.get("stdout") or sys.stdout, options.get("stderr") or sys.stderr
        try:
            # The host's own logging is as it was afterwards.
            with log_sinks.restored(), redirect_stdout(out), redirect_stderr(err):
                status = execute(arguments)
        except Exception as error:
            words, status = judged(error)
            raise CommandError(words, returncode=status) from error
        if status:
            raise CommandError(f"{self._name} ended with status {status}", returncode=status)

    def handle(self, *args: Any, **options: Any) -> None:
        """Django asks for it; `execute` does the work."""
        self.execute(*args, **options)

    def _arguments(self, options: Mapping[str, Any]) -> list[str]:
        """What was given by names in Python, as the command line has it: options first, then what has no flag."""
        words: list[str] = []
        plain: list[str] = []
        for name, parameter in parameters_of(self._name).items():
            value = options.get(name)
            if value is None:
                continue
            several = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
            if not parameter.flag:
                plain += map(_text, several)
            elif isinstance(value, bool):
                words += [parameter.flag] if value else [parameter.off] if parameter.off else []
            else:
                words += [f"{parameter.flag}={_text(one)}" for one in several]
        return [*words, *plain]


def _text(value: Any) -> str:
    """A value of Python as the command line takes it."""
    if isinstance(value, timedelta):
        return f"{int(value.total_seconds())}s"
    return value.isoformat() if isinstance(value, (datetime, date)) else str(value)
