"""A command that root runs continues as the account that owns the installation.

A database, key, log or pid file that belongs to root would stop every later command of that account, and plugins are
that account's code. So the program starts again as that account, before it opens or imports anything.
"""

from __future__ import annotations

import os
import pwd
import shlex
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from dropslot.core.context import kept, put
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

# These need CAP_CHOWN as the service has it, or, for doctor, look whether it is there.
KEEPING_CHOWN = frozenset({"run", "drain", "start_watcher", "watcher_start", "start_observer", "doctor"})
# These belong to root's session; another account cannot use them.
_ROOTS_OWN = (
    "SSH_AUTH_SOCK",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "MAIL",
)


@dataclass(frozen=True, slots=True)
class _Command:
    """The command of a process that is one command and nothing else."""

    name: str | None = None


class OthersInstallation(DropslotError):
    """Root ran a command on another account's installation, and the command could not continue as that account."""

    code = "others-installation"


@dataclass(frozen=True, slots=True)
class Account:
    """An account of this machine; one without an entry in the password database has its number as its name."""

    uid: int
    gid: int
    name: str
    home: str
    groups: tuple[int, ...]

    def line(self, command: str) -> str:
        """What root types to run a command as this account."""
        who = self.name if self.name != str(self.uid) else f"'#{self.uid}'"
        return f"sudo -u {who} -H {command}"


def begin_command(name: str) -> None:
    """Record that this process runs the command `name` and nothing else, so it may start again as another account."""
    put(_Command(name))


def runs_alone() -> bool:
    """Whether this process runs one command and nothing else."""
    return kept(_Command).name is not None


def hand_over(data: Path, config: Path | None = None) -> None:
    """If this is root and the data folder belongs to another account, start again as that account; otherwise do
    nothing.

    `config` is config.yaml, if there is one: its owner counts as long as there is no data folder. Raises
    OthersInstallation, with the line to type, if this process cannot or may not start again.
    """
    if os.geteuid() == 0 and (uid := _owner_uid(data, config)) != 0:
        _begin_anew(_account_of(uid, data), data, config)


def hand_over_folder(folder: Path) -> None:
    """The same for a folder that `init` fills: the installation belongs to the owner of the folder, or of the nearest
    one above."""
    hand_over(Path(os.path.abspath(folder)))


def _owner_uid(data: Path, config: Path | None) -> int:
    for path in (data, config) if config is not None else (data,):
        try:
            if path == data or os.stat(path).st_uid:
                return os.stat(path).st_uid
        except OSError:
            continue
    return _owner_of_nearest(data)


def _owner_of_nearest(path: Path) -> int:
    for parent in path.parents:
        try:
            return os.stat(parent).st_uid
        except OSError:
            continue
    return 0


def _account_of(uid: int, data: Path) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        gid = os.stat(data if data.exists() else next(p for p in data.parents if p.exists())).st_gid
        return Account(uid, gid, str(uid), "/", (gid,))
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Account(uid, entry.pw_gid, entry.pw_name, entry.pw_dir, groups)


def _begin_anew(account: Account, data: Path, config: Path | None) -> NoReturn:
    whose = f"{escape(str(data))} is {account.name}'s"
    command = kept(_Command).name
    if command is None:
        raise OthersInstallation(
            f"{whose}, but this is root: new files would belong to root, and {account.name} could not use them",
            where="Nothing was changed",
            next_step=f"Run it as {account.name}: {account.line('COMMAND')}",
        )
    keep_chown = command in KEEPING_CHOWN and config is not None and _is_roots_word(config)
    _become(account, whose, keep_chown=keep_chown)
    _require_readable(account, config)
    sys.stderr.write(f"dropslot: {whose}, so this continues as {account.name}, not as root.\n")
    sys.stderr.flush()
    # A new program: it keeps nothing that root has read, opened or imported.
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], _environment(account))


def _is_roots_word(config: Path) -> bool:
    """Whether root alone decides what is run. Otherwise anyone who can write there would get CAP_CHOWN."""
    plugins = config.parent / "plugins"
    code = [plugins, *plugins.rglob("*")] if plugins.is_dir() else []
    real = Path(os.path.realpath(config))
    return all(_is_roots(path) for path in {config, *config.parents, real, *real.parents, *code})


def _is_roots(path: Path) -> bool:
    seen = os.stat(path)
    # In a sticky folder, as /tmp is, others cannot replace what is root's.
    open_to_others = seen.st_mode & 0o022 and not (stat.S_ISDIR(seen.st_mode) and seen.st_mode & stat.S_ISVTX)
    return seen.st_uid == 0 and not open_to_others


def _become(account: Account, whose: str, *, keep_chown: bool) -> None:
    from dropslot.running import capabilities

    try:
        os.setgroups(account.groups)
        os.setresgid(account.gid, account.gid, account.gid)
        if keep_chown:
            capabilities.become_with_chown(account.uid)
        else:
            os.setresuid(account.uid, account.uid, account.uid)
    except OSError as error:
        raise OthersInstallation(
            f"{whose}, but this process cannot become {account.name}: {error.strerror}",
            where="Nothing was changed",
            next_step=f"Run it as {account.name}: {account.line(_typed())}",
        ) from error


def _require_readable(account: Account, config: Path | None) -> None:
    """Otherwise the interpreter itself would fail, with an error that explains nothing."""
    package = Path(__file__).parent.parent
    wanted = [(Path(sys.executable), os.X_OK), (package / "__init__.py", os.R_OK)]
    wanted += [(config, os.R_OK)] if config is not None else []
    for path, kind in wanted:
        if not os.access(path, kind):
            raise OthersInstallation(
                f"This would continue as {account.name}, the owner of the installation, but {account.name} cannot read"
                f" {escape(str(path))}, or cannot enter a folder above it",
                where="Nothing was changed",
                next_step=f"Let {account.name} read it, and run: {account.line(_typed())}",
            )


def _typed() -> str:
    return shlex.join(["dropslot", *sys.argv[1:]])


def _environment(account: Account) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _ROOTS_OWN}
    return kept | {"HOME": account.home, "USER": account.name, "LOGNAME": account.name}
