"""A DICOM node keeps one object for each SOPInstanceUID. It replaces the first one by a second with other bytes, or
ignores the second, and says success to both; so other bytes are never sent to where the first ones are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from dropslot.arrivals.importers import Bytes
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.config import Route
from dropslot.core.addressing.addresses import place_of, scheme_of
from dropslot.core.addressing.dicom_addresses import SCHEME, WEB_SCHEMES
from dropslot.core.errors import NameInFlight, Refused
from dropslot.core.names import escape
from dropslot.core.showing.quantities import CHUNK, chunks
from dropslot.dicom.importing.found import FoundSeries
from dropslot.dicom.importing.record_images import wait_for_others
from dropslot.dicom.models import Instance, Outgoing
from dropslot.files.walk import MAX_FAULTS

_KEEP_ONE = {SCHEME, *WEB_SCHEMES}


def require_one_version(
    arrival: Arrival, route: Route, series: Sequence[FoundSeries], staged: Mapping[str, Bytes]
) -> None:
    """Raise Refused if the record has other bytes of an instance at a node or service that the route delivers to.
    Nothing is refused any more once the arrival has an intent."""
    places = _places(route)
    if places and arrival.intent is None and (reasons := list(_changed(arrival, places, series, staged))):
        raise Refused(reasons[:MAX_FAULTS])


def reserve(
    arrival: Arrival, route: Route, series: Sequence[FoundSeries], staged: Mapping[str, Bytes]
) -> None:
    """Reserve these instances at the nodes and services that the route delivers to, in the transaction of the intent.
    Raises NameInFlight while another arrival is sending other bytes of one of them there, and Refused if one has done
    so since this one was judged."""
    places = _places(route)
    if not places:
        return
    wait_for_others()
    for some in chunks(_instances(series), CHUNK):
        _require_none_on_its_way(arrival, places, some, staged)
    require_one_version(arrival, route, series, staged)
    Outgoing.objects.bulk_create(
        (
            Outgoing(arrival=arrival, receiver=place, sop_uid=uid, sha256=staged[path].sha256)
            for place in sorted(places)
            for uid, path in _instances(series)
        ),
        batch_size=CHUNK,
    )


def forget(arrival: Arrival) -> None:
    """The record has the arrival's instances from now on."""
    Outgoing.objects.filter(arrival=arrival).delete()


def _places(route: Route) -> set[str]:
    return {place_of(rule.to) for rule in route.deliver if scheme_of(rule.to) in _KEEP_ONE}


def _instances(series: Sequence[FoundSeries]) -> Iterator[tuple[str, str]]:
    """The UID and the path of each instance."""
    return ((one.sop_uid, one.path) for found in series for one in found.instances)


def _require_none_on_its_way(
    arrival: Arrival, places: set[str], some: Iterable[tuple[str, str]], staged: Mapping[str, Bytes]
) -> None:
    paths = dict(some)
    rows = Outgoing.objects.filter(sop_uid__in=list(paths), receiver__in=places).exclude(arrival=arrival)
    for uid, sha256, other, place in rows.values_list("sop_uid", "sha256", "arrival_id", "receiver"):
        if staged[paths[uid]].sha256 != sha256:
            raise NameInFlight(
                f"Arrival {other} is sending other bytes of {escape(paths[uid])} to {place} now, under its"
                f" SOPInstanceUID {uid}",
                where="Nothing of this arrival was delivered",
                next_step="This one is judged when that one is done",
            )


def _changed(
    arrival: Arrival, places: set[str], series: Sequence[FoundSeries], staged: Mapping[str, Bytes]
) -> Iterator[str]:
    paths = dict(_instances(series))
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
