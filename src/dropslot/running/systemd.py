"""sd_notify(3): reports the service's state to systemd."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

import structlog

log = structlog.get_logger()


class Systemd:
    """Sends to $NOTIFY_SOCKET; does nothing where systemd did not start us."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the NUL of the abstract namespace.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._beat_seconds = _watchdog_seconds(environ) / 2
        self._beat_at = 0.0

    def ready(self, status: str = "") -> None:
        self._send(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        self._send(f"STATUS={status}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def beat(self) -> None:
        """Report that the loop is OK, at half of WatchdogSec; may be called at any rate."""
        if self._beat_seconds and time.monotonic() >= self._beat_at:
            self._beat_at = time.monotonic() + self._beat_seconds
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if self._address:
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                    sender.connect(self._address)
                    sender.sendall(message.encode())
            except OSError as error:
                # systemd may restart us because of this; that is no reason to stop.
                log.warning(f"systemd cannot be notified: {error}", action="systemd_unheard", plain=True)


def _watchdog_seconds(environ: Mapping[str, str]) -> float:
    """0 when no watchdog waits for this process."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    return int(environ.get("WATCHDOG_USEC", "0")) / 1_000_000
