"""A process that has loaded what commands load before they read config.yaml, and forks itself for each command.

It is a program: `python warm_program.py DESCRIPTOR SETTINGS`. The descriptor is a socket of messages; each is a command
as JSON, {"args": […], "environment": {…}, "folder": PATH, "umask": MODE, "constants": {"module:NAME": …}}, with three
descriptors: the command's stdout, its stderr, and a pipe that gets two lines, the process id and, at its end, the exit
status (negative: the signal). The fork goes on as `python -m dropslot` does, down to the interpreter's end. With the
socket's other end closed, it ends.

Django's apps are set up before the fork, with SETTINGS (a module) of no installation, so that models and what works
with them are loaded, too. A fork forgets these settings and reads its own; if they have other apps, it sets up those.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from typing import Any

_LOADED = (
    "dropslot.cli.app",
    "dropslot.config.load_config",
    "asyncio",
    "cryptography.hazmat.primitives.serialization",
    "django.contrib.auth.hashers",
    "django.contrib.auth.password_validation",
    "django.core.mail.backends.smtp",
    "django.core.management",
    "django.core.management.commands.migrate",
    "django.db.backends.sqlite3.base",
    "django.db.models",
    "django.db.models.sql.compiler",
    "django.urls",
    "dropslot.acknowledgments.logs.recognizing",
    "dropslot.arrivals.importers",
    "dropslot.arrivals.intake.claim_without_row",
    "dropslot.arrivals.registry",
    "dropslot.arrivals.upkeep.database",
    "dropslot.arrivals.upkeep.rebuilding.found_manifests",
    "dropslot.keeping.fixity.digest_reader",
    "dropslot.audit.event_payloads",
    "dropslot.audit.signing_key",
    "dropslot.audit.triggers",
    "dropslot.checks.base",
    "dropslot.contents.contents_of_arrival",
    "dropslot.contents.local_bytes",
    "dropslot.contents.makers",
    "dropslot.contents.source_bytes",
    "dropslot.core.states",
    "dropslot.destinations.local.kind",
    "dropslot.destinations.sftp.kind",
    "dropslot.dicom_files.deidentifier.confined",
    "dropslot.dicom.receiving.admission",
    "dropslot.dicom_files.scan.whole_header",
    "dropslot.fields.name",
    "dropslot.lookup.cells",
    "dropslot.lookup.records",
    "dropslot.mail.smtp",
    "dropslot.running.daemon",
    "dropslot.watching.processors",
    "encodings.ascii",
    "magic",
    "psycopg",
    "pydantic.type_adapter",
    "structlog",
)
_LOADED_WITH_APPS = (
    "dropslot.access.migrations",
    "dropslot.acknowledgments.doctor",
    "dropslot.acknowledgments.history_columns",
    "dropslot.acknowledgments.listings",
    "dropslot.acknowledgments.migrations",
    "dropslot.arrivals.delivery.pipeline",
    "dropslot.arrivals.intake.record",
    "dropslot.arrivals.listings.link_tree",
    "dropslot.arrivals.listings.queries",
    "dropslot.arrivals.migrations",
    "dropslot.arrivals.outbox_readers.after",
    "dropslot.arrivals.upkeep.doctor",
    "dropslot.arrivals.upkeep.preflight",
    "dropslot.arrivals.upkeep.rebuilding.rebuild",
    "dropslot.arrivals.upkeep.rebuilding.signs",
    "dropslot.arrivals.upkeep.release_held",
    "dropslot.arrivals.upkeep.retry",
    "dropslot.arrivals.workers.drain",
    "dropslot.audit.event_search",
    "dropslot.audit.migrations",
    "dropslot.audit.verifying.verify",
    "dropslot.dicom.deidentifying.doctor",
    "dropslot.dicom.importing.header_columns",
    "dropslot.dicom.importing.importer",
    "dropslot.dicom.listings.queries",
    "dropslot.dicom.migrations",
    "dropslot.keeping.fixity.stored_files",
    "dropslot.keeping.migrations",
    "dropslot.lookup.load_tables",
    "dropslot.lookup.migrations",
    "dropslot.mail.doctor",
    "dropslot.notify.engine.doctor",
    "dropslot.notify.engine.extra",
    "dropslot.notify.engine.process",
    "dropslot.notify.migrations",
    "dropslot.notify.targets_of_people",
    "dropslot.timestamps.recorded",
)
_MESSAGE_BYTES = 1 << 20


def main() -> None:
    """Serve until there is nobody to serve; returns in a fork, which is then the command."""
    if "coverage" not in sys.modules:  # which is told of the end later: it was there first
        atexit.register(_Ending.quickly)
    control = socket.socket(fileno=int(sys.argv[1]))
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy's; only a process of one thread may fork
    for name in _LOADED:
        with contextlib.suppress(ModuleNotFoundError):  # of an extra
            importlib.import_module(name)
    _set_up(sys.argv[2])
    gc.collect()
    gc.freeze()
    waiting = selectors.DefaultSelector()
    waiting.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.fileobj is not control:
                waiting.unregister(key.fd)
                _tell_end(key.fd, *key.data)
                continue
            message, given, *_ = socket.recv_fds(control, _MESSAGE_BYTES, 3, socket.MSG_CMSG_CLOEXEC)
            if not message:
                sys.exit()
            out, err, told = given
            if (pid := os.fork()) == 0:
                waiting.close()
                control.close()
                return _become(json.loads(message), out, err)
            os.close(out)
            os.close(err)
            os.write(told, f"{pid}\n".encode())
            waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, told))


def _set_up(settings: str) -> None:
    import django

    from dropslot.cli import app
    from dropslot.core import context

    os.environ.pop("DROPSLOT_CONFIG", None)
    os.environ["DJANGO_SETTINGS_MODULE"] = settings
    app.names()  # loads each group of commands
    django.setup()
    for name in _LOADED_WITH_APPS:
        importlib.import_module(name)
    context.renew()


def _forget_settings() -> None:
    """As if no settings had been read; the apps stay set up, unless the next settings have others."""
    import time

    from django.apps import apps
    from django.conf import LazySettings, settings
    from django.db import connections
    from django.db.utils import ConnectionHandler

    there = [app.name for app in apps.get_app_configs()]

    def populate(installed: list[str]) -> None:
        del vars(apps)["populate"]
        if installed != there:
            apps.set_installed_apps(installed)

    vars(apps)["populate"] = populate
    LazySettings.__init__(settings)
    vars(connections).pop("settings", None)
    ConnectionHandler.__init__(connections)
    for name in ("dropslot.settings", "dropslot.portal_settings"):
        sys.modules.pop(name, None)
    time.tzset()


def _tell_end(process: int, pid: int, told: int) -> None:
    _, status = os.waitpid(pid, 0)
    os.close(process)
    with contextlib.suppress(BrokenPipeError):
        os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os.close(told)


class _Ending:
    """The interpreter's end but for its last step, which is to take every module apart: in a fork, that copies most of
    the memory, for a fifth of the time of a command that lists."""

    status = 1  # of an exception that nobody caught

    @classmethod
    def quickly(cls) -> None:
        """Called last of what is called at the end."""
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(cls.status)


def _become(command: dict[str, Any], out: int, err: int) -> None:
    os.dup2(out, 1)
    os.dup2(err, 2)
    # Those that are there know of /dev/null, where one can seek.
    sys.stdout = os.fdopen(1, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding=sys.stderr.encoding, errors=sys.stderr.errors, closefd=False)
    os.chdir(command["folder"])
    os.umask(command["umask"])
    os.environ.clear()
    os.environ.update(command["environment"])
    _forget_settings()
    for name, value in command["constants"].items():
        module, _, constant = name.partition(":")
        *owners, constant = constant.split(".")
        setattr(functools.reduce(getattr, owners, importlib.import_module(module)), constant, value)
    sys.path[0] = command["folder"]  # as `-m` has it
    sys.argv = ["dropslot", *command["args"]]
    sys.orig_argv = [sys.executable, "-m", "dropslot", *command["args"]]


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
    from dropslot.cli import main as command

    try:
        command()
    except SystemExit as end:
        _Ending.status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        raise
