"""`python manage.py COMMAND` and `call_command("COMMAND", …)`: both hand over to the command line's own
command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from dropslot.cli.account import begin_command
from dropslot.cli.commands import execute, invoke, options_of
from dropslot.cli.faults import judged


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
        # Options may also be given by their names in Python: call_command("drain", now=True).
        self.stealth_options = (*options_of(subcommand), "args")
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
        arguments = [self._name, *args, *self._flags(options)]
        try:
            with redirect_stdout(options.get("stdout") or sys.stdout):
                status = execute(arguments)
        except Exception as error:
            words, status = judged(error)
            raise CommandError(words, returncode=status) from error
        if status:
            raise CommandError(f"{self._name} ended with status {status}", returncode=status)

    def handle(self, *args: Any, **options: Any) -> None:
        """Django asks for it; `execute` does the work."""
        self.execute(*args, **options)

    def _flags(self, options: Mapping[str, Any]) -> Sequence[str]:
        flags: list[str] = []
        for name, flag in options_of(self._name).items():
            value = options.get(name)
            if value is True:
                flags.append(flag)
            elif value not in (None, False):
                flags += [flag, str(value)]
        return flags
