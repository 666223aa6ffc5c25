"""The process that serves the portal. It is a program of its own, at a lower priority: neither its death nor its load
disturbs a delivery."""

from __future__ import annotations

import gc
import logging
import os
import socket
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from django.db import connections

from dropslot.access.section import Portal, address
from dropslot.config.secrets import make_private
from dropslot.core.context import kept
from dropslot.files.children import in_child
from dropslot.files.descriptors import allow_many_files
from dropslot.mail.posting import Posting
from dropslot.portal.serving.process import PortalUnready, listen, prove_certificate, wanted_portal
from dropslot.running import board

if TYPE_CHECKING:
    from dropslot.config import Config

log = structlog.get_logger()
_NICE = 5
# Bootstrap's other forms, which no page uses: compressing them would take most of a first start.
_UNUSED = [
    "bootstrap-*",
    "*.rtl.*",
    "bootstrap.css*",
    "bootstrap.js*",
    "bootstrap.bundle.js*",
    "bootstrap.esm.js*",
]


def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT; does not return, since threads may be in the middle of an upload. Raises
    PortalUnready if the address cannot be had."""
    portal = wanted_portal(config)
    prove_certificate(portal)
    listener = listen(portal)
    os.nice(_NICE)
    allow_many_files()
    collect_static()
    _quieten()
    worker = _worker(portal, listener)
    log.info(f"The portal is at {address(portal)}", action="portal_started", plain=True)
    _greet(config)
    connections.close_all()  # those of this thread; requests have others
    gc.collect()
    gc.freeze()  # loaded code stays: no collection needs to examine it
    _begin_upkeep()
    with board.joined(config.data, "portal"):
        worker.init_process()
    kept(Posting).end()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _greet(config: Config) -> None:
    """Print the link for the administrator's password, at each start until it was used."""
    from dropslot.access import one_time_links

    if found := one_time_links.for_first_administrator(config):
        sys.stdout.write(
            "Nobody is an administrator yet. This link sets the password of the first one, once, within"
            f" {one_time_links.HOURS} hours:\n  {found}\n"
        )
        sys.stdout.flush()


def collect_static() -> None:
    """Put the static files in their place, compressed and named by their content, unless this version's are there.
    Raises PortalUnready."""
    from django.conf import settings

    root = Path(str(settings.STATIC_ROOT))
    stamp = root / "version.txt"
    version = _version()
    if stamp.is_file() and stamp.read_text("utf-8") == version:
        return
    make_private(root.parent, root.parent.parent)
    connections.close_all()
    try:
        in_child(partial(_collect, stamp, version))  # what it needs of memory, this process would keep
    except Exception as error:
        raise PortalUnready(
            f"The portal's files for browsers cannot be put into {root}: {error}",
            where="Deliveries are not affected",
            next_step="Make room there, or let this account write there",
        ) from error


def _collect(stamp: Path, version: str) -> None:
    from django.core.management import call_command

    call_command("collectstatic", interactive=False, clear=True, verbosity=0, ignore_patterns=_UNUSED)
    stamp.write_text(version, "utf-8")


def _version() -> str:
    """Of dropslot, of its own static files, and of the packages that bring others."""
    from importlib.metadata import version

    own = Path(__file__).parents[1] / "static"
    newest = max(path.stat().st_mtime_ns for path in own.rglob("*"))
    packages = ("dropslot", "django", "django-allauth", "django-htmx", "django-include-bootstrap")
    return " ".join((str(newest), *map(version, packages)))


def _quieten() -> None:
    """Django logs each page that is not found, which anyone can ask for, and names may be in its address."""
    for name in ("django.request", "django.security", "gunicorn.error"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # What passes by itself is said once a minute (`errors`), not for each request.
    logging.getLogger("django.request").addFilter(lambda record: getattr(record, "status_code", 500) != 503)
    logging.getLogger("django.security.DisallowedHost").setLevel(logging.CRITICAL)


class _Application:
    """What gunicorn's workers ask for the application."""

    @staticmethod
    def wsgi() -> Any:
        from dropslot.portal.wsgi import application

        return application


def _worker(portal: Portal, listener: socket.socket) -> Any:
    from dropslot.portal.serving.certificates import Certificate
    from dropslot.portal.serving.threads import Worker, options

    tls = Certificate(portal.certificate, portal.key or portal.certificate) if portal.certificate else None
    return Worker(listener, _Application, options(portal.certificate), tls)


def _begin_upkeep() -> None:
    """The threads beside the answers; forks that collect files are over by now."""
    from dropslot.api.tus import expiring
    from dropslot.config import current

    expiring.start(current())
