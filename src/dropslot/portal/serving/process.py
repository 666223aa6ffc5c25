"""The portal as a process of the service: what it needs, and how it becomes a program of its own."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from dropslot.access.directory_section import missing_password
from dropslot.access.section import Portal, portal_of
from dropslot.access.signing_in.providers import missing_secrets
from dropslot.core.errors import DropslotError
from dropslot.mail.section import mail_of, missing_secret
from dropslot.running import capabilities

if TYPE_CHECKING:
    from dropslot.config import Config
    from dropslot.running.stopping import Signal

log = structlog.get_logger()
RETRY_SECONDS = 10.0
_BACKLOG = 256


class PortalUnready(DropslotError):
    """The portal cannot be served as it is configured."""

    code = "portal"


def wanted_portal(config: Config) -> Portal:
    """The portal of a configuration. Raises PortalUnready if it has none."""
    portal = portal_of(config)
    if portal is None:
        raise PortalUnready(
            "config.yaml has no portal", next_step="Add `portal: {listen: 127.0.0.1:8070}` to it"
        )
    return portal


def prove(config: Config) -> None:
    """Raise PortalUnready for what no retry can mend: packages that are missing, no file to read."""
    portal = wanted_portal(config)
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
    mail = mail_of(config)
    for key, variable in (
        ("mail.password", missing_secret(mail) if mail else ""),
        ("portal.ldap.password", missing_password(portal.ldap)),
    ):
        if variable:
            raise PortalUnready(
                f"{key}: the environment has no {variable}",
                next_step=f"Set {variable}, or {variable}_FILE to the name of a file that has the password",
            )
    if _file() is None:
        raise PortalUnready(
            "The portal reads its configuration from a config.yaml, and this server's was made in Python",
            next_step="Write it to a config.yaml and use `dropslot run`, or leave `portal` out",
        )


def prove_certificate(portal: Portal) -> None:
    """Raise PortalUnready if the files for TLS cannot be used."""
    for key, path in (("certificate", portal.certificate), ("key", portal.key)):
        if path is not None and not os.access(path, os.R_OK):
            raise PortalUnready(
                f"portal.{key}: {path} cannot be read", next_step="Check its name and its owner"
            )


def listen(portal: Portal) -> socket.socket:
    """Where clients connect. Raises PortalUnready if another program has the address."""
    try:
        family, _, _, _, address = socket.getaddrinfo(*portal.listen, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise PortalUnready(
            f"The portal cannot listen on {portal.listen}: {error.strerror}",
            where="Deliveries are not affected",
            next_step="End the other program, or give portal.listen another address",
        ) from error
    return listener


def become(config: Config, stop: Signal) -> None:
    """Replace this process by the portal, once its address and certificate can be had; returns if it is to stop."""
    said = ""
    while fault := _fault(wanted_portal(config)):
        if fault != said:
            log.error(
                f"{fault} It is tried again every {RETRY_SECONDS:.0f} s.", action="portal_waits", plain=True
            )
            said = fault
        if stop.wait(RETRY_SECONDS):
            return
    file = str(_file())
    os.environ["DROPSLOT_CONFIG"] = file
    # glibc gives each thread a heap of its own: 3 MB more at rest (measured), for threads that take turns anyway.
    os.environ.setdefault("MALLOC_ARENA_MAX", "1")
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    capabilities.drop_ambient()  # the portal gives nothing to other accounts
    # -P: the folder where the service was started has no modules for the portal.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "dropslot", "portal", "-c", file, "--in-service"])


def _fault(portal: Portal) -> str:
    try:
        prove_certificate(portal)
        listen(portal).close()
    except PortalUnready as error:
        return str(error)
    return ""


def _file() -> Path | None:
    """The config.yaml of dropslot's own settings."""
    from django.conf import settings

    return getattr(settings, "DROPSLOT_FILE", None)
