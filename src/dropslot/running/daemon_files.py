"""Where the daemon keeps its pid file and what it prints."""

from __future__ import annotations

import os
import stat
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dropslot.config.mistakes.remedies import in_words
from dropslot.config.secrets import make_private
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

if TYPE_CHECKING:
    from dropslot.config import Config


class UnsafePlace(DropslotError):
    """Someone else has made the folder in the system's temporary folder that would have been used."""

    code = "unsafe-place"


class Places(NamedTuple):
    """Absolute paths. `warning` is what to say when they are not those of the configuration."""

    pid: Path
    out: Path
    err: Path
    warning: str = ""


def for_start(config: Config) -> Places:
    """Where a watcher that starts now can write; makes the folders. Raises UnsafePlace, OSError."""
    places = _configured(config)
    try:
        for folder in {path.parent for path in places[:3]}:
            make_private(folder, config.data)
            _prove_writable(folder)
    except OSError as error:
        if _may_be_watched(places.pid):
            raise
        return _prepared(_temporary(config, error))
    return places


def _may_be_watched(pid_file: Path) -> bool:
    """Whether another account's watcher may run there already: it must not be doubled."""
    try:
        pid_file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # its folder is closed to us
    return True


def for_look(config: Config) -> Places:
    """Where a watcher that was started would be; makes nothing."""
    places = _configured(config)
    if not os.path.exists(places.pid):
        elsewhere = _temporary(config, None)
        if os.path.exists(elsewhere.pid):
            return elsewhere
    return places


def _configured(config: Config) -> Places:
    # Beside the pid file, unless the logs were given a place of their own.
    folder = config.data if config.logs == config.data / "logs" else config.logs
    return Places(config.pid, folder / "watcher.out", folder / "watcher.err")


def _temporary(config: Config, error: OSError | None) -> Places:
    """A folder of this account's and this data folder's alone."""
    of_data = blake2b(os.fsencode(config.data), digest_size=4).hexdigest()
    folder = Path(tempfile.gettempdir()) / f"dropslot-{os.geteuid()}-{of_data}"
    why = f": {in_words(error, config.data)}" if error else ""
    warning = (
        f"{escape(str(config.data))} cannot be written{why}. watcher.pid, watcher.out and watcher.err are in"
        f" {folder}."
    )
    return Places(folder / "watcher.pid", folder / "watcher.out", folder / "watcher.err", warning)


def _prepared(places: Places) -> Places:
    folder = places.pid.parent
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if (
        not stat.S_ISDIR(status.st_mode)
        or status.st_uid != os.geteuid()
        or stat.S_IMODE(status.st_mode) & 0o077
    ):
        raise UnsafePlace(
            f"{folder} is not a folder that only uid {os.geteuid()} can use",
            next_step="Remove it, or set `pid:` and `logs:`",
        )
    return places


def _prove_writable(folder: Path) -> None:
    # By doing it: access(2) knows nothing of full disks and quotas.
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")
        file.flush()
