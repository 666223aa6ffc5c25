"""Whether the broker can be used, for `doctor`."""

from __future__ import annotations

from dropslot.broker.client import away, client
from dropslot.config import Config


def trouble(config: Config) -> str:
    """Why the broker does not answer now; empty: it does."""
    try:
        with client(config, sends_only=True).connection_for_write() as connection:
            connection.ensure_connection(max_retries=1)
    except away() as error:
        return str(error) or type(error).__name__
    return ""
