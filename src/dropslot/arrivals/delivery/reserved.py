"""Names that an earlier attempt reserved and this one does not need. They are released, except those of files that
somebody has already fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, cast

from django.db.models import ProtectedError, QuerySet

from dropslot.arrivals.delivery.work import Work
from dropslot.arrivals.models import Delivery
from dropslot.audit.chain import Entry
from dropslot.audit.kinds import Kind, entry
from dropslot.core.showing.quantities import CHUNK, chunks

LISTED = 100


def forget(rows: QuerySet[Delivery]) -> list[Delivery]:
    """Delete these rows, except those of fetched files, which count as delivered. Returns the rows that stay."""
    pks = rows.values_list("pk", flat=True)
    return [row for some in chunks(list(pks), CHUNK) for row in _forget(Delivery.objects.filter(pk__in=some))]


def _forget(rows: QuerySet[Delivery]) -> Iterable[Delivery]:
    try:
        rows.delete()
    except ProtectedError as error:
        held = {cast(Any, one).delivery_id for one in error.protected_objects}
        rows.exclude(pk__in=held).delete()
        return rows.filter(pk__in=held).select_related("place")
    return ()


def left_behind(work: Work, rows: Iterable[Delivery]) -> Iterator[Entry]:
    """An event for each destination of these rows that config.yaml no longer has."""
    present = {leg.target.url for leg in work.legs}
    ordered = sorted((row for row in rows if row.place.url not in present), key=lambda row: row.place.url)
    for url, some in groupby(ordered, key=lambda row: row.place.url):
        files = [{"stored_as": row.stored_as, "sha256": row.sha256} for row in some]
        yield entry(
            Kind.LEFT_BEHIND, work.id, {"destination": url, "count": len(files), "files": files[:LISTED]}
        )
