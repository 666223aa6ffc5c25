"""Who works with the installation's database now: for commands that need it to rest."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connection
from django.db.models.functions import Now

from dropslot.arrivals import machines
from dropslot.arrivals.candidates import Doer, lapsed
from dropslot.arrivals.models import Arrival, Candidate
from dropslot.arrivals.workers import holder
from dropslot.arrivals.workers.sentinel.presence import is_dead
from dropslot.config import Config
from dropslot.core.names import escape
from dropslot.core.states import State

# Pages of an administrator's own program come as another account.
_CLIENTS = (
    "SELECT coalesce(host(client_addr), 'this machine'), application_name FROM pg_stat_activity WHERE datname ="
    " current_database() AND usename = current_user AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


def at_work(config: Config) -> list[str]:
    """Each of them in words, also those on other machines; empty: it rests."""
    if holder.others(config.data, ""):
        return ["a worker, a watcher or a drain on this machine"]
    held = Arrival.objects.filter(state=State.PROCESSING, lease_until__gt=Now()).order_by()
    alive = Candidate.objects.exclude(lapsed())
    names = {*held.values_list("worker", flat=True), *alive.values_list("name", flat=True)}
    found = [str(Doer.of(name)) for name in sorted(names) if not holder.is_dead(config.data, name)]
    found += [one.title for one in machines.known() if one.is_alive and not is_dead(config, one.name)]
    return found or list(_clients())


def _clients() -> Iterator[str]:
    """Programs on other machines that are idle, or the portal."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(_CLIENTS)
            for address, program in cursor.fetchall():
                yield f"a program that is connected to the database from {address} {escape(program)}".strip()
