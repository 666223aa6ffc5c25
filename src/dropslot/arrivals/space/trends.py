"""How fast each space fills, from what it held at the beginning of each hour and day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import ExtractHour
from django.utils import timezone

from dropslot.arrivals.models import Usage, UsageSample
from dropslot.arrivals.space import tree_sizes
from dropslot.arrivals.space.spaces import Space

_HOURLY = timedelta(days=2)
_KEPT = timedelta(days=30)
_LEAST = timedelta(hours=12)  # less says little
_DAY_SECONDS = 86_400.0
Sample = tuple[datetime, int]


def sample(spaces: Iterable[Space], now: datetime | None = None) -> bool:
    """Note what each holds, once an hour, and how fast it grows. False: this hour has their samples already. Another
    machine notes what only it sees."""
    at = (now or timezone.now()).replace(minute=0, second=0, microsecond=0)
    noted = set(UsageSample.objects.filter(at=at).values_list("usage__key", flat=True))
    held = {space.key: space.used_bytes for space in spaces if space.key not in noted}
    if not held:
        return False
    with transaction.atomic():
        tree_sizes.remember(held)
        ids = dict(Usage.objects.filter(key__in=list(held)).values_list("key", "id"))
        rows = [UsageSample(usage_id=ids[key], at=at, used_bytes=used) for key, used in held.items()]
        UsageSample.objects.bulk_create(rows, ignore_conflicts=True)
        _thin(at)
        _keep_rates(ids.values())
    return True


def _thin(now: datetime) -> None:
    # Those of the future are from a clock that was wrong.
    UsageSample.objects.filter(Q(at__lt=now - _KEPT) | Q(at__gt=now)).delete()
    older = UsageSample.objects.filter(at__lt=now - _HOURLY).annotate(hour=ExtractHour("at", tzinfo=UTC))
    older.exclude(hour=0).delete()


def _keep_rates(ids: Iterable[int]) -> None:
    by_usage: dict[int, list[Sample]] = {}
    for usage, at, used in UsageSample.objects.order_by("at").values_list("usage_id", "at", "used_bytes"):
        by_usage.setdefault(usage, []).append((at, used))
    rows = [Usage(id=number, daily_bytes=rate(by_usage.get(number, ()))) for number in ids]
    Usage.objects.bulk_update(rows, ["daily_bytes"], batch_size=500)


def rate(samples: Sequence[Sample]) -> int | None:
    """Bytes a day, by least squares, since something was last removed; None: too little is known."""
    samples = _since_removal(samples)
    if not samples or samples[-1][0] - samples[0][0] < _LEAST:
        return None
    days = [(at - samples[0][0]).total_seconds() / _DAY_SECONDS for at, _ in samples]
    mean, middle = sum(used for _, used in samples) / len(samples), sum(days) / len(days)
    slope = sum((day - middle) * (used - mean) for day, (_, used) in zip(days, samples, strict=True))
    return int(slope / sum((day - middle) ** 2 for day in days))


def _since_removal(samples: Sequence[Sample]) -> Sequence[Sample]:
    for at in range(len(samples) - 1, 0, -1):
        if samples[at - 1][1] > samples[at][1] * 1.01:
            return samples[at:]
    return samples
