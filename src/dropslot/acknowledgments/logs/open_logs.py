"""From an `acknowledge` entry to the files of its log."""

from __future__ import annotations

from dropslot.acknowledgments.logs.local_logs import LocalFolder
from dropslot.acknowledgments.logs.log_sources import LogFile, Source
from dropslot.acknowledgments.logs.unzipped import Unzipped
from dropslot.acknowledgments.section import Acknowledge, keys_of_log
from dropslot.config import Route

PACKED = ".gz"


def source_of(route: Route, entry: Acknowledge) -> Source:
    """The folder of a log, here or on another machine."""
    if not entry.server:
        return LocalFolder(entry.log)
    # Here, not above: most logs are on this machine, and importing asyncssh takes long.
    from dropslot.acknowledgments.logs.remote_logs import RemoteFolder
    from dropslot.destinations.sftp.logins import account_of

    return RemoteFolder(entry.log, account_of(entry.log, keys_of_log(route, entry)))


def opened(source: Source, name: str) -> LogFile:
    """The log's own bytes, whether it is compressed or not."""
    file = source.open(name)
    return Unzipped(file, name) if name.endswith(PACKED) else file
