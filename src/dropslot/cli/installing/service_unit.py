"""The systemd unit of one installation: the one that ships, with this installation's account, program and folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path

from dropslot.config import Config
from dropslot.config.models import Route
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.templates import Template
from dropslot.core.unit_files import command_line, quoted
from dropslot.sender.unattended.login_service import program

SHIPPED = files("dropslot.cli") / "units" / "dropslot.service"
_HOMES = ("/home", "/root", "/run/user")
_TEMPORARY = ("/tmp", "/var/tmp")


_DESCRIPTIONS = {
    "run": "dropslot: delivers what is dropped into its inboxes",
    "worker": "dropslot: workers that deliver what other machines take from their inboxes",
    "beat": "dropslot: sends the schedules, and what is due, to its workers",
    "sentinel": "dropslot: watches over its services, and says if one was killed",
}


def unit(config: Config, config_path: Path, account: str, group: str, name: str, command: str = "run") -> str:
    """The text of NAME.service, which runs one of the commands `run`, `worker`, `beat` and `sentinel`.

    Raises DropslotError if a route's folders have no common folder except /.
    """
    written = list(writable(config))
    seen = [*written, str(config_path), *program()]
    values = {
        "User": [account],
        "Group": [group],
        "Description": [_DESCRIPTIONS[command]],
        "ExecStart": [command_line([*program(), command, "-c", str(config_path)])],
        "#RequiresMountsFor": [" ".join(map(quoted, written))],
        "ReadWritePaths": list(map(quoted, written)),
        "ProtectHome": ["read-only" if _any_beneath(seen, _HOMES) else "yes"],
        "PrivateTmp": ["no" if _any_beneath(seen, _TEMPORARY) else "yes"],
    }
    return "\n".join(
        [
            f"# Written by `dropslot install_service`. Change it with `systemctl edit {name}`.",
            *_filled(values),
            "",
        ]
    )


def writable(config: Config) -> Iterator[str]:
    """The folders that the service writes to, without those that lie in another one of them."""
    wanted = {str(config.data), str(config.logs), str(config.pid.parent), *destinations(config)}
    wanted |= {_above(route) for route in config.routes.values()}
    for path in sorted(wanted):
        if not any(_is_beneath(path, other) for other in wanted - {path}):
            yield path


def destinations(config: Config) -> list[str]:
    """The local folders that are delivered to: of each `to` the part before its first field."""
    rules = [rule for route in config.routes.values() for rule in route.deliver]
    return sorted({folder.rstrip("/") for rule in rules if (folder := rule.folder_here)})


def _above(route: Route) -> str:
    """The folder above all four of a route: a unit makes a mount of each path, and a rename cannot leave one."""
    four = (route.inbox, route.processing, route.done, route.failed)
    fixed = [Template(folder).fixed.rstrip("/") for folder in four]
    common = os.path.commonpath(fixed)
    if common == "/":
        raise DropslotError(
            f"The folders of route {route.key} have only / in common: {', '.join(map(escape, fixed))}",
            where="Nothing was changed",
            next_step="Put all four beneath one folder, which the service may then write to",
        )
    return common


def _filled(values: dict[str, list[str]]) -> Iterator[str]:
    """The shipped unit from its first section on, with each key's values in the place of its first line."""
    text = SHIPPED.read_text(encoding="utf-8")
    given: set[str] = set()
    for line in text[text.index("[Unit]") :].splitlines():
        key = line.partition("=")[0]
        if key not in values:
            yield line
        elif key not in given:
            given.add(key)
            yield from (f"{key.lstrip('#')}={value}" for value in values[key])


def _any_beneath(paths: Iterable[str], folders: Iterable[str]) -> bool:
    return any(_is_beneath(os.path.realpath(path), folder) for path in paths for folder in folders)


def _is_beneath(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
