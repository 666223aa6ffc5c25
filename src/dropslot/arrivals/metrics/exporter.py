"""The process that answers Prometheus, also on machines without a portal: the key `metrics` of config.yaml."""

from __future__ import annotations

import select
import socket
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog
from django.db import close_old_connections, connections
from prometheus_client import CollectorRegistry, make_wsgi_app

from dropslot.arrivals.metrics.numbers import Numbers
from dropslot.arrivals.metrics.processes import Processes
from dropslot.config import Config
from dropslot.config.servers.listen_addresses import Listen
from dropslot.core.context import kept
from dropslot.core.errors import DropslotError
from dropslot.running.stopping import Signal

log = structlog.get_logger()
AGAIN_SECONDS = 10.0


class CannotListen(DropslotError):
    """Another program has the address."""

    code = "metrics-cannot-listen"


def registry_of(config: Config) -> CollectorRegistry:
    """All numbers that this machine gives."""
    registry = CollectorRegistry()
    registry.register(kept(Numbers))
    registry.register(Processes(config.data))
    return registry


def prove(config: Config) -> None:
    """Raise CannotListen unless the address can be listened on."""
    if config.metrics:
        _server(config, config.metrics.listen).server_close()


def serve(config: Config, stop: Signal) -> None:
    """Answer until `stop`, one request at a time."""
    assert config.metrics is not None
    server = None
    while server is None and not stop.is_set():
        try:
            server = _server(config, config.metrics.listen)
        except CannotListen:  # another service of this data folder answers; when it ends, this one does
            stop.wait(AGAIN_SECONDS)
    if server is None:
        return
    with server:
        log.info("Metrics are served", action="metrics_served", listen=str(config.metrics.listen))
        while not stop.is_set():
            if server.fileno() in select.select([server.fileno(), stop.fileno()], [], [], AGAIN_SECONDS)[0]:
                server.handle_request()
                close_old_connections()
    connections.close_all()


class _Handler(WSGIRequestHandler):
    timeout = 5  # a client that says nothing does not keep the others waiting for longer

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a scrape every few seconds is no news."""


class _Server(WSGIServer):
    request_queue_size = 32

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as in socketserver
        log.debug("A client of the metrics went away", action="metrics_client_lost")


def _server(config: Config, where: Listen) -> WSGIServer:
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    server = type("_Server", (_Server,), {"address_family": family})
    try:
        return make_server(where.host, where.port, make_wsgi_app(registry_of(config)), server, _Handler)
    except OSError as error:
        raise CannotListen(
            f"The metrics cannot be served at {where}: {error.strerror or error}",
            where="The service does not start; what is dropped waits in the inboxes",
            next_step="Change `metrics: listen` in config.yaml, or end the other program",
        ) from error
