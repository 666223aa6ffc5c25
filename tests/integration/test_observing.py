"""The service as other programs observe it: metrics, logs, traces."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.parser import text_string_to_metric_families
from ulid import ULID

from desk import Desk
from dropslot.arrivals.metrics import exporter
from dropslot.config.servers.listen_addresses import Listen
from dropslot.config.servers.observing import Metrics
from dropslot.running.stopping import Signal
from ports import free_port
from product import STUDY, Product
from prometheus import Prometheus
from waiting import wait_until

_DASHBOARD = Path(__file__).parent.parent.parent / "docs" / "grafana.json"
Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def port() -> int:
    return free_port()


def scrape(port: int) -> Numbers:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Numbers, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


def scraped(port: int) -> Numbers:
    """Once the service answers."""
    found: Numbers = {}

    def answers() -> bool:
        try:
            found.update(scrape(port))
        except OSError:
            return False
        return True

    wait_until(answers, deadline_seconds=60, what="an answer of the metrics")
    return found


def test_each_delivery_counts_once_and_each_process_for_itself(product: Product, port: int) -> None:
    product.configure(metrics={"listen": f"127.0.0.1:{port}"})
    product.start("run")
    scraped(port)
    for name in ("one", "two"):
        product.drop(name, {"a": b"1", "b": b"22"})
        product.wait_for_state(name, "done")
    product.drop("three", {"x": b"1"})
    product.wait_for_state("three", "done")

    def counted() -> Numbers | None:
        found = scrape(port)
        done = value(found, "dropslot_delivery_seconds_count", route="study")
        return found if done == 3 else None

    found = wait_until(counted, what="three deliveries in the metrics")
    assert found is not None
    for step in ("claim", "staging", "publishing"):
        assert value(found, f"dropslot_{step}_seconds_count", route="study") == 3
        assert (value(found, f"dropslot_{step}_seconds_sum", route="study") or 0) < 60
    assert value(found, "dropslot_deliveries_total", route="study", outcome="delivered") == 3
    assert value(found, "dropslot_deliveries_total", route="study", outcome="unchanged") == 2
    assert value(found, "dropslot_arrivals", route="study", state="done") == 3
    alive = {dict(labels)["process"] for name, labels in found if name == "dropslot_process_up"}
    assert {"watcher", "worker-1", "worker-2", "after", "metrics"} <= alive
    taken = [value(found, "dropslot_process_arrivals_total", process=f"worker-{n}") or 0 for n in (1, 2)]
    assert sum(taken) == 3
    assert (value(found, "dropslot_process_resident_memory_bytes", process="watcher") or 0) > 10_000_000


def test_a_killed_worker_is_seen_and_so_is_its_successor(sqlite_product: Product, port: int) -> None:
    product = sqlite_product.configure(metrics={"listen": f"127.0.0.1:{port}"}, worker_count=1)
    product.start("run")
    scraped(port)
    board = product.root / "var/processes/worker-1"
    first = int.from_bytes(board.read_bytes()[4:8], "little")
    os.kill(first, signal.SIGKILL)

    def succeeded() -> bool:
        again = int.from_bytes(board.read_bytes()[4:8], "little")
        return again != first and value(scrape(port), "dropslot_process_up", process="worker-1") == 1

    wait_until(succeeded, what="another worker")


def test_the_port_of_the_metrics_is_taken_over_when_it_is_free(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another service of this data folder, as workers beside `run` are."""
    monkeypatch.setattr(exporter, "AGAIN_SECONDS", 0.05)
    config = Desk(tmp_path).config.model_copy(update={"metrics": Metrics(listen=Listen("127.0.0.1", port))})
    stop = Signal()
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(exporter.CannotListen, match="in use"):
            exporter.prove(config)
        serving = Thread(target=exporter.serve, args=(config, stop))
        serving.start()
        serving.join(0.3)
        assert serving.is_alive()

    def answers() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET /elsewhere HTTP/1.0\r\n\r\n")
            return connection.recv(9).startswith(b"HTTP/1")
        return False

    wait_until(answers, what="an answer")
    stop.set()
    serving.join(60)
    assert not serving.is_alive()


