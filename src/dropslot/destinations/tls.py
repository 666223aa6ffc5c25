"""TLS towards a server, by the files that config.yaml names."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

from dropslot.core.errors import DestinationUnready


def tls_context(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """TLS that proves the server by `ca` (default: this machine's authorities), and names us by `certificate`."""
    read: Sequence[Path | None] = (ca,)
    try:
        context = ssl.create_default_context(cafile=ca)
        if certificate:
            read = (certificate, key)
            context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        names = " and ".join(str(path) for path in read if path)
        why = error.strerror or error
        raise DestinationUnready(
            f"TLS cannot use {names}: {why}", next_step="Correct `ca`, `certificate` or `key` in config.yaml"
        ) from error
    return context
