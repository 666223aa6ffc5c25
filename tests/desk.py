"""Two routes that deliver into one place, their inboxes, and a hand that takes each step of an arrival by itself."""

from __future__ import annotations

from pathlib import Path

from django.db.models import F

from dropslot.arrivals.delivery import pipeline
from dropslot.arrivals.intake import claim, record
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.config import Config, FolderSet, from_mapping
from dropslot.config.route_folders import folder_sets
from dropslot.core.states import State
from dropslot.watching.entries import Judged
from product import Tree, write_tree
from waiting import wait_until

NAME = r"(?P<place>[^-]+)-.*"


class Desk:
    """Two routes that deliver into one place, and their inboxes; what is done with an arrival is done here."""

    def __init__(self, base: Path, **more: object) -> None:
        routes = {
            key: {"folders": f"./{key}", "name": NAME, "deliver": [{"to": "./to/{place}"}]} | more
            for key in ("one", "two")
        }
        self.base = base
        self.config: Config = from_mapping({"data": "./var", "routes": routes}, base)
        for key in routes:
            for folder in ("inbox", "processing", "done", "failed"):
                (base / key / folder).mkdir(parents=True, exist_ok=True)
        (base / "to").mkdir(exist_ok=True)
        (base / "var").mkdir(exist_ok=True)
        self._last = 0

    def folders(self, route: str = "one") -> FolderSet:
        [folders] = folder_sets(self.config.routes[route])
        return folders

    def drop(self, name: str, content: Tree | bytes, route: str = "one") -> Judged:
        """Put it into the inbox later than all before, as a clock tells that ticks some hundred times a second."""
        path = write_tree(self.folders(route).inbox / name, content)

        def is_later() -> bool:
            path.chmod(0o700)
            return path.stat().st_ctime_ns > self._last

        wait_until(is_later, what="the clock")
        seen = path.stat()
        self._last = seen.st_ctime_ns
        is_folder = path.is_dir()
        return Judged(name, seen.st_dev, seen.st_ino, is_folder, seen.st_size, seen.st_uid, seen.st_ctime_ns)

    def claim(self, judged: Judged, route: str = "one") -> claim.Claim:
        taken = claim.claim_arrival(self.folders(route), judged, claim.id_of_drop(judged.ctime_ns))
        assert taken
        return taken

    def send(self, name: str, content: Tree | bytes, route: str = "one") -> str:
        """Drop, claim and record; returns the id."""
        taken = self.claim(self.drop(name, content, route), route)
        record.record_claims(self.config, [taken])
        return taken.id

    def attempt(self, *arrivals: str) -> list[State]:
        """Let a worker have these as one batch."""
        rows = Arrival.objects.filter(id__in=arrivals)
        rows.update(
            state=State.PROCESSING, worker="here:1:a", epoch=F("epoch") + 1, attempts=F("attempts") + 1
        )
        pipeline.deliver_arrivals(self.config, list(rows))
        return [State(Arrival.objects.get(id=arrival).state) for arrival in arrivals]

    def versions(self, item: str) -> list[str]:
        """The arrivals that delivered its versions."""
        rows = Delivery.objects.filter(item=item, outcome="delivered").order_by("version")
        return list(rows.values_list("arrival_id", flat=True))