@pytest.mark.crash
def test_every_query_of_the_dashboard_finds_numbers(
    sqlite_product: Product, port: int, prometheus_of: Callable[[str], Prometheus]
) -> None:
    product = sqlite_product.configure(metrics={"listen": f"127.0.0.1:{port}"})
    product.start("run")
    scraped(port)
    server = prometheus_of(f"127.0.0.1:{port}")
    product.drop("one", b"1")
    product.wait_for_state("one", "done")
    server.wait_for_scrapes(3)
    board = json.loads(_DASHBOARD.read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(queries) > 20
    # Those of the database are made anew every few seconds.
    wait_until(lambda: server.ask('dropslot_delivery_seconds_count{route="study"} >= 1'), what="the delivery")
    product.drop("two", b"2")
    product.wait_for_state("two", "done")

    def without_numbers() -> list[str]:
        return [query for query in queries if not server.ask(query)]

    wait_until(
        lambda: not without_numbers() or None, deadline_seconds=60, what=f"numbers for {without_numbers()}"
    )


def test_each_line_about_an_arrival_has_its_id(sqlite_product: Product) -> None:
    checks = [{"pdf_contains": "x"}]
    routes = {
        "study": STUDY,
        "pdfs": {"folders": "./pdfs", "checks": checks, "deliver": [{"to": "./studies"}]},
    }
    product = sqlite_product.configure(routes, log_level="debug")
    product.drop("good", {"a": b"1"})
    product.drop("bad.pdf", b"no PDF", "pdfs")
    product.drain(status=None)
    ids = {row["name"]: row["id"] for row in product.arrivals()}
    lines = [json.loads(line) for line in (product.root / "var/logs/dropslot.jsonl").read_text().splitlines()]
    told = {
        name: [
            line["action"] for line in lines if id == line.get("arrival") or id in line.get("arrivals", ())
        ]
        for name, id in ids.items()
    }
    assert {"claimed", "taken", "delivered"} <= {*told["good"]} and {"claimed", "taken", "refused"} <= {
        *told["bad.pdf"]
    }
    # What workers say is about arrivals, except for their own beginnings and ends.
    of_workers = {"claimed", "taken", "delivered", "refused", "retrying", "held", "attempt_broke"}
    assert all("arrival" in line or "arrivals" in line for line in lines if line["action"] in of_workers)


@pytest.fixture
def collector() -> Iterator[tuple[str, list[Span]]]:
    """An address that takes OTLP by HTTP, and the spans that it got."""
    spans: list[Span] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            got = ExportTraceServiceRequest.FromString(body)
            spans.extend(
                span for one in got.resource_spans for scope in one.scope_spans for span in scope.spans
            )
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", spans
        server.shutdown()
        thread.join()


def test_an_arrival_is_a_trace_with_a_span_for_each_step(
    sqlite_product: Product, collector: tuple[str, list[Span]]
) -> None:
    address, spans = collector
    product = sqlite_product.configure(traces=address)
    product.drop("patient-17", {"a": b"123"})
    product.drain()
    [arrival] = product.arrivals()
    names = {span.name for span in spans}
    assert names == {"arrival", "staging", "checking", "publishing", "recording"}
    assert {span.trace_id for span in spans} == {ULID.from_str(arrival["id"]).bytes}
    [whole] = [span for span in spans if span.name == "arrival"]
    for span in spans:
        assert span is whole or span.parent_span_id == whole.span_id
        assert whole.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= whole.end_time_unix_nano
    about = {key.key: key.value.string_value or key.value.int_value for key in whole.attributes}
    assert about["dropslot.route"] == "study" and about["dropslot.bytes"] == 3
    assert not any("patient" in str(told) for told in about.values())


def test_a_collector_that_is_away_delays_nothing_and_off_loads_nothing(sqlite_product: Product) -> None:
    product = sqlite_product.configure(traces=f"http://127.0.0.1:{free_port()}")
    product.drop("one", b"1")
    product.drain()
    assert [row["state"] for row in product.arrivals()] == ["done"]
