"""The typer app and its groups of commands. Nothing here imports Django: `--help` answers at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import copy
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command
from typer.models import CommandInfo

from dropslot import __version__
from dropslot.cli.groups import SENDER, SERVER, WITHOUT_SERVER, NoServer, has_server
from dropslot.cli.output.exit_status import explain
from dropslot.cli.output.interrupted import INTERRUPTED, explain_interrupt, noticed

_UNCUT = 10_000  # characters
_TYPE = re.compile(r" <[^<>]+>$")
_TYPING_ERROR = 0.75  # difflib's likeness of two words


class _WholeLines(TyperGroup):
    """Lists the commands with whole sentences; click would cut them at the width of the terminal."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, one.get_short_help_str(_UNCUT)) for name, one in found if one and not one.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
        if not has_server():
            formatter.write_paragraph()
            formatter.write_text(WITHOUT_SERVER)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if not has_server() and not get_close_matches(args[0], self.list_commands(ctx), cutoff=_TYPING_ERROR):
            raise NoServer(args[0])
        return super().resolve_command(ctx, args)


class _PlainArguments(TyperCommand):
    """Lists arguments by their names; typer would add their types in Python, such as `<list[str]>`."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        rows: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                name, text = record
                is_argument = parameter.param_type_name == "argument"
                name = _TYPE.sub("", name) if is_argument else name
                rows[parameter.param_type_name].append((name, text))
        for title, listed in (("Arguments", rows["argument"]), ("Options", rows["option"])):
            if listed:
                with formatter.section(title):
                    formatter.write_dl(listed)


app = typer.Typer(
    name="dropslot",
    cls=_WholeLines,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
_by_name: dict[str, CommandInfo] = {}


def _register(groups: Sequence[str]) -> None:
    for group in groups:
        commands: typer.Typer = import_module(group).commands
        for command in commands.registered_commands:
            # typer would make start-watcher of start_watcher, which Django's command line could not call.
            command.name = command.name or getattr(command.callback, "__name__", "").strip("_")
            command.cls = _PlainArguments
            _by_name[command.name] = command
        app.add_typer(commands)


@cache
def _register_all() -> None:
    """The sender's commands begin without the server's, which take 0.1 s to load."""
    if has_server():
        _register(SERVER)


_register(SENDER)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dropslot {__version__}")
        raise typer.Exit


@app.callback()
def _dropslot(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Put files in the slot. They arrive once, whole, for good, and you can prove it.

    `dropslot COMMAND --help` describes a command and its options.
    """
    # A callback makes a group of the app, however many commands it has.


def invoke(args: Sequence[str]) -> int:
    """Run the command in `args`; its exit status, errors explained on stderr."""
    with noticed() as pressed:
        try:
            status = execute(args)
        except KeyboardInterrupt:
            status = INTERRUPTED
        except Exception as error:  # noqa: BLE001 - the last guard: people get words and a status, whatever went wrong
            status = explain(error)
    # Checked here, not by its exception: each version of typer turns that into something else.
    return explain_interrupt(args[0] if args else "") if pressed else status


def execute(args: Sequence[str]) -> int:
    """Run the command in `args`; its exit status. Wrong usage is explained on stderr; other errors are
    raised."""
    try:
        get_command(_with_command(args)).main(args=list(args), prog_name="dropslot")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _with_command(args: Sequence[str]) -> typer.Typer:
    """The app with the command in `args` alone, if there is one: to make all of them takes 20 ms."""
    if not args or args[0] not in _by_name:
        _register_all()
    wanted = _by_name.get(args[0]) if args else None
    if wanted is None:
        return app
    alone = copy(app)
    alone.registered_groups, alone.registered_commands = [], [wanted]
    return alone


def names() -> frozenset[str]:
    """The names of all commands."""
    return frozenset(_group_of_commands())


class Parameter(NamedTuple):
    """One parameter of a command: its flag, and the one that says no, where it has one. An argument has no flag."""

    flag: str
    off: str = ""


def parameters_of(name: str) -> dict[str, Parameter]:
    """The parameters of one command by each name in Python (`as_json`, and `json` of `--json`); none: it is unknown."""
    command = _group_of_commands().get(name)
    found: dict[str, Parameter] = {}
    for each in command.params if command is not None else ():
        flags = [flag for flag in each.opts if flag.startswith("-")]
        off = max(each.secondary_opts, key=len, default="")
        parameter = Parameter(max(flags, key=len, default=""), off)
        found[each.name] = parameter
        found |= {flag[2:].replace("-", "_"): parameter for flag in flags if flag.startswith("--")}
    return {name: parameter for name, parameter in found.items() if name != "help"}


def _group_of_commands() -> dict[str, Any]:
    _register_all()
    found: dict[str, Any] = getattr(get_command(app), "commands", {})
    return found
