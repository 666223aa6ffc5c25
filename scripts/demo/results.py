"""Results: PDFs that go to the clinics' server by SFTP, one that is refused, and one that its clinic fetches."""

from __future__ import annotations

import os
import time
from pathlib import Path

from reportlab.pdfgen.canvas import Canvas

from installation import Installation, Row, say
from servers import Servers

_LOCAL = """\
    deliver:
      - to: ./clinics/{folder}
"""
_SERVED = """\
    deliver:
      - to: {address}{results}/{{folder}}
        key: {folder}/key
        known_hosts: {folder}/known_hosts
        manifest: none              # clinics see results only
"""
_ACKNOWLEDGE = """\
    acknowledge:
      - log: {log}
        format: dropslot
        match: '/results/{{folder}}/{{stored_name}}'
        users: {{clinic12: clinic12, clinic14: clinic14}}
        every: 1s
"""


def prepare(installation: Installation, servers: Servers) -> None:
    """Once: the servers' files, and a route that delivers to them instead of into a local folder."""
    if (servers.folder / "apache.conf").exists():
        return
    servers.make()
    served = _SERVED.format(address=servers.address, results=servers.results, folder=servers.folder)
    served = _ACKNOWLEDGE.format(log=servers.access_log) + served
    installation.config.write_text(installation.config.read_text().replace(_LOCAL, served))


def demonstrate(installation: Installation, servers: Servers) -> None:
    """Drop three PDFs, show where they went, fetch one as its clinic does, and show who has not fetched theirs."""
    before = installation.ids()
    number = int(time.time()) % 1_000_000  # new results each time
    right, other, wrong = f"066-12{number:06}-1", f"066-14{number:06}-1", f"066-12{number:06}-2"
    say(
        "[bold]Results to clinics.[/bold] Dropping three PDFs; the last one is of another specimen than its name says."
    )
    for name, text in ((right, right), (other, other), (wrong, right)):
        _drop(installation, f"{name}.pdf", text)
    ended = installation.wait_for_arrivals({f"{name}.pdf" for name in (right, other, wrong)}, before)
    _show(installation, ended)
    say(f"\nclinic12 fetches {right}.pdf from the web server; its access log says so.")
    servers.fetch("clinic12", f"{right}.pdf")
    _show_who_fetched(installation, f"{right}.pdf", f"{other}.pdf")


def _drop(installation: Installation, name: str, specimen: str) -> None:
    """As a careful program does: written under a hidden name, then renamed."""
    inbox = installation.folder / "results" / "inbox"
    hidden = inbox / f".{name}"
    write(hidden, specimen)
    os.rename(hidden, inbox / name)


def write(file: Path, specimen: str) -> None:
    """A PDF with the result of a specimen."""
    canvas = Canvas(str(file))
    canvas.drawString(72, 720, f"Viral load. Specimen: {specimen}")
    canvas.save()


def _show(installation: Installation, ended: list[Row]) -> None:
    delivered = {row["arrival"]: row for row in installation.listing("history")}
    for arrival in ended:
        say(f"[bold]{arrival['name']}[/bold]: {arrival['state']}")
        if row := delivered.get(arrival["id"]):
            say(f"  → {row['destination']}/{row['stored_as']}")
        for reason in arrival["reason"]:
            say(f"  {reason}", style="dim")


def _show_who_fetched(installation: Installation, fetched: str, waiting: str) -> None:
    def acknowledged() -> list[Row] | None:
        rows = installation.listing("history", "--search", fetched)
        return rows if rows and all(row["acknowledged_at"] for row in rows) else None

    (row, *_) = installation.wait_for(acknowledged, "The access log was not read")
    say(f"  {fetched} was fetched by {row['acknowledged_by']} at {row['acknowledged_at']}")
    rows = installation.listing("history", "--unacknowledged", "--search", waiting)
    say(f"  not fetched yet: {', '.join(Path(row['stored_as']).name for row in rows)}\n")
