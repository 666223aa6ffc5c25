"""The newest instances that match, among a million.

Contributions tell where they are: the images of one series that one arrival added. Images and contributions are written
in one transaction after the other, so the images of a newer contribution are newer, too. A filter is asked of
contributions, which are few; then the images of the first of these are looked at, until there are enough.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from django.db.models import Q, QuerySet

from dropslot.arrivals.listings.cursor_pages import Page, key_of, limited
from dropslot.dicom.listings.image_filters import Wanted, narrowed
from dropslot.dicom.listings.queries import page_of_instances
from dropslot.dicom.models import Contribution, Instance

_FIRST, _MOST, _TIMES = 16, 256, 4  # contributions that are read together: few first, then more


def newest_instances(
    seen: Callable[[Q], QuerySet[Instance]],
    among: QuerySet[Contribution],
    wanted: Wanted,
    cursor: str = "",
    limit: int = 50,
) -> Page:
    """The newest instances that match. `seen`: those that may be seen of the series and arrivals of a condition;
    `among`: the contributions that may have some. Raises BadCursor."""
    limit = limited(limit)
    before = key_of(Instance.objects.all(), cursor) if cursor else None
    found: list[Instance] = []
    for some in _walk(narrowed(among, wanted), before, limit + 1):
        of = _of(some)
        rows = narrowed(seen(of), wanted).filter(of)
        if before is not None:
            rows = rows.filter(pk__lt=before)
        found += rows.order_by("-pk")[: limit + 1 - len(found)]
        if len(found) > limit:
            break
    return page_of_instances(found, limit)


def _walk(rows: QuerySet[Contribution], before: int | None, images: int) -> Iterator[Sequence[Contribution]]:
    """Contributions from the newest to the oldest, without those that have only images from `before` on: as many at a
    time as have so many images, and then more."""
    if before is not None:
        newest = Instance.objects.filter(pk__lt=before).order_by("-pk").values("series", "arrival").first()
        last = Contribution.objects.filter(**newest).first() if newest else None
        rows = rows.filter(pk__lte=last.pk) if last else rows
    some: list[Contribution] = []
    for one in _each(rows.only("series", "arrival", "added").order_by("-pk")):
        some.append(one)
        if sum(each.added for each in some) >= images:
            yield some
            some, images = [], images * _TIMES
    if some:
        yield some


def _each(rows: QuerySet[Contribution]) -> Iterator[Contribution]:
    size = _FIRST
    while some := list(rows[:size]):
        yield from some
        if len(some) < size:
            return
        rows, size = rows.filter(pk__lt=some[-1].pk), min(size * _TIMES, _MOST)


def _of(some: Sequence[Contribution]) -> Q:
    """The images of these contributions."""
    series: dict[str, list[int]] = defaultdict(list)
    for one in some:
        series[one.arrival_id].append(one.series_id)
    return Q.create(
        [Q(arrival=arrival, series__in=several) for arrival, several in series.items()], connector=Q.OR
    )
