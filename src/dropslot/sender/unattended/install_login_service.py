"""Installs the service of `send --watch`, and removes it."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.sender.local_paths import shown_path
from dropslot.sender.unattended.login_service import Service


class NotStarted(DropslotError):
    """The service is written, and the system did not start or stop it."""

    code = "service-not-started"


def install(service: Service) -> Iterator[str]:
    """Write the file, replacing an earlier one, and have the system start it: a sentence for each step. Raises
    NotStarted, and OSError."""
    file = shown_path(service.file)
    service.file.parent.mkdir(parents=True, exist_ok=True)
    aside = service.file.with_name(f".{service.file.name}.new")
    aside.write_bytes(service.content)
    aside.replace(service.file)
    yield f"Written: {file}"
    for step in service.before:
        with suppress(NotStarted):
            _run(step, f"{file} is written")
    for step in service.start:
        _run(step, f"{file} is written")
        yield f"Done: {shlex.join(step)}"
    yield f"{service.after}."


def uninstall(service: Service) -> Iterator[str]:
    """Stop it, and remove its file; fine if it is not there. Nothing that was sent is touched."""
    file = shown_path(service.file)
    if not service.file.exists():
        yield f"There is no service here: {file} does not exist."
        return
    for step in service.stop:
        try:
            _run(step, f"{file} is still there")
        except NotStarted as error:
            yield f"{error}"
        else:
            yield f"Done: {shlex.join(step)}"
    service.file.unlink()
    yield f"Removed: {file}. What was sent stays in the history."


def _run(step: Sequence[str], where: str) -> None:
    try:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        why = (
            ""
            if done.returncode == 0
            else (done.stderr or done.stdout).strip() or f"status {done.returncode}"
        )
    except OSError as error:
        why = f"{error.strerror}"
    if why:
        raise NotStarted(
            f"`{shlex.join(step)}` failed: {escape(why)}",
            where=where,
            next_step="Run that command yourself when it can work, for instance after you signed in at a desktop",
        )
