"""Attempts as traces of OpenTelemetry, if `traces` names a collector. The id of a trace is that of the arrival: a ULID
has as many bits. Spans are made after the attempt, from its times, so without the key nothing is done.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog
from ulid import ULID

from dropslot.arrivals.delivery.work import Work
from dropslot.config import Config
from dropslot.core.context import kept, put
from dropslot.core.release import VERSION

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Tracer, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter


log = structlog.get_logger()


class _Traces:
    """What this process sends traces with, made when the first one is to be sent. `next_id` is that of the next."""

    def __init__(self) -> None:
        self.provider: TracerProvider | None = None
        self.tracer: Tracer | None = None
        self.next_id = 0

    def begin(self, exporter: SpanExporter, *, at_once: bool = False) -> None:
        """Send spans by this exporter: from a thread of its own, which no delivery waits for."""
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        traces = self

        class Ids(RandomIdGenerator):
            def generate_trace_id(self) -> int:
                return traces.next_id

        about = Resource.create({"service.name": "dropslot", "service.version": VERSION})
        self.provider = TracerProvider(resource=about, id_generator=Ids(), shutdown_on_exit=False)
        processor = SimpleSpanProcessor(exporter) if at_once else BatchSpanProcessor(exporter)
        self.provider.add_span_processor(processor)
        self.tracer = self.provider.get_tracer("dropslot")  # type: ignore[assignment]


def tell(works: Iterable[Work], outcome: str, error: Exception | None = None) -> None:
    """Send the traces of attempts that ended."""
    for work in works:
        if work.config.traces:
            try:
                _send(work, outcome, error)
            except Exception as trouble:  # noqa: BLE001 - no delivery depends on its trace
                log.warning("A trace could not be sent", action="trace_failed", error=repr(trouble))


def end() -> None:
    """Send what is left; at most a few seconds."""
    provider = kept(_Traces).provider
    if provider is not None:
        provider.force_flush(3000)
        provider.shutdown()
        put(_Traces())  # a later attempt begins anew


def _send(work: Work, outcome: str, error: Exception | None) -> None:
    from opentelemetry.trace import Status, StatusCode, set_span_in_context

    tracer = _tracer(work.config)
    now = time.time_ns()
    kept(_Traces).next_id = int.from_bytes(ULID.from_str(work.id).bytes, "big")
    begun = min((span[0] for span in work.times.values()), default=now)
    whole = tracer.start_span("arrival", start_time=begun, attributes=_about(work, outcome))
    context = set_span_in_context(whole)
    for name, (start, finish) in sorted(work.times.items(), key=lambda item: item[1]):
        tracer.start_span(name, context, start_time=start).end(finish)
    if error is not None:
        whole.set_status(Status(StatusCode.ERROR, getattr(error, "code", type(error).__name__)))
    whole.end(max(now, begun))


def _about(work: Work, outcome: str) -> dict[str, str | int]:
    """Without names of files: they may be patients'."""
    arrival = work.arrival
    return {
        "dropslot.arrival": work.id,
        "dropslot.route": work.route.key,
        "dropslot.epoch": work.epoch,
        "dropslot.outcome": outcome,
        "dropslot.items": len(work.listing.items),
        "dropslot.bytes": work.listing.size_bytes,
        "dropslot.worker": arrival.worker,
    }


def _tracer(config: Config) -> Tracer:
    traces = kept(_Traces)
    if traces.tracer is None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        traces.begin(OTLPSpanExporter(f"{config.traces}/v1/traces", timeout=5))
    assert traces.tracer is not None
    return traces.tracer
