"""Signs that the database was lost, or is older than the deliveries: keys, receipts or manifests name more than it
knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog
from django.db import DatabaseError
from django.db.models import Max

from dropslot.arrivals.models import Arrival, Place
from dropslot.arrivals.upkeep.rebuilding import found_manifests
from dropslot.arrivals.upkeep.rebuilding.found_targets import targets
from dropslot.audit import receipts, signing_key
from dropslot.audit.models import Event
from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.showing.quantities import CHUNK, chunks
from dropslot.core.states import State
from dropslot.destinations import for_rule, for_url
from dropslot.destinations.base import Target

REMEDY = "Put back the newest backup there is, then run `dropslot rebuild`, which reads manifests and receipts back"
_RECENT = 20  # targets that each start examines
_MARGIN_SECONDS = 5.0
log = structlog.get_logger()


def alarm(config: Config) -> None:
    """Log, as an error, that the database seems to be lost or older; at each start until `rebuild` has repaired it. A
    few queries and looks."""
    try:
        sign = next(_of_the_data_folder(config, thorough=False), "")
        if sign:
            _marker(config).write_text(f"{sign}\n", "utf-8")
        elif _marker(config).exists():
            sign = _marker(config).read_text("utf-8").strip()
        if sign := sign or next(_of_targets(config, thorough=False), ""):
            log.error(f"{sign}. {REMEDY}.", action="database_behind", plain=True)
    except (DatabaseError, DropslotError, OSError) as error:
        log.warning(
            "It could not be checked whether the database is complete",
            action="signs_unread",
            error=str(error),
        )


def mended(config: Config) -> None:
    """End the alarm. Raises OSError."""
    _marker(config).unlink(missing_ok=True)


def _marker(config: Config) -> Path:
    """New deliveries hide the signs that are cheap to find, so a sign that was seen once is kept."""
    return config.data / "database-behind"


def signs(config: Config) -> Iterator[str]:
    """Each sign as a sentence without its full stop; every kept receipt and every target is examined. Raises
    OSError."""
    yield from _of_the_data_folder(config, thorough=True)
    yield from _of_targets(config, thorough=True)


def _of_the_data_folder(config: Config, *, thorough: bool) -> Iterator[str]:
    key = config.keys / signing_key.KEY
    if not Event.objects.exists() and key.exists():
        yield f"The database is empty, although its key {escape(str(key))} has signed receipts"
    if unknown := _unknown_receipt(config, thorough=thorough):
        name = f"arrival {unknown['arrival']} ({unknown['name']}), finished {unknown['finished_at']}"
        yield f"The database does not know {name}, whose receipt is in {escape(str(config.data))}/receipts"


def _of_targets(config: Config, *, thorough: bool) -> Iterator[str]:
    """At the start, all targets are examined only if the trail is empty."""
    wide = thorough or not Event.objects.exists()
    places = _all_targets(config, wait=thorough) if wide else _recent_targets()
    if found := _unknown_manifest(places, all_of_each=wide):
        arrival, url = found
        yield (
            f"The database does not know arrival {arrival}, whose manifest is in {escape(url)}, unless another"
            " installation delivers there"
        )


def _unknown_receipt(config: Config, *, thorough: bool) -> dict[str, object] | None:
    if not thorough:
        newest = receipts.newest(config.data)
        return None if newest is None or _is_done(newest.receipt["arrival"]) else newest.receipt
    for several in chunks(receipts.read_outside(config.data), CHUNK):
        said = [kept.receipt for kept in several]
        done = Arrival.objects.filter(id__in=[one["arrival"] for one in said], state=State.DONE)
        known = set(done.values_list("id", flat=True))
        for one in said:
            if one["arrival"] not in known:
                return one
    return None


def _is_done(arrival: str) -> bool:
    return Arrival.objects.filter(id=arrival, state=State.DONE).exists()


def _unknown_manifest(places: Iterator[Target], *, all_of_each: bool) -> tuple[str, str] | None:
    for target in places:
        try:
            newest_first = sorted(found_manifests.ids(target), reverse=True)
        except DropslotError:
            continue  # away: `doctor` and its deliveries tell
        for some in chunks(newest_first if all_of_each else newest_first[:1], CHUNK):
            known = set(Arrival.objects.filter(id__in=some).values_list("id", flat=True))
            for arrival in some:
                if arrival not in known:
                    return arrival, target.url
    return None


def _all_targets(config: Config, *, wait: bool) -> Iterator[Target]:
    """`wait`: also where a look may take long; no start waits for a server."""
    for route in config.routes.values():
        for rule in route.deliver:
            with suppress(DropslotError):  # away: `doctor` and its deliveries tell
                if wait or for_rule(rule).answers_at_once:
                    yield from targets(rule)


def _recent_targets() -> Iterator[Target]:
    """Targets that tell at once that their manifests are newer than everything that the database knows."""
    newest = Arrival.objects.filter(state=State.DONE).aggregate(at=Max("finished_at"))["at"]
    known = (newest or datetime.fromtimestamp(0, UTC)).timestamp() + _MARGIN_SECONDS
    for url in Place.objects.order_by("-id").values_list("url", flat=True)[:_RECENT]:
        target = Target(url, url)
        with suppress(DropslotError):  # its kind is not registered any more
            changed = for_url(url).changed_at(target, found_manifests.FOLDER)
            if changed is not None and changed > known:
                yield target
