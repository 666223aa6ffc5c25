"""The AES-GCM cipher of one direction of a connection (RFC 5647), as asyncssh has it at the moment."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TAG_BYTES = 16
_NEEDED_OF_STATE = ("_key", "_iv", "_update_iv")


class Keys:
    """`direction` is asyncssh's attribute: `_send_encryption` or `_recv_encryption`."""

    def __init__(self, ssh: Any, direction: str) -> None:
        self._ssh, self._direction = ssh, direction
        self._encryption: Any = None
        self._found: tuple[Any, AESGCM] | None = None

    def now(self) -> tuple[Any, AESGCM] | None:
        """asyncssh's state of the cipher, which counts the packets, and the cipher itself; None: it is another one."""
        encryption = getattr(self._ssh, self._direction)
        if self._encryption is not encryption:  # the first keys, or new ones
            self._encryption = encryption
            state: Any = getattr(encryption, "_cipher", None)
            fits = all(hasattr(state, name) for name in _NEEDED_OF_STATE)
            self._found = (state, AESGCM(state._key)) if fits else None
        return self._found
