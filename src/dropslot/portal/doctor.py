"""What is wrong with the portal, and how to fix it: for `doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dropslot.access.directory_section import Ldap
from dropslot.access.section import Portal, address, portal_of
from dropslot.arrivals.registry import Finding
from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

_ABOUT = "portal"
_DIRECTORY = "directory"
_SOON = timedelta(days=14)


def examine(config: Config) -> Iterator[Finding]:
    """Who can connect to it, and how; changes nothing."""
    portal = portal_of(config)
    if portal is None:
        return
    from dropslot.portal.serving import process

    try:
        process.prove(config)
        process.prove_certificate(portal)
    except DropslotError as error:
        yield Finding("error", _ABOUT, error.what, error.next_step)
        return
    if portal.ldap:
        yield from _directory(config, portal.ldap)
    faults = [*_who_connects(portal), *_certificate(portal.certificate)]
    yield from faults or [Finding("ok", _ABOUT, f"listens on {portal.listen}; people type {address(portal)}")]


def _directory(config: Config, found: Ldap) -> Iterator[Finding]:
    from dropslot.access import accounts
    from dropslot.access.directory import ldap_connection, people

    for entry in found.roles:
        try:
            accounts.grants_of(config, people.wanted_of(entry))
        except accounts.BadAccount as error:
            yield Finding(
                "error", _DIRECTORY, f"the role of {escape(entry.group)}: {error.what}", error.next_step
            )
    try:
        ldap_connection.prove(found)
    except DropslotError as error:
        yield Finding("error", _DIRECTORY, error.what, error.next_step)
        return
    yield Finding("ok", _DIRECTORY, f"{found.server} answers, and shows who is in {escape(found.users)}")


def _who_connects(portal: Portal) -> Iterator[Finding]:
    if portal.listen.is_loopback:
        return
    if portal.certificate is None:
        yield Finding(
            "warning",
            _ABOUT,
            f"other machines can connect to {portal.listen} without HTTPS, and read passwords and files on the way",
            "set portal.certificate and portal.key, or listen on 127.0.0.1 behind nginx or Apache (pages of the"
            " documentation)",
        )
    if portal.proxies:
        yield Finding(
            "warning",
            _ABOUT,
            f"portal.proxies is {portal.proxies}, but others than these servers can connect to {portal.listen}, and"
            " name any address as theirs",
            "listen on 127.0.0.1, or let a firewall admit the web server alone",
        )


def _certificate(file: Path | None) -> Iterator[Finding]:
    from cryptography import x509

    if file is None:
        return
    try:
        ends = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
    except ValueError:
        what = f"portal.certificate: {escape(str(file))} has no certificate in PEM"
        yield Finding("error", _ABOUT, what, "name the file of the certificate with its chain")
        return
    left = ends - datetime.now(UTC)
    if left < _SOON:
        what = "has ended" if left < timedelta(0) else f"ends in {left.days} days"
        yield Finding(
            "error" if left < timedelta(0) else "warning",
            _ABOUT,
            f"the certificate {escape(str(file))} {what}, on {ends:%Y-%m-%d}",
            "renew it, then restart the service",
        )
