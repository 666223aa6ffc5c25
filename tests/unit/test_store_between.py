"""Who is killed by what stands between dropslot and an object store."""

from __future__ import annotations

import os
import socket

from store_between import owner


def _from(port: int, listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection whose client has this port; 0: any."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.bind(("127.0.0.1", port))
    client.connect(listener.getsockname())
    return client, listener.accept()[0]


def test_the_owner_is_found_though_its_port_had_another_connection_a_moment_ago() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        for _ in range(8):  # which of the two the kernel lists first is chance
            before, accepted = _from(0, one)
            port = before.getsockname()[1]
            before.close()
            accepted.close()
            client, accepted = _from(port, other)
            with client, accepted:
                assert owner(accepted) == os.getpid()
