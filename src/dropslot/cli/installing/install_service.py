"""`install_service`: from an installation to a systemd service under an account of its own."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.options import ConfigPath
from dropslot.cli.output.exit_status import UsageError
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

if TYPE_CHECKING:
    from dropslot.config import Config

commands = typer.Typer()
UNITS = Path("/etc/systemd/system")
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_END = "END_OF_UNIT"
# Debian's root has it; su without a hyphen has not.
_ROOTS_PATH = "/usr/sbin:/sbin"


class Command(StrEnum):
    """What a service of this installation runs."""

    RUN = "run"
    WORKER = "worker"
    BEAT = "beat"
    SENTINEL = "sentinel"


@dataclass(frozen=True, slots=True)
class _Service:
    """What is to be installed: the account, and the unit file with its text."""

    account: str
    group: str
    unit: Path
    text: str

    @property
    def name(self) -> str:
        return self.unit.stem


@commands.command("install_service")
def install_service(
    config: ConfigPath = None,
    account: Annotated[
        str,
        typer.Option(
            "--account",
            metavar="NAME",
            help="Default: the owner of the data folder; if that is root, dropslot.",
        ),
    ] = "",
    name: Annotated[
        str,
        typer.Option(
            "--name", metavar="NAME", help="The unit is NAME.service. Default: dropslot, or dropslot-COMMAND."
        ),
    ] = "",
    command: Annotated[
        Command,
        typer.Option(
            "--command",
            help="What it runs; worker and beat are for more machines, with Celery; a sentinel is for any.",
        ),
    ] = Command.RUN,
    units: Annotated[
        Path, typer.Option("--units", metavar="DIR", help="Where the unit file is written.")
    ] = UNITS,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Replace a unit file that was changed, or written for other folders."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the exact lines as a shell script; change nothing.")
    ] = False,
) -> None:
    """Install a systemd service: its account, folders and unit file. Needs root, except for --dry-run.

    It may be run again, and leaves alone what is right already. It does not start the service, and prints how to.
    """
    path = Path(os.path.abspath(config or os.environ.get("DROPSLOT_CONFIG") or "config.yaml"))
    from dropslot.config.load_config import load

    if os.geteuid() != 0 and not dry_run:
        raise UsageError(
            "install_service makes an account and writes to /etc, which only root may do",
            where="Nothing was changed",
            next_step="Run it with sudo; --dry-run prints what it would do",
        )
    loaded = load(path)
    if command in (Command.WORKER, Command.BEAT) and loaded.workers != "celery":
        raise UsageError(
            f"config.yaml has `workers: local`: there is nothing for a service `{command}` to do",
            where="Nothing was changed",
            next_step="Leave --command out; or set `workers: celery`, and `broker`",
        )
    name = name or ("dropslot" if command is Command.RUN else f"dropslot-{command}")
    service = _service(loaded, path, account, units / f"{name}.service", command)
    steps = [*_account_steps(service), *_folder_steps(loaded, service)]
    if dry_run:
        sys.stdout.write(_script(service, steps, path))
        return
    _require_replaceable(service, replace=replace)
    for step in steps:
        _run(step)
        sys.stdout.write(f"Done: {shlex.join(step)}\n")
    sys.stdout.write(f"{_write(service)}\n")
    _require_startable(service)
    for line in _notes(loaded, service):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write("Next:\n" + "".join(f"  {line}\n" for line in _next(service, path)))


def _service(config: Config, path: Path, account: str, file: Path, command: Command) -> _Service:
    from dropslot.cli.installing.service_unit import unit

    account = account or _owner(config.data)
    for option, value in (("--account", account), ("--name", file.stem)):
        if not _ACCOUNT.fullmatch(value):
            raise UsageError(
                f"{option} {escape(value)!r} cannot be used",
                next_step="Use small letters, digits, _ and -, beginning with a letter",
            )
    group = _primary_group(account)
    return _Service(account, group, file, unit(config, path, account, group, file.stem, command))


def _owner(data: Path) -> str:
    """The owner of the data folder; `dropslot` if that is root, or if there is no data folder yet."""
    try:
        uid = data.stat().st_uid
        return pwd.getpwuid(uid).pw_name if uid else "dropslot"
    except (OSError, KeyError):
        return "dropslot"


def _primary_group(account: str) -> str:
    import grp

    try:
        return grp.getgrgid(pwd.getpwnam(account).pw_gid).gr_name
    except KeyError:
        return account  # useradd --user-group makes it


def _account_steps(service: _Service) -> Iterator[list[str]]:
    try:
        pwd.getpwnam(service.account)
    except KeyError:
        home = f"/var/lib/{service.account}"
        yield [
            *("useradd", "--system", "--user-group", "--create-home", "--home-dir", home),
            *("--shell", "/usr/sbin/nologin", service.account),
        ]


def _folder_steps(config: Config, service: _Service) -> Iterator[list[str]]:
    """Make what is missing, with its mode, and give the account the folders that belong to root. Files inside are not
    touched: in a route's folders they come from strangers, and may be links to anything."""
    from dropslot.cli.installing.service_unit import destinations
    from dropslot.config.route_folders import INBOX_MODE, folder_sets
    from dropslot.config.secrets import PRIVATE_MODE

    wanted = {config.data: PRIVATE_MODE}
    if not config.logs.is_relative_to(config.data):
        wanted[config.logs] = PRIVATE_MODE
    for route in config.routes.values():
        for folders in folder_sets(route, make=False):
            if not route.leave_source:
                wanted[folders.inbox] = INBOX_MODE
            wanted |= dict.fromkeys((folders.processing, folders.done, folders.failed), PRIVATE_MODE)
    owner = f"{service.account}:{service.group}"
    for path, mode in wanted.items():
        if not path.exists():
            yield ["install", "-d", "-o", service.account, "-g", service.group, "-m", f"{mode:o}", str(path)]
        elif path.stat().st_uid == 0:
            yield ["chown", *(["-R"] if path == config.data else []), owner, str(path)]
    for place in map(Path, destinations(config)):
        if _is_roots_and_empty(place):
            yield ["chown", owner, str(place)]


