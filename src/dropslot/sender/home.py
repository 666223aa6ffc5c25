"""Where a PC keeps what the sender knows: presets, ledger, host keys, receipt keys."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_dir

VARIABLE = "DROPSLOT_SENDER_HOME"


def home() -> Path:
    """The folder of the sender, made for its owner alone when it is not there."""
    path = Path(os.path.abspath(os.environ.get(VARIABLE) or user_data_dir("dropslot", appauthor=False)))
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
