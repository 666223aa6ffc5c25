"""A DICOM node keeps one object for each SOPInstanceUID. It replaces the first one by a second with other bytes, or
ignores the second, and says success to both; so other bytes are never sent to where the first ones are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dropslot.arrivals.importers import Bytes
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.config import Route
from dropslot.core.addresses import place_of, scheme_of
from dropslot.core.counting import CHUNK, chunks
from dropslot.core.dicom_addresses import SCHEME, WEB_SCHEMES
from dropslot.core.errors import Refused
from dropslot.core.names import escape
from dropslot.dicom.importing.found import FoundSeries
from dropslot.dicom.models import Instance
from dropslot.files.walk import MAX_FAULTS

_KEEP_ONE = {SCHEME, *WEB_SCHEMES}


def require_one_version(
    arrival: Arrival, route: Route, series: Sequence[FoundSeries], staged: Mapping[str, Bytes]
) -> None:
    """Raise Refused if the record has other bytes of an instance at a node or service that the route delivers to.
    Nothing is refused any more once the arrival has an intent."""
    places = {place_of(rule.to) for rule in route.deliver if scheme_of(rule.to) in _KEEP_ONE}
    if places and arrival.intent is None and (reasons := list(_changed(arrival, places, series, staged))):
        raise Refused(reasons[:MAX_FAULTS])


def _changed(
    arrival: Arrival, places: set[str], series: Sequence[FoundSeries], staged: Mapping[str, Bytes]
) -> Iterator[str]:
    paths = {one.sop_uid: one.path for found in series for one in found.instances}
    for uids in chunks(list(paths), CHUNK):
        known = Instance.objects.filter(sop_uid__in=uids).exclude(arrival_id=arrival.id)
        rows = list(known.values_list("sop_uid", "sha256", "arrival_id", "item"))
        other = [row for row in rows if staged[paths[row[0]]].sha256 != row[1]]
        there = _delivered(places, other)
        for uid, _, earlier, item in other:
            for place in there.get((earlier, item), ()):
                yield (
                    f"{escape(paths[uid])} has the SOPInstanceUID {uid} of {escape(item)} in arrival {earlier}, with"
                    f" other bytes. {place} keeps one object for each UID, and has that one. A changed image needs a"
                    " new SOPInstanceUID; or deliver this one to a folder, by another route"
                )


def _delivered(
    places: set[str], rows: Sequence[tuple[str, str, str, str]]
) -> dict[tuple[str, str], set[str]]:
    """Which of these places has each item, by its arrival and path."""
    found: dict[tuple[str, str], set[str]] = {}
    deliveries = Delivery.objects.filter(
        arrival_id__in={row[2] for row in rows}, item__in={row[3] for row in rows}
    )
    for arrival, item, url in deliveries.values_list("arrival_id", "item", "place__url"):
        if place_of(url) in places:
            found.setdefault((arrival, item), set()).add(place_of(url))
    return found
