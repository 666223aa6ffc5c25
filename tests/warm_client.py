"""A command of a shell script that a warm process runs (`warm_commands`): `python warm_client.py SOCKET WORD…`."""

import json
import os
import socket
import sys


def main() -> int:
    before = os.umask(0)
    os.umask(before)
    request = {"args": sys.argv[2:], "environment": dict(os.environ), "folder": os.getcwd(), "umask": before}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
        channel.connect(sys.argv[1])
        socket.send_fds(channel, [json.dumps(request | {"constants": {}}).encode()], [1, 2])
        return int(channel.recv(100) or b"1")


if __name__ == "__main__":
    sys.exit(main())
