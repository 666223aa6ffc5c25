"""Answers off an SSH connection with few steps: a file that is sent has six, most of them a packet of its own.

asyncssh copies all that it has for each packet it takes from it, sets the cipher up anew, and asks a dozen questions of
each. Here data for channels, and what opens their windows, is taken straight from the packets; any other packet is
left to asyncssh as it came. Like `Bulk` it needs attributes that asyncssh does not promise to keep.
"""

from __future__ import annotations

import struct
from typing import Any

from cryptography.exceptions import InvalidTag

from dropslot.sftp.keys import TAG_BYTES, Keys

NEEDED = (
    *("_channels", "_inpbuf", "_recv_encryption", "_recv_handler", "_recv_pkthdr", "_recv_seq"),
    *("_transport", "data_received"),
)
NEEDED_OF_CHANNEL = ("_accept_data", "_flush_send_buf", "_recv_state", "_recv_window", "_send_window")
_WINDOW_ADJUST, _DATA = 93, 94
_HEAD = struct.Struct(">BBII")  # padding length, kind of packet, channel, length of the data or bytes more
_LENGTH_BYTES = 4
_LONGEST_BYTES = 256 * 1024


class Inflow:
    """The way in of one connection. Used in the loop's thread alone."""

    def __init__(self, ssh: Any) -> None:
        self._ssh = ssh  # an asyncssh.SSHClientConnection
        self._keys = Keys(ssh, "_recv_encryption")
        self._rest = b""  # the beginning of a packet
        self._pass_on = ssh.data_received
        ssh.data_received = self._received

    def _received(self, data: bytes, *_: Any) -> None:
        """What the transport calls; another connection that this one goes through says the kind of data, too."""
        data = self._rest + data if self._rest else data
        at, end, ours = 0, len(data), self._is_ours()
        while ours and (size := _size(data, at)) <= end - at:
            if not self._taken(data, at, size):
                self._pass_on(data[at : at + size])
                ours = self._is_ours()
            at += size
        self._rest = data[at:]
        if self._rest and (not ours or size > _LONGEST_BYTES):
            self._rest, rest = b"", self._rest
            self._pass_on(rest)

    def _is_ours(self) -> bool:
        """Whether asyncssh waits for the beginning of a packet, and we can open it."""
        ssh = self._ssh
        between_packets = not ssh._inpbuf and ssh._recv_handler == ssh._recv_pkthdr
        return bool(between_packets and ssh._transport) and self._keys.now() is not None

    def _taken(self, data: bytes, at: int, size: int) -> bool:
        """Give the packet's data to its channel; False: it is for asyncssh, which opens it again."""
        keys = self._keys.now()
        assert keys
        state, cipher = keys
        head = at + _LENGTH_BYTES
        try:
            packet = cipher.decrypt(state._iv, data[head : at + size], data[at:head])
        except InvalidTag:
            return False  # it ends the connection
        if len(packet) < _HEAD.size:
            return False
        padding, kind, number, count = _HEAD.unpack_from(packet)
        channel = self._ssh._channels.get(number) if kind in (_WINDOW_ADJUST, _DATA) else None
        if channel is None or channel._recv_state != "open":
            return False
        length = len(packet) - padding - _HEAD.size
        if length != (count if kind == _DATA else 0) or (kind == _DATA and count > channel._recv_window):
            return False
        state._update_iv()
        self._ssh._recv_seq = (self._ssh._recv_seq + 1) & 0xFFFFFFFF
        if kind == _DATA:
            channel._accept_data(packet[_HEAD.size : _HEAD.size + count])
        else:
            channel._send_window += count
            channel._flush_send_buf()
        return True


def _size(data: bytes, at: int) -> int:
    """Of the packet that begins there, with its tag; as long as its length is not known, the least that it has."""
    length = data[at : at + _LENGTH_BYTES]
    whole = len(length) == _LENGTH_BYTES
    return _LENGTH_BYTES + TAG_BYTES + (int.from_bytes(length, "big") if whole else 0)
