"""Intent, names, manifest: data → names → manifest → record, and each arrow is durable before the next."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from typing import Any, Literal

from django.db import DataError, IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from dropslot.arrivals import whereabouts
from dropslot.arrivals.delivery import finish, guarded_writes, make_anew, names_and_versions, reserved
from dropslot.arrivals.delivery.paths import legs, target_parts
from dropslot.arrivals.delivery.work import Leg, Row, Work, source_of
from dropslot.arrivals.intake.inplace import fingerprint
from dropslot.arrivals.models import Adoption, Delivery, Place
from dropslot.audit.chain import Entry, append
from dropslot.audit.event_payloads import Files
from dropslot.audit.kinds import Kind, entry
from dropslot.core.errors import DropslotError, NameInFlight, Refused, TakenOver
from dropslot.core.file_names.litter import BY_DEFAULT
from dropslot.core.names import escape
from dropslot.core.showing.quantities import CHUNK, chunks
from dropslot.destinations.base import Destination

_TOO_LARGE = "54000"  # SQLSTATE program_limit_exceeded
_Reserved = tuple[Any, ...]  # arrival, place and the columns of a Row
LISTED = reserved.LISTED
_MOST_VALUES = 990  # in one statement: older SQLite accepts 999
LONGEST_MIME = 100  # the length of the column
_COLUMNS = (
    "arrival_id, place_id, item, stored_as, version, outcome, superseded, sha256, size_bytes, mtime_ns, mime"
)
_SOURCES = "source_item, source_sha256"  # written only if something was made anew


def record_intent(works: Sequence[Work], prove: Callable[[Sequence[Work]], None] = lambda _: None) -> None:
    """Reserve all names and record the intent to publish, in one commit. A work for which that fails gets its
    `failure`. After the commit nothing of these arrivals is refused any more.

    `prove` looks at the sources once more: works that get a `failure` from it are left out. It may take long, on a
    network file system for instance, so it runs without locks: they would keep others from writing to the database.
    """
    prove(works)
    works = [work for work in works if work.failure is None]
    if not works:
        return
    with transaction.atomic():
        _make_places(works)
        entries = _reserved(works)
        if entries is None:
            # One of them cannot be reserved: reserve each alone, so that only that one fails.
            entries = [entry for work in works for entry in _reserved([work]) or ()]
        # Last: the chain has one writer at a time, and rows are locked before it.
        append(entries)


def _make_places(works: Sequence[Work]) -> None:
    places: dict[str, Place] = {}
    legs = [leg for work in works for leg in work.legs]
    # In the same order everywhere: otherwise two batches that make the same places could deadlock.
    for leg in sorted(legs, key=lambda leg: leg.target.url):
        url = leg.target.url
        leg.place = places[url] = leg.place or places.get(url) or Place.objects.get_or_create(url=url)[0]


def _reserved(works: Sequence[Work]) -> list[Entry] | None:
    """Reserve the names of all these works, or of none. Then returns None; a single work also gets its `failure`."""
    try:
        with transaction.atomic():
            return _reserve(works)
    except (IntegrityError, TakenOver, NameInFlight, Refused) as error:
        if len(works) == 1:
            taken = names_and_versions.in_flight("A name that it wants", "that came at the same time")
            works[0].failure = taken if isinstance(error, IntegrityError) else error
        return None
    except (DataError, OperationalError, OverflowError) as error:
        if isinstance(error, OperationalError) and getattr(error.__cause__, "sqlstate", None) != _TOO_LARGE:
            raise
        if len(works) == 1:
            works[0].failure = _cannot_hold(error)
        return None


def _cannot_hold(error: Exception) -> Refused:
    """The likely cause is a long path: PostgreSQL's indexes hold about 2,700 bytes. No other cause is known."""
    why = str(error).strip().partition("\n")[0]
    return Refused(
        [f"The database cannot record this arrival, most likely for a very long path: {escape(why)}"]
    )


def _reserve(works: Sequence[Work]) -> list[Entry]:
    again = [work for work in works if work.committed]
    intents = [_intent(work) for work in works]
    guarded_writes.update_all(works, _INTENT, intents)
    kept: set[_Reserved] = set()
    left = [entry for work in again for entry in _forget(work, kept)]
    entries = left + [
        entry for work in works for leg in work.legs for entry in (*_adopt(work, leg), *_altered(work, leg))
    ]
    insert_deliveries([(work, leg) for work in works for leg in work.legs], kept)
    for work in works:
        if work.imported and not work.committed:
            work.imported.reserve()
    for work, values in zip(works, intents, strict=True):
        arrival = work.arrival
        arrival.intent, arrival.evidence, arrival.archived_as, arrival.fields = values[0], *values[3:]
    return entries


