"""Public keys that sign receipts, in the form of ssh-keygen's `allowed_signers`."""

from __future__ import annotations

import base64
import binascii
import hashlib

NAMESPACE = "dropslot"  # what receipts are signed for
PRINCIPAL = "dropslot"  # who `ssh-keygen -Y verify -I` asks for
_KEY_TYPE = "ssh-ed25519"


def parse(text: str) -> frozenset[bytes]:
    """The keys, one a line: `NAME [OPTIONS] ssh-ed25519 KEY`, or `ssh-ed25519 KEY` alone, as in a file `.pub`. Raises
    ValueError for any other line."""
    return frozenset(_blob(line) for line in lines(text))


def lines(text: str) -> list[str]:
    """Those that hold a key: not empty, and no comment."""
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def line(blob: bytes, *, name: str = "") -> str:
    """The key as one line; with a name as `allowed_signers` has it."""
    key = f"{_KEY_TYPE} {base64.b64encode(blob).decode('ascii')}"
    return f'{name} namespaces="{NAMESPACE}" {key}' if name else key


def fingerprint(blob: bytes) -> str:
    """As `ssh-keygen -l` shows it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii")
    return f"SHA256:{digest.rstrip('=')}"


def _blob(line: str) -> bytes:
    words = line.split()
    try:
        return base64.b64decode(words[words.index(_KEY_TYPE) + 1], validate=True)
    except (IndexError, binascii.Error) as error:
        raise ValueError(f"not `NAME [OPTIONS] {_KEY_TYPE} KEY`") from error
