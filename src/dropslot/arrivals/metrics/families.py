"""Families of numbers, as Prometheus names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from dropslot.arrivals.metrics.spread import Spread

Rows = Iterable[tuple[tuple[str, ...], float]]


def gauge(
    name: str, text: str, labels: tuple[str, ...] = (), rows: Rows = (), value: float | None = None
) -> Metric:
    """Numbers that go up and down."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, number in rows if value is None else [((), float(value))]:
        family.add_metric(key, number)
    return family


def counter(name: str, text: str, labels: tuple[str, ...], rows: Rows) -> Metric:
    """Numbers that only grow."""
    family = CounterMetricFamily(name, text, labels=labels)
    for key, number in rows:
        family.add_metric(key, number)
    return family


def histogram(name: str, text: str, label: str, spreads: Mapping[str, Spread]) -> Metric:
    """Durations, by one label."""
    family = HistogramMetricFamily(name, text, labels=(label,))
    for key, spread in sorted(spreads.items()):
        family.add_metric((key,), list(spread.buckets()), spread.total)
    return family