def _forget(work: Work, kept: set[_Reserved]) -> Iterable[Entry]:
    """Delete the names that an earlier attempt reserved. Those that are reserved again unchanged stay and are added to
    `kept`: they may be published and fetched by now."""
    planned = {(work.id, *_reserved_as(leg, row)) for leg in work.legs for row in leg.rows}
    rows, left = Delivery.objects.filter(arrival_id=work.id), [*work.complete, *work.away]
    rows = rows.exclude(place__url__in=left) if left else rows
    gone = []
    for pk, *columns in rows.values_list("pk", "arrival_id", "place_id", *Row._fields[:-1]).iterator():
        if (row := tuple(columns)) in planned:
            kept.add(row)
        else:
            gone.append(pk)
    held = (
        row for some in chunks(gone, CHUNK) for row in reserved.forget(Delivery.objects.filter(pk__in=some))
    )
    return reserved.left_behind(work, held)


def _reserved_as(leg: Leg, row: Row) -> _Reserved:
    """Everything except the file's time, which the sender may have changed."""
    return (leg.place.pk if leg.place else None, *row[:-1])


_INTENT = ("intent", "items", "size_bytes", "evidence", "archived_as", "fields")


def _intent(work: Work) -> tuple[Any, ...]:
    """The columns `_INTENT` of a work."""
    evidence = work.arrival.evidence | (
        {"prefix": work.contents.source_prefix} if work.contents.source_prefix else {}
    )
    # Drop the targets noted before staging: the rows record them now, and other staging is gone.
    for key in (legs.STAGES, legs.NOTED_IN):
        evidence.pop(key, None)
    if work.made:
        evidence[make_anew.MADE] = work.made.name
    parted = target_parts.PARTS in evidence or any(leg.part is not None for leg in work.legs)
    if parted and (found := _parts(work)):
        evidence[target_parts.PARTS] = found
    if work.listing.litter.patterns != BY_DEFAULT:
        evidence["ignore"] = list(work.listing.litter.patterns)
    if work.arrival.in_place:
        evidence["seen"] = fingerprint(work.listing)
    elif not work.leased:
        evidence["unleased"] = finish.fingerprint(work.listing)
    archive = "" if work.arrival.in_place else str(whereabouts.archive_name(work.folders, work.id, work.name))
    return work.manifests, *work.contents.size(), evidence, archive, work.recorded


def _parts(work: Work) -> dict[str, Any]:
    """The parts of this attempt, and of rules that an earlier one completed or whose destination is away."""
    before = work.arrival.evidence.get(target_parts.PARTS, {})
    kept = {url: before[url] for url in (*work.complete, *work.away) if url in before}
    return kept | target_parts.describe(work.legs)


