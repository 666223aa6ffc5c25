"""What a portal that is served alone has beside it: a tree of processes, with the sentinel, that ends with it."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

import structlog
from django.db import connections

from dropslot.files.syscalls import die_with_parent
from dropslot.running.life import Life, signals_lead_to

if TYPE_CHECKING:
    from dropslot.config import Config

log = structlog.get_logger()


def begin(config: Config) -> None:
    """Start it. Call it before any thread."""
    connections.close_all()
    sys.stdout.flush()
    sys.stderr.flush()
    portal = os.getpid()
    if os.fork() == 0:
        _live(config, portal)


def _live(config: Config, portal: int) -> NoReturn:
    """Never returns into the code of the process that was forked."""
    try:
        die_with_parent(signal.SIGTERM)
        life = Life()
        with signals_lead_to(life, lambda: None):
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the portal decides
            from dropslot.arrivals.workers import (
                supervised_processes,  # here, so that the portal does without its memory
            )

            if os.getppid() == portal:
                supervised_processes.serve_sentinel(config, life, "portal")
    except Exception:
        log.exception("What goes beside the portal failed", action="process_failed", process="sentinel")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
