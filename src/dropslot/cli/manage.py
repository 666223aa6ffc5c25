"""What manage.py calls: Django's command line, with dropslot's `-c`, exit statuses and words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dropslot.cli.app import names
from dropslot.cli.output.exit_status import UsageError, explain
from dropslot.cli.portal import commands as with_accounts
from dropslot.cli.run_as_owner import begin_command
from dropslot.cli.startup import SETTINGS, WITH_ACCOUNTS, choose


def main(argv: Sequence[str]) -> int:
    """Run `manage.py COMMAND …`; its exit status."""
    begin_command(argv[1] if len(argv) > 1 else "")
    try:
        arguments, path = _take_config(argv)
        choose(path, _settings(argv))
        _execute(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception as error:  # noqa: BLE001 - the last guard: people get words and a status
        return explain(error)
    return 0


def _settings(argv: Sequence[str]) -> str:
    """The settings with the tables of accounts for the commands that need them."""
    names_with_accounts = {command.name for command in with_accounts.registered_commands}
    return WITH_ACCOUNTS if len(argv) > 1 and argv[1] in names_with_accounts else SETTINGS


def _execute(arguments: list[str]) -> None:
    from django.core.management import execute_from_command_line

    execute_from_command_line(arguments)


def _take_config(argv: Sequence[str]) -> tuple[list[str], Path | None]:
    """The arguments without `-c FILE`: Django reads its settings, and so config.yaml, before any command
    runs.

    Only for dropslot's own commands: Django has a `-c` of its own, as in `shell -c CODE`.
    """
    if len(argv) < 2 or argv[1] not in names():
        return list(argv), None
    rest = list(argv)
    for index, argument in enumerate(argv):
        if argument.startswith("--config="):
            return rest[:index] + rest[index + 1 :], Path(argument.partition("=")[2])
        if argument in {"-c", "--config"}:
            if index + 1 == len(argv):
                raise UsageError(f"{argument} needs the path of a config.yaml")
            return rest[:index] + rest[index + 2 :], Path(argv[index + 1])
    return rest, None
