"""An HTTP server on a loopback port, in a thread, that takes messages and does to them what their path says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Webhooks:
    """`/ok` takes what comes, `/500` and `/404` answer that, `/redirect` sends on to `leads_to`, `/never` does not
    answer before the end of the test."""

    port: int
    leads_to: str = ""
    taken: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def address(self, path: str, host: str = "127.0.0.1") -> str:
        """As apprise has it."""
        return f"json://{host}:{self.port}{path}"


def _handler(hooks: Webhooks) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            path = self.path.strip("/").split("?")[0].split("/")[0]
            hooks.asked.append(path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if path == "never":
                hooks.ended.wait()
            elif path == "ok":
                hooks.taken.append(json.loads(body))
            self.send_response({"redirect": 307, "500": 500, "404": 404}.get(path, 200))
            if path == "redirect":
                self.send_header("Location", hooks.leads_to)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is printed."""

    return Handler


@pytest.fixture
def webhooks() -> Iterator[Webhooks]:
    """It listens on every address of the loopback."""
    hooks = Webhooks(0)
    with ThreadingHTTPServer(("0.0.0.0", 0), _handler(hooks)) as server:
        server.daemon_threads = True
        hooks.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield hooks
        hooks.ended.set()
        server.shutdown()
        thread.join()
