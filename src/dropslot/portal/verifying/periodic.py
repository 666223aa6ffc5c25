"""Reads every stored file from time to time, as `fixity` in config.yaml asks. The process is the one that the portal
starts: it runs when nothing else wants the processor or the disk, and its result is an event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog

from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.portal.verifying import runs, starting
from dropslot.running.stopping import Signal

log = structlog.get_logger()
LOOK_SECONDS = 60.0


def start_if_due(config: Config) -> bool:
    """Start a verification of the files unless one began on this machine within `fixity`. False: it is not due, or one
    goes on."""
    if config.fixity is None or runs.is_running(config) or _began_within(config, config.fixity):
        return False
    try:
        starting.start(config, by="", address="", fixity=True)
    except (DropslotError, OSError) as error:
        log.warning(f"The stored files are not verified now: {error}", action="fixity_not_started")
        return False
    log.info("The stored files are being verified", action="fixity_started")
    return True


def _began_within(config: Config, time: timedelta) -> bool:
    since = datetime.now(UTC) - time
    return any(run.fixity and datetime.fromisoformat(run.started_at) > since for run in runs.runs(config))


def serve(config: Config, stop: Signal) -> None:
    """Look once a minute, until `stop`."""
    while not stop.is_set():
        start_if_due(config)
        stop.wait(LOOK_SECONDS)
