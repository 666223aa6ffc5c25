"""The one list of dropslot's Django apps, with what is needed of each before Django has started. What else an app
adds (processes, findings of `doctor`, columns) is in its own class: `arrivals.registry`.
"""

from __future__ import annotations

from typing import NamedTuple


class App(NamedTuple):
    """`section` is the module with its keys of config.yaml (`config.sections`); `commands` are modules of the command
    line, each with a group of commands. Neither needs Django; every start of a command imports them."""

    name: str
    section: str = ""
    commands: tuple[str, ...] = ()


APPS = (
    App("dropslot.audit"),
    App(
        "dropslot.lookup", commands=("dropslot.cli.results.folder_tables", "dropslot.cli.results.getresults")
    ),
    App("dropslot.arrivals"),
    App(
        "dropslot.keeping",
        section="dropslot.keeping.section",
        commands=("dropslot.cli.keeping.holding", "dropslot.cli.keeping.mending"),
    ),
    App("dropslot.mail", section="dropslot.mail.section"),
    App(
        "dropslot.timestamps",
        section="dropslot.timestamps.section",
        commands=("dropslot.cli.keeping.timestamping",),
    ),
    App(
        "dropslot.dicom",
        section="dropslot.dicom.section",
        commands=(
            "dropslot.cli.images.series_and_batches",
            "dropslot.cli.images.reidentify",
            "dropslot.cli.images.fetch",
        ),
    ),
    App(
        "dropslot.acknowledgments",
        section="dropslot.acknowledgments.section",
        commands=("dropslot.cli.results.acknowledging",),
    ),
    App("dropslot.reports", section="dropslot.reports.section", commands=("dropslot.cli.reporting",)),
    App("dropslot.access"),
    App(
        "dropslot.notify",
        section="dropslot.notify.section",
        commands=("dropslot.cli.keeping.notifying",),
    ),
    App("dropslot.portal", section="dropslot.access.section", commands=("dropslot.cli.portal",)),
)
NAMES = [app.name for app in APPS]
# With what they need of Django: for settings that are dropslot's own.
INSTALLED = ["django.contrib.contenttypes", "django.contrib.auth", *NAMES]
