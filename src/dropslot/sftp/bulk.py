"""Data onto an SSH connection with few copies (RFC 4254 section 5.2 in packets of RFC 5647).

asyncssh copies each byte nine times on its way out, logs each packet, and puts an encrypted packet that says nothing
before each. Here whole packets are put together from what is to be sent, several to a write. It needs attributes that
asyncssh does not promise to keep, so whether all are there is found out for each connection; where they are not, or the
cipher is no AES-GCM, asyncssh's own way is taken.
"""

from __future__ import annotations

import os
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dropslot.sftp import inflow
from dropslot.sftp.inflow import Inflow
from dropslot.sftp.keys import Keys

_BLOCK_BYTES = 16
_LEAST_PADDING = 4
_CHANNEL_DATA = 94
_HEAD = struct.Struct(">BBII")  # padding length, kind of packet, channel, length of the data
_AT_ONCE_BYTES = 256 * 1024
_HELD_BYTES = 1024 * 1024  # not yet taken by the system; more would only be copied once more
_NEEDED = (
    *("_auth_complete", "_kex_complete", "_deferred_packets", "_send", "_send_encryption", "_send_seq"),
    *("_rekey_bytes", "_rekey_bytes_sent", "_rekey_seconds", "_rekey_time", "_transport"),
    *inflow.NEEDED,
)
_NEEDED_OF_CHANNEL = (
    *("_flush_send_buf", "_send_buf", "_send_chan", "_send_pktsize", "_send_window"),
    *inflow.NEEDED_OF_CHANNEL,
)


class Bulk:
    """The way out of one connection, shared by its channels. Used in the loop's thread alone."""

    def __init__(self, ssh: Any) -> None:
        self._ssh = ssh  # an asyncssh.SSHClientConnection
        self._keys = Keys(ssh, "_send_encryption")
        self._inflow: Inflow | None = None
        self._held = False
        self._waiting: dict[Callable[[], None], None] = {}
        self.fits = all(hasattr(self._ssh, name) for name in _NEEDED) and self._keys.now() is not None
        if self.fits:
            self._ssh.pause_writing, self._ssh.resume_writing = self._hold, self._go_on
            self._ssh._transport.set_write_buffer_limits(high=_HELD_BYTES)

    def takes(self, channel: Any, go_on: Callable[[], None]) -> bool:
        """Whether data of this channel may go this way, for its whole life; `go_on` is called when its window opens."""
        if not (self.fits and all(hasattr(channel, name) for name in _NEEDED_OF_CHANNEL)):
            return False
        flush = channel._flush_send_buf

        def opened() -> None:
            flush()
            go_on()

        channel._flush_send_buf = opened
        self._inflow = self._inflow or Inflow(self._ssh)
        return True

    def must_wait(self, go_on: Callable[[], None]) -> bool:
        """Whether the system has enough for now; then `go_on` is called when it has room."""
        if self._held:
            self._waiting[go_on] = None
        return self._held

    def send(self, channel: Any, out: deque[memoryview]) -> int | None:
        """Send from the front of `out` what the channel's window allows, a few packets at most, and take it out.

        Returns how many bytes went. None: new keys are being agreed on, and asyncssh itself must take the next bytes.
        """
        cipher = self._keys.now()
        if cipher is None or not self._may_send(channel):
            return None
        sealed: list[bytes] = []
        sent, most = 0, min(channel._send_window, _AT_ONCE_BYTES)
        while out and sent < most:
            parts, size = _taken(out, min(most - sent, channel._send_pktsize))
            sealed += self._sealed(*cipher, channel._send_chan, parts, size)
            sent += size
        channel._send_window -= sent
        if sealed:
            self._ssh._send(b"".join(sealed))
        return sent

    def _may_send(self, channel: Any) -> bool:
        ssh = self._ssh
        new_keys_are_due = ssh._rekey_bytes_sent >= ssh._rekey_bytes or (
            ssh._rekey_seconds and time.monotonic() >= ssh._rekey_time
        )
        ready = ssh._kex_complete and ssh._auth_complete and not new_keys_are_due
        return bool(ready and not ssh._deferred_packets and not channel._send_buf and ssh._transport)

    def _sealed(
        self, state: Any, cipher: AESGCM, channel: int, parts: list[memoryview], size: int
    ) -> tuple[bytes, bytes]:
        ssh = self._ssh
        padding = -(_HEAD.size + size) % _BLOCK_BYTES
        padding += _BLOCK_BYTES if padding < _LEAST_PADDING else 0
        head = _HEAD.pack(padding, _CHANNEL_DATA, channel, size)
        packet = b"".join((head, *parts, os.urandom(padding)))
        length = len(packet).to_bytes(4, "big")
        sealed = cipher.encrypt(state._iv, packet, length)
        state._update_iv()
        ssh._send_seq = (ssh._send_seq + 1) & 0xFFFFFFFF
        ssh._rekey_bytes_sent += len(packet)
        return length, sealed

    def _hold(self) -> None:
        self._held = True

    def _go_on(self) -> None:
        self._held = False
        waiting, self._waiting = self._waiting, {}
        for go_on in waiting:
            go_on()


def _taken(out: deque[memoryview], most: int) -> tuple[list[memoryview], int]:
    """Pieces from the front of `out`, of `most` bytes together or fewer, and how many."""
    parts, size = [], 0
    while out and size < most:
        piece = out.popleft()
        if len(piece) > most - size:
            out.appendleft(piece[most - size :])
            piece = piece[: most - size]
        parts.append(piece)
        size += len(piece)
    return parts, size
