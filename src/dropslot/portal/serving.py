"""The process that serves the portal. It is a program of its own, at a lower priority: neither its death nor its load
disturbs a delivery."""

from __future__ import annotations

import gc
import logging
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

from dropslot.access.section import Portal, portal_of
from dropslot.arrivals.workers.local import allow_many_files
from dropslot.core.errors import DropslotError

if TYPE_CHECKING:
    from dropslot.config import Config

_NICE = 5
_BACKLOG = 256


class PortalUnready(DropslotError):
    """The portal cannot be served as it is configured."""

    code = "portal"


def prove(config: Config) -> None:
    """Raise PortalUnready for what no retry can mend: packages and TLS files that are missing."""
    portal = _portal(config)
    try:
        import allauth  # noqa: F401
        import gunicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise PortalUnready(
            f"The portal needs {error.name}, which is not installed",
            next_step="Install it: pip install 'dropslot[server]', or set `portal: off`",
        ) from error
    for key in ("certificate", "key"):
        path = getattr(portal, key)
        if path is not None and not os.access(path, os.R_OK):
            raise PortalUnready(
                f"portal.{key}: {path} cannot be read", next_step="Check its name and its owner"
            )


def become(config: Config) -> None:
    """Replace this process by the portal; returns only by an exception."""
    arguments = [sys.executable, "-m", "dropslot", "portal", "-c", str(config.base / "config.yaml")]
    if path := os.environ.get("DROPSLOT_CONFIG"):
        arguments[-1] = path
    os.environ["DROPSLOT_CONFIG"] = arguments[-1]
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    os.execv(sys.executable, arguments)


def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT; does not return, since threads may be in the middle of an upload. Raises
    PortalUnready if the address cannot be had."""
    portal = _portal(config)
    listener = _listen(portal)
    os.nice(_NICE)
    allow_many_files()
    collect_static()
    _quieten()
    worker = _worker(portal, listener)
    gc.collect()
    gc.freeze()  # loaded code stays: no collection needs to examine it
    worker.init_process()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def collect_static() -> None:
    """Put the static files in their place, compressed and named by their content, unless this version's are there."""
    from pathlib import Path

    from django.conf import settings
    from django.core.management import call_command

    root = Path(settings.STATIC_ROOT)
    stamp = root / "version.txt"
    version = _version()
    if stamp.is_file() and stamp.read_text("utf-8") == version:
        return
    root.parent.mkdir(mode=0o700, exist_ok=True)
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    stamp.write_text(version, "utf-8")


def _version() -> str:
    """Of dropslot, of its own static files, and of the packages that bring others."""
    from importlib.metadata import version
    from pathlib import Path

    own = Path(__file__).parent / "static"
    newest = max(path.stat().st_mtime_ns for path in own.rglob("*"))
    packages = ("dropslot", "django", "django-allauth", "django-htmx", "django-include-bootstrap")
    return " ".join((str(newest), *map(version, packages)))


def _portal(config: Config) -> Portal:
    portal = portal_of(config)
    if portal is None:
        raise PortalUnready(
            "config.yaml has no portal", next_step="Add `portal: {listen: 127.0.0.1:8070}` to it"
        )
    return portal


def is_taken(portal: Portal) -> bool:
    """Whether another program listens at the portal's address."""
    try:
        _listen(portal).close()
    except PortalUnready:
        return True
    return False


def _listen(portal: Portal) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(*portal.listen, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        raise PortalUnready(
            f"The portal cannot listen on {portal.listen}: {error.strerror}",
            where="Deliveries are not affected",
            next_step="End the other program, or give portal.listen another address",
        ) from error
    return listener


def _quieten() -> None:
    """Django logs each page that is not found, which anyone can ask for, and names may be in its address."""
    for name in ("django.request", "django.security", "gunicorn.error"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("django.security.DisallowedHost").setLevel(logging.CRITICAL)


class _Application:
    """What gunicorn's workers ask for the application."""

    @staticmethod
    def wsgi() -> Any:
        from dropslot.portal.wsgi import application

        return application


def _worker(portal: Portal, listener: socket.socket) -> Any:
    from dropslot.portal.certificates import Certificate
    from dropslot.portal.threads import Worker, options

    tls = Certificate(portal.certificate, portal.key or portal.certificate) if portal.certificate else None
    return Worker(listener, _Application, options(portal.certificate), tls)
