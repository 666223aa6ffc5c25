"""Starts and stops a verification."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime

from django.conf import settings
from ulid import ULID

from dropslot.audit.chain import timestamp
from dropslot.config import Config
from dropslot.portal.verifying import runs
from dropslot.portal.verifying.runs import Run


def start(config: Config, *, by: str, address: str, fixity: bool, against: str = "") -> Run:
    """Start the process; returns at once. `against` is a head of the chain that was kept elsewhere. Raises
    AlreadyVerifying, OSError."""
    with runs.locked(config) as lock:
        now = timestamp(datetime.now(UTC))
        run = Run(str(ULID()), by, address, fixity, now, against=against)
        runs.save(config, run)
        runs.forget_old(config)
        process = _started(config, run, lock)
    # Waited for, so that it leaves no dead entry in the table of processes.
    threading.Thread(target=process.wait, daemon=True).start()
    return run


def _started(config: Config, run: Run, lock: int) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if settings.SETTINGS_MODULE:
        environment["DJANGO_SETTINGS_MODULE"] = settings.SETTINGS_MODULE
    with (runs.folder_of(config) / f"{run.id}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "dropslot.portal.verifying.job", run.id],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock,),
            env=environment,
            start_new_session=True,  # a restart of the portal does not end it
        )


def stop(config: Config, run: Run) -> None:
    """Ask the process to stop; it does within a second or two. Raises OSError."""
    (runs.folder_of(config) / f"{run.id}.stop").touch()
