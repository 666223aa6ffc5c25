"""The portal of the demonstration: on a loopback port only, since the passwords of its accounts are printed."""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
import subprocess
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import yaml

from installation import Installation, say, shown

_FIRST_PORT = 8070
_PORTS = 30
# Name, role and bounds of each account, and what it is for.
_ACCOUNTS = (
    ("technician", "sender", (), "sends results and study data, and sees what became of them"),
    (
        "clinic12",
        "recipient",
        ("--route", "results", "--folder", "clinic12"),
        "opens the results of one clinic",
    ),
    ("operator", "operator", (), "retries, and looks after everything"),
    ("auditor", "auditor", (), "finds one file's life, and proves it"),
    ("heart", "study-runner", ("--study", "heart"), "sees the study heart"),
    ("administrator", "administrator", (), "gives accounts and roles"),
)


def prepare(installation: Installation) -> None:
    """Give the portal a port that is free, and its accounts; again on the same folder this changes nothing. Ends the
    demonstration if other machines could connect."""
    _require_loopback(installation)
    password = installation.folder / "password"
    if password.exists():
        return
    text = installation.config.read_text()
    installation.config.write_text(
        text.replace(f"127.0.0.1:{_FIRST_PORT}}}", f"127.0.0.1:{_free_port()}}}", 1)
    )
    unfinished = installation.folder / ".password"
    # Not another account's: whoever can read the file can sign in.
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(secrets.token_urlsafe(9))
    for name, role, bounds, _ in _ACCOUNTS:
        adduser = ("adduser", name, "--role", role, *bounds, "--password-file", str(unfinished))
        subprocess.run(installation.command(*adduser), check=True, stdout=subprocess.DEVNULL)
    unfinished.rename(password)


def show(installation: Installation) -> None:
    """Wait until the portal answers; print its address and its accounts."""

    def answers() -> list[dict[str, object]] | None:
        try:
            with urlopen(f"{link}/account/login/", timeout=5):
                return []
        except (URLError, OSError):
            return None

    link = address(installation)
    installation.wait_for(answers, "The portal does not answer")
    password = (installation.folder / "password").read_text()
    say(f"\n[bold]The portal: {link}[/bold]   password of each account: [bold]{password}[/bold]\n")
    for name, _, _, what in _ACCOUNTS:
        say(f"  {name:14} {what}")
    say()


def address(installation: Installation) -> str:
    """What a browser opens."""
    return f"http://{_listen(installation)}"


def _listen(installation: Installation) -> str:
    portal = yaml.safe_load(installation.config.read_text()).get("portal")
    return str(portal["listen"]) if isinstance(portal, dict) else ""


def _require_loopback(installation: Installation) -> None:
    host = urlsplit(f"//{_listen(installation)}").hostname or ""
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    if not is_loopback:
        config = shown(installation.config)
        raise SystemExit(
            f"The demonstration prints its passwords, so its portal must listen on 127.0.0.1; {config} says"
            f" {host or 'off'}. Nothing was started. Change portal.listen, or use another folder: make run DEMO=FOLDER"
        )


def _free_port() -> int:
    for port in range(_FIRST_PORT, _FIRST_PORT + _PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SystemExit(f"The ports {_FIRST_PORT} to {_FIRST_PORT + _PORTS - 1} are all taken; free one of them")
