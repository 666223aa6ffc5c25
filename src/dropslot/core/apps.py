"""dropslot's Django apps, the one list of them; and what is wanted of each before Django has started.

What an app adds besides (processes, findings of `doctor`, columns) its own class says: `arrivals.registry`.
"""

from __future__ import annotations

from typing import NamedTuple


class App(NamedTuple):
    """`commands` are modules of the command line, each with a group of commands; they import nothing that is slow."""

    name: str
    commands: tuple[str, ...] = ()


APPS = (
    App("dropslot.audit"),
    App("dropslot.lookup", commands=("dropslot.cli.folder_tables",)),
    App("dropslot.arrivals"),
    App("dropslot.acknowledgments", commands=("dropslot.cli.acknowledging",)),
)
NAMES = [app.name for app in APPS]