def insert_deliveries(pairs: Sequence[tuple[Work, Leg]], there: Collection[_Reserved] = ()) -> None:
    """Write the delivery rows that are not in `there`. In plain SQL with many rows a statement: Django's bulk_create
    takes five times as long for 100,000 rows."""
    made = {work.id: work.made.sources for work, _ in pairs if work.made}
    columns = f"{_COLUMNS}, {_SOURCES}" if made else _COLUMNS
    width = columns.count(",") + 1
    rows: Iterable[tuple[Any, ...]] = (
        (
            work.id,
            leg.place.pk,
            *row,
            work.mimes.get(row.item, "")[:LONGEST_MIME],
            *(source_of(row, made.get(work.id, {})) if made else ()),
        )
        for work, leg in pairs
        if leg.place
        for row in leg.rows
        if not there or (work.id, *_reserved_as(leg, row)) not in there
    )
    if len(pairs) > 1:
        rows = sorted(rows, key=lambda row: (row[1], row[3]))  # by place and name, against deadlocks as well
    with connection.cursor() as cursor:
        for some in chunks(rows, _MOST_VALUES // width):
            values = ", ".join([f"({', '.join(['%s'] * width)})"] * len(some))
            cursor.execute(
                f"INSERT INTO dropslot_delivery ({columns}) VALUES {values}", list(chain.from_iterable(some))
            )


def _adopt(work: Work, leg: Leg) -> list[Entry]:
    """Record files from before dropslot as version 1, unless another arrival of this batch has done so."""
    if not leg.adopted:
        return []
    names = [name for name, _, _ in leg.adopted]
    kept = set(
        Adoption.objects.filter(place=leg.place, stored_as__in=names).values_list("stored_as", flat=True)
    )
    rows = [
        Adoption(place=leg.place, stored_as=name, sha256=sha256, size_bytes=size, at=timezone.now())
        for name, sha256, size in leg.adopted
        if name not in kept
    ]
    Adoption.objects.bulk_create(rows)
    files = [{"stored_as": row.stored_as, "sha256": row.sha256} for row in rows]
    return [_files_entry(Kind.ADOPTED, work, leg, files)] if files else []


def _altered(work: Work, leg: Leg) -> list[Entry]:
    """Delivered files that somebody has changed or removed since."""
    return [_files_entry(Kind.ALTERED, work, leg, leg.altered)] if leg.altered else []


def _files_entry(
    kind: Literal[Kind.ADOPTED, Kind.ALTERED], work: Work, leg: Leg, files: list[dict[str, str]]
) -> Entry:
    # The event of a folder with 100,000 files must stay readable; the ledger has all of them.
    data: Files = {"destination": leg.target.url, "count": len(files), "files": files[:LISTED]}
    return entry(kind, work.id, data)


def publish_items(work: Work) -> None:
    """Give every staged item its name. If somebody took a name since the plan, the item gets the next number: the
    ledger and the manifest are updated before it is published."""
    for leg in work.legs:
        try:
            _publish(work, leg)
        except TakenOver:
            raise
        except (DropslotError, OSError) as error:
            leg.failure = error  # a destination that is away does not hold up the others


def _publish(work: Work, leg: Leg) -> None:
    leg.drop.keep(leg.kept)
    while taken := leg.drop.publish(leg.publish):
        renamed = names_and_versions.renumber(work, leg, [planned.stored_as for planned in taken])
        with transaction.atomic():
            _rename(work, leg, list(renamed.values()))


def _rename(work: Work, leg: Leg, rows: Sequence[Row]) -> None:
    intent = work.manifests
    guarded_writes.update_held(work.hold, intent=intent)
    for row in rows:
        Delivery.objects.filter(arrival_id=work.id, place=leg.place, item=row.item).update(
            stored_as=row.stored_as, version=row.version
        )
    work.arrival.intent = intent


Pairs = Sequence[tuple[Work, Leg]]


@contextmanager
def syncing_staged(works: Sequence[Work]) -> Iterator[Callable[[], None]]:
    """Sync the staged data while the block checks and plans: the disk and the processor work at the same time.

    It yields a function that waits for the end. Legs whose data is not durable then have their `failure`.
    """
    with ThreadPoolExecutor(1, "sync") as executor:
        future = executor.submit(sync_staged, works)
        yield future.result


def sync_staged(works: Sequence[Work]) -> None:
    """Sync the staged data to the disk."""
    _each_destination(
        works, lambda destination, pairs: destination.sync_staged([leg.drop for _, leg in pairs])
    )


def sync_names(works: Sequence[Work]) -> None:
    """Sync the published names to the disk."""
    _each_destination(
        works, lambda destination, pairs: destination.sync_names([leg.drop for _, leg in pairs])
    )


def publish_manifests(works: Sequence[Work]) -> None:
    """Publish the manifests, last: a manifest means that its arrival is complete."""

    def publish(destination: Destination, pairs: Pairs) -> None:
        destination.publish_manifests([(leg.drop, leg.manifest) for _, leg in pairs])
        for _, leg in pairs:
            leg.complete = True

    _each_destination(works, publish)


def _each_destination(works: Sequence[Work], act: Callable[[Destination, Pairs], object]) -> None:
    for destination, pairs in _by_destination(works).items():
        try:
            act(destination, pairs)
        except (DropslotError, OSError) as error:
            for _, leg in pairs:
                leg.failure = error


def _by_destination(works: Sequence[Work]) -> Mapping[Destination, Pairs]:
    """In the order of config.yaml: the same in each run."""
    found: dict[Destination, list[tuple[Work, Leg]]] = {}
    for work in works:
        for leg in work.going_on:
            found.setdefault(leg.destination, []).append((work, leg))
    return found
