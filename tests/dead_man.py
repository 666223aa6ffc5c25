"""A server that waits for pings, as healthchecks.io does: a real HTTP server in a process of its own. How it answers is
in the path: /uuid takes a ping, /broken answers 500, /silent never answers, /dripping sends a header line a second
without an end, /inside redirects to /secret of the same server, which nothing may ask for."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ports import free_port
from waiting import wait_until


@dataclass
class DeadMan:
    """One that runs."""

    port: int
    log: Path

    def url(self, path: str = "uuid") -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    @property
    def pings(self) -> list[dict[str, Any]]:
        """What came, the oldest first: `path`, `body`, `at` (monotonic)."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    @property
    def last(self) -> str:
        """The path of the newest ping."""
        return str(self.pings[-1]["path"]) if self.pings else ""

    def is_overdue(self, seconds: float) -> bool:
        """Whether no ping has come for so long: then such a server tells people."""
        return bool(time.monotonic() - self.pings[-1]["at"] > seconds)


@contextmanager
def dead_man(folder: Path) -> Iterator[DeadMan]:
    """Start one; it ends with the block."""
    port, log = free_port(), folder / "pings.jsonl"
    log.touch()
    server = subprocess.Popen([sys.executable, __file__, str(port), str(log)], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        wait_until(server.stdout.readline, what="a server for pings")
        yield DeadMan(port, log)
    finally:
        server.kill()
        server.communicate()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        with Path(sys.argv[2]).open("a") as log:
            log.write(json.dumps({"path": self.path, "body": body, "at": time.monotonic()}) + "\n")
        if self.path.startswith("/silent"):
            time.sleep(600)
        elif self.path.startswith("/dripping"):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                self.wfile.write(b"X-More: x\r\n")
                time.sleep(0.2)
        elif self.path.startswith("/inside"):
            self._answer(307, {"Location": f"http://127.0.0.1:{sys.argv[1]}/secret"})
        else:
            self._answer(500 if self.path.startswith("/broken") else 200, {})

    do_GET = do_POST

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


if __name__ == "__main__":
    ours = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Handler)
    print("ready", flush=True)
    ours.serve_forever()
