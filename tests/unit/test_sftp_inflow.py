"""Packets of a connection however they are cut up: data goes to its channel, all else to asyncssh as it came."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from dropslot.sftp.inflow import Inflow

KEY, FIRST_IV = bytes(range(16)), bytes(4) + (2**64 - 2).to_bytes(8, "big")  # its count runs over
DATA, ADJUST, REQUEST = 94, 93, 98
CHANNEL, STRANGER = 3, 4


class State:
    """asyncssh's state of a cipher."""

    def __init__(self) -> None:
        self._key, self._iv = KEY, FIRST_IV

    def _update_iv(self) -> None:
        count = (int.from_bytes(self._iv[4:], "big") + 1) % 2**64
        self._iv = self._iv[:4] + count.to_bytes(8, "big")


class Connection:
    """As much of asyncssh's as the way in needs. What is left to it, it opens with the same state."""

    def __init__(self) -> None:
        self.state = State()
        self._recv_encryption = SimpleNamespace(_cipher=self.state)
        self._recv_seq, self._inpbuf, self._transport = 0xFFFFFFFF, b"", object()
        self._recv_handler = self._recv_pkthdr
        self._channels = {CHANNEL: Channel()}
        self.left_to_it: list[bytes] = []

    def _recv_pkthdr(self) -> bool:
        raise NotImplementedError

    def data_received(self, data: bytes, *_: Any) -> None:
        self.left_to_it.append(data)
        self.state._update_iv()
        self._recv_seq = (self._recv_seq + 1) & 0xFFFFFFFF


class Channel:
    def __init__(self) -> None:
        self._recv_state, self._recv_window, self._send_window = "open", 1 << 20, 0
        self.got, self.flushed = b"", 0

    def _accept_data(self, data: bytes) -> None:
        self.got += data

    def _flush_send_buf(self) -> None:
        self.flushed += 1


def sealed(contents: Sequence[bytes]) -> list[bytes]:
    state, packets = State(), []
    for content in contents:
        padding = -(1 + len(content)) % 16 + 16
        length = (1 + len(content) + padding).to_bytes(4, "big")
        plain = bytes([padding]) + content + bytes(padding)
        packets.append(length + AESGCM(KEY).encrypt(state._iv, plain, length))
        state._update_iv()
    return packets


def data_for(channel: int, data: bytes) -> bytes:
    return struct.pack(">BII", DATA, channel, len(data)) + data


CONTENTS = st.one_of(
    st.binary(max_size=100).map(lambda data: data_for(CHANNEL, data)),
    st.integers(0, 1 << 20).map(lambda more: struct.pack(">BII", ADJUST, CHANNEL, more)),
    st.binary(max_size=100).map(lambda data: data_for(STRANGER, data)),
    st.binary(max_size=30).map(lambda rest: bytes([REQUEST]) + rest),
    st.just(struct.pack(">BII", DATA, CHANNEL, 5) + b"four"),
)


@given(st.lists(CONTENTS, max_size=12), st.lists(st.integers(1, 90), min_size=1, max_size=20))
def test_however_packets_are_cut_up_each_goes_where_it_belongs(
    contents: list[bytes], sizes: list[int]
) -> None:
    ssh = Connection()
    Inflow(ssh)
    channel, packets = ssh._channels[CHANNEL], sealed(contents)
    stream, at, turn = b"".join(packets), 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        ssh.data_received(stream[at : at + size])
        at, turn = at + size, turn + 1
    data = [one[9:] for one in contents if one[:5] == data_for(CHANNEL, b"")[:5] and one[9:] != b"four"]
    adjusted = [int.from_bytes(one[5:], "big") for one in contents if one[0] == ADJUST]
    ours = sum(one[:5] == data_for(CHANNEL, b"")[:5] and one[9:] != b"four" for one in contents) + len(
        adjusted
    )
    assert channel.got == b"".join(data)
    assert (channel._send_window, channel.flushed) == (sum(adjusted), len(adjusted))
    assert len(ssh.left_to_it) == len(contents) - ours and set(ssh.left_to_it) <= set(packets)
    assert ssh._recv_seq == (0xFFFFFFFF + len(contents)) % 2**32


def received(packet: bytes, **changed: Any) -> Connection:
    ssh = Connection()
    vars(ssh).update(changed)
    Inflow(ssh)
    ssh.data_received(packet)
    return ssh


def test_a_forged_packet_is_left_to_asyncssh_which_ends_the_connection() -> None:
    [packet] = sealed([data_for(CHANNEL, b"data")])
    forged = packet[:-1] + bytes([packet[-1] ^ 1])
    ssh = received(forged)
    assert ssh.left_to_it == [forged] and ssh._channels[CHANNEL].got == b""


def test_a_length_that_cannot_be_is_left_to_asyncssh_at_once() -> None:
    ssh = received(b"\xff\xff\xff\xff and so on")
    assert ssh.left_to_it == [b"\xff\xff\xff\xff and so on"]


def test_while_asyncssh_is_in_the_midst_of_a_packet_it_gets_all() -> None:
    [packet] = sealed([data_for(CHANNEL, b"data")])
    assert received(packet, _inpbuf=b"begun").left_to_it == [packet]
    assert received(packet, _recv_handler=lambda: False).left_to_it == [packet]


def test_more_than_the_window_allows_is_left_to_asyncssh() -> None:
    [packet] = sealed([data_for(CHANNEL, b"data")])
    ssh = Connection()
    ssh._channels[CHANNEL]._recv_window = 3
    Inflow(ssh)
    ssh.data_received(packet)
    assert ssh.left_to_it == [packet]
