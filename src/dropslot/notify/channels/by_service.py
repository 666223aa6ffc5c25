"""A message by a service that apprise speaks to, sent by a program of its own (`service_program`)."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any
from urllib.request import getproxies

from dropslot.config.guard import Guard
from dropslot.core.names import escape
from dropslot.notify.channels.harmless import without_markup
from dropslot.notify.channels.message import Message, NeverSent, NotSent
from dropslot.notify.channels.target import Target

SECONDS = 25.0
_PROGRAM = (sys.executable, "-P", "-m", "dropslot.notify.channels.service_program")
# No secret of the service goes there.
_PASSED_ON = frozenset(
    {"PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE", "LANG", "LC_ALL", "TZ"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"}
    | {"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
)
_FOR_GOOD = re.compile(r"error=(?:400|401|403|404|405|410|413|414|415|422)\b")


def send(target: Target, message: Message, allowed: Sequence[str] = ()) -> None:
    """Returns once the service has taken it. Raises NotSent, and NeverSent for what it will never take; no later than
    `SECONDS` after the start."""
    if missing := target.missing_secrets():
        names = ", ".join(missing)
        raise NotSent(
            f"{target}: the environment has no {names}", next_step=f"Set {names}, or the same with _FILE"
        )
    asked = {
        "url": target.address(),
        "allowed": list(allowed),
        "title": without_markup(message.subject),
        "body": without_markup(message.text),
        "level": message.level,
    }
    _judge(target, _answer(target, asked))


def prove(target: Target, allowed: Sequence[str] = ()) -> None:
    """Ask apprise whether it understands the address, and look where its host is; nothing is sent. Raises NotSent."""
    answer = _answer(target, {"url": target.address(), "is_asked_only": True})
    answer["refused"] = _private(target.host(), allowed)
    if not answer["known"] or answer.get("several") or answer["refused"]:
        _judge(target, answer)


def _private(host: str, allowed: Sequence[str]) -> list[str]:
    """The addresses of a host, if all of them are refused. With a proxy it decides; a name that is not known now may
    be known later."""
    if not host or getproxies():
        return []
    try:
        addresses = {str(place[0]) for *_, place in socket.getaddrinfo(host, None)}
    except OSError:
        return []
    guard = Guard(allowed)
    return [] if any(map(guard.admits, addresses)) else sorted(addresses)


def _answer(target: Target, asked: dict[str, Any]) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
    try:
        done = subprocess.run(
            _PROGRAM, input=json.dumps(asked).encode(), capture_output=True, timeout=SECONDS, env=environment
        )
        answer: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise NotSent(f"{target} did not take the message within {SECONDS:.0f} s") from None
    except ValueError:
        said = escape(done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:300])
        raise NotSent(f"The program that sends to {target} failed: {said or done.returncode}") from None
    return answer


def _judge(target: Target, answer: dict[str, Any]) -> None:
    if answer["sent"]:
        return
    if not answer["known"]:
        raise NeverSent(
            f"{target} is not an address that apprise understands",
            next_step="https://appriseit.com lists them",
        )
    if answer.get("several"):
        raise NeverSent(
            f"{target} leads to several channels: if one of them failed, all would get the message again",
            next_step="Write one address for each channel",
        )
    if answer["refused"]:
        places = ", ".join(sorted(set(map(escape, answer["refused"]))))
        raise NeverSent(
            f"{target} leads to {places}, which is this machine or a private network",
            next_step="Add it to notify.allow_private in config.yaml if messages may go there",
        )
    why = escape(answer["why"]) or "apprise gives no reason"
    raise (NeverSent if _FOR_GOOD.search(why) else NotSent)(f"{target} did not take the message: {why}")
