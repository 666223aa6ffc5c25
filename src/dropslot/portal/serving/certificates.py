"""The portal's TLS certificate, also after its renewal."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import structlog

log = structlog.get_logger()


class Certificate:
    """The TLS certificate and its key; renewed files are used from the next connection on."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._paths = (certificate, key)
        self._seen = self._look()
        self._context = self._load()

    def __call__(self) -> ssl.SSLContext:
        """For one more connection. Files that do not fit together, as in the middle of a renewal, change nothing."""
        try:
            seen = self._look()
            if seen != self._seen:
                self._context, self._seen = self._load(), seen
        except OSError as error:
            if self._warned != str(error):
                log.warning("The renewed certificate cannot be used", action="certificate", error=str(error))
                self._warned = str(error)
        return self._context

    _warned = ""

    def _look(self) -> list[tuple[int, int]]:
        return [(status.st_mtime_ns, status.st_ino) for status in map(os.stat, self._paths)]

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(*self._paths)
        return context
