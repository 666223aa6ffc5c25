"""Where a PC keeps what the sender knows: presets, ledger, host keys, receipt keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_data_dir

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.sender.local_paths import shown_path

VARIABLE = "DROPSLOT_SENDER_HOME"


class HomeUnready(DropslotError):
    """A file in which the sender keeps what it knows cannot be written."""

    code = "home-unready"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Errors of the system in the block as HomeUnready; `path` is what is written."""
    try:
        yield
    except OSError as error:
        raise HomeUnready(
            f"{shown_path(path)} cannot be written: {escape(str(error.strerror or error))}",
            where="Your files are untouched, and what the server has stays there",
            next_step="Make room on this disk, or let this account write there, then send again",
        ) from error


def home() -> Path:
    """The folder of the sender, made for its owner alone when it is not there. Raises HomeUnready."""
    path = Path(os.path.abspath(os.environ.get(VARIABLE) or user_data_dir("dropslot", appauthor=False)))
    with writing(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def settings_file() -> Path:
    """The presets of this PC; it may be missing."""
    return home() / "settings.yaml"


def ledger_file() -> Path:
    """What was sent (SQLite)."""
    return home() / "ledger.sqlite3"


def journal_file() -> Path:
    """The names of all bags, one JSON object a line: from it, a lost ledger is made anew."""
    return home() / "bags.jsonl"


def lock_file() -> Path:
    """Held by the one sender of this PC that is at work."""
    return home() / "lock"


def known_hosts() -> Path:
    """The host keys that a person has compared."""
    return home() / "known_hosts"


def signers() -> Path:
    """The keys that sign receipts, one file a server."""
    return home() / "signers"