def _is_roots_and_empty(place: Path) -> bool:
    try:
        return place.stat().st_uid == 0 and not any(place.iterdir())
    except OSError:
        return False


def _script(service: _Service, steps: Sequence[Sequence[str]], path: Path) -> str:
    lines = [shlex.join(step) for step in steps]
    if not _is_current(service):
        lines += [f"cat > {shlex.quote(str(service.unit))} <<'{_END}'\n{service.text}{_END}"]
    return "\n".join(["set -e", *lines, *(f"# next: {line}" for line in _next(service, path))]) + "\n"


def _is_current(service: _Service) -> bool:
    try:
        return service.unit.read_text(encoding="utf-8") == service.text
    except OSError:
        return False


def _require_replaceable(service: _Service, *, replace: bool) -> None:
    if os.path.lexists(service.unit) and not _is_current(service) and not replace:
        raise DropslotError(
            f"{escape(str(service.unit))} exists and differs from what this installation needs",
            where="Nothing was changed",
            next_step="Compare it with --dry-run, then add --replace; keep own settings in `systemctl edit"
            f" {service.name}`, or use --name for a second service",
        )


def _run(step: Sequence[str]) -> None:
    environment = os.environ | {"PATH": f"{os.environ.get('PATH', '')}:{_ROOTS_PATH}"}
    try:
        done = subprocess.run(step, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise _failed(step, f"there is no program {step[0]}") from error
    if done.returncode:
        raise _failed(step, done.stderr.strip() or f"status {done.returncode}")


def _failed(step: Sequence[str], why: str) -> DropslotError:
    return DropslotError(
        f"`{shlex.join(step)}` failed: {escape(why)}",
        where="The steps before it are done",
        next_step="Fix that, then run the same command again: it continues",
    )


def _write(service: _Service) -> str:
    """Write the unit beside its place and rename it: systemd sees all of it or nothing."""
    shown = escape(str(service.unit))
    if _is_current(service):
        return f"Unchanged: {shown}"
    aside = service.unit.with_name(f".{service.unit.name}.new")
    aside.write_text(service.text, encoding="utf-8")
    aside.chmod(0o644)
    aside.replace(service.unit)
    return f"Written: {shown}"


def _require_startable(service: _Service) -> None:
    """Raise DropslotError if the account cannot run this program; otherwise only the journal would show it."""
    from dropslot.sender.unattended.login_service import program

    entry = pwd.getpwnam(service.account)
    try:
        done = subprocess.run(
            [*program(), "--version"],
            user=entry.pw_uid,
            group=entry.pw_gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
        )
    except OSError:
        done = None
    if done is None or done.returncode:
        raise DropslotError(
            f"{service.account} cannot run {shlex.join(program())}",
            where="The account, the folders and the unit are there",
            next_step="Install dropslot where every account can read it, such as in /opt/dropslot, and run this again"
            " with --replace",
        )


def _notes(config: Config, service: _Service) -> Iterator[str]:
    """What this command does not do: notes for people."""
    from dropslot.cli.installing.service_unit import destinations

    uid = pwd.getpwnam(service.account).pw_uid
    for place in map(Path, destinations(config)):
        shown = escape(str(place))
        if not place.is_dir():
            yield f"Missing: {shown} is delivered to. Mount its disk, or make it for {service.account}."
        elif place.stat().st_uid != uid:
            yield f"Left alone: {shown} has files or another owner. {service.account} must be able to write there."


def _next(service: _Service, path: Path) -> Iterator[str]:
    from dropslot.sender.unattended.login_service import program

    command, file = shlex.join(program()), shlex.quote(str(path))
    yield "systemctl daemon-reload"
    yield f"{command} doctor -c {file}"
    yield f"systemctl enable --now {service.name}"
    yield f"journalctl -u {service.name} -f"
