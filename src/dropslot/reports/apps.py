"""Django app of the reports: it brings their command. It has no tables."""

from __future__ import annotations

from dropslot.arrivals import registry


class ReportsConfig(registry.DropslotApp):
    """Nothing but the command."""

    default = True
    name = "dropslot.reports"
    label = "dropslot_reports"
    verbose_name = "dropslot: reports"
