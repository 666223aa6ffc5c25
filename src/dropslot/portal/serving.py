"""The process that serves the portal. It is a program of its own, at a lower priority: neither its death nor its load
disturbs a delivery."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Any

from dropslot.access.providers import missing_secrets
from dropslot.access.section import Portal, portal_of
from dropslot.core.errors import DropslotError

if TYPE_CHECKING:
    from dropslot.config import Config

THREADS = 24  # an upload or a download takes one for as long as it lasts
_NICE = 5


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
    if missing := missing_secrets(portal):
        raise PortalUnready(
            f"portal.openid: the environment has no {missing[0]}",
            next_step=f"Set {missing[0]}, or {missing[0]}_FILE to the name of a file that has the client's secret",
        )
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
    """Serve until SIGTERM or SIGINT. Raises PortalUnready if the address cannot be had."""
    portal = _portal(config)
    _prove_address(portal)
    os.nice(_NICE)
    collect_static()
    _greet(config)
    _application(portal).run()


def _greet(config: Config) -> None:
    """Print the link for the administrator's password, at each start until it was used."""
    from django.db import connections

    from dropslot.access import links

    found = links.for_first_administrator(config)
    connections.close_all()  # the process that serves is forked, and a connection must not be shared
    if found:
        sys.stdout.write(
            "Nobody is an administrator yet. This link sets the password of the first one, once, within"
            f" {links.HOURS} hours:\n  {found}\n"
        )
        sys.stdout.flush()


def collect_static() -> None:
    """Put the static files in their place, compressed and named by their content, unless this version's are there."""
    from pathlib import Path

    from django.conf import settings
    from django.core.management import call_command

    root = Path(str(settings.STATIC_ROOT))
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


def _prove_address(portal: Portal) -> None:
    family = socket.AF_INET6 if ":" in portal.listen.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(portal.listen)
        except OSError as error:
            raise PortalUnready(
                f"The portal cannot listen on {portal.listen}: {error.strerror}",
                where="Deliveries are not affected",
                next_step="End the other program, or give portal.listen another address",
            ) from error


def _application(portal: Portal) -> Any:
    from gunicorn.app.base import BaseApplication

    class Portals(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for key, value in _options(portal).items():
                self.cfg.set(key, value)

        def load(self) -> Any:
            from dropslot.portal.wsgi import application

            return application

    return Portals()


def _begin_upkeep(_worker: Any) -> None:
    """In the process that answers: threads do not survive a fork."""
    from dropslot.api.tus import expiring
    from dropslot.config import current

    expiring.start(current())


def _options(portal: Portal) -> dict[str, Any]:
    options: dict[str, Any] = {
        "bind": str(portal.listen),
        "workers": 1,
        "worker_class": "gthread",
        "threads": THREADS,
        "preload_app": True,  # the pages of both processes are shared
        "timeout": 60,
        "graceful_timeout": 5,
        "keepalive": 15,
        "proc_name": "dropslot-portal",
        "loglevel": "warning",
        "limit_request_line": 8190,
        "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,
        "forwarded_allow_ips": "",
        "post_worker_init": _begin_upkeep,
    }
    if portal.certificate:
        options |= {"certfile": str(portal.certificate), "keyfile": str(portal.key or portal.certificate)}
    return options
