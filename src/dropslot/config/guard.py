"""Which addresses of the network a message or a ping may go to: those of the internet, and what the operator allows.

Whoever can choose where messages go, or what a name resolves to, must not reach this machine or its private network
by them. Nothing here needs Django.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
_HOST = re.compile(r"(?=.{1,253}\Z)(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")
_NAT64 = IPv6Network("64:ff9b::/96")


def allowed(text: str) -> str:
    """One entry of `allow_private`: an address, a network or the name of a host. Raises ValueError."""
    with suppress(ValueError):
        return str(ip_network(text.strip("[]"), strict=False))
    if _HOST.fullmatch(text) is None or text.replace(".", "").isdigit():
        raise ValueError("expected a host, an address or a network, such as chat.lab.example or 10.1.2.0/24")
    return text.lower()


class Guard:
    """Names among `entries` are looked up once, now."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self.networks = [network for entry in entries for network in _networks(entry)]
        self.refused: list[str] = []
        self._probe: socket.socket | None = None

    def admits(self, host: str) -> bool:
        """Whether a connection to this address may be made; what is no address is refused."""
        try:
            address = _inner(ip_address(host.split("%", 1)[0]))
        except ValueError:
            return False
        if any(address in network for network in self.networks if network.version == address.version):
            return True
        return address.is_global and not address.is_multicast and not self._is_of_this_machine(address)

    def _is_of_this_machine(self, address: IPv4Address | IPv6Address) -> bool:
        """Its public address leads to itself, too. The system says so without a packet: to its own address it would
        send from that address."""
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as self._probe:
            self._probe.connect((str(address), 9))
            return ip_address(str(self._probe.getsockname()[0])) == address
        return False  # no way leads there

    def watch(self, event: str, arguments: tuple[object, ...]) -> None:
        """For `sys.addaudithook`: Python calls it before each connection, also of libraries, with the address that a
        name has just resolved to. Raises PermissionError."""
        if event not in ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind"):
            return
        place = arguments[1] if len(arguments) > 1 else None
        if (
            arguments[0] is self._probe
            or event == "socket.bind"
            or (event == "socket.sendmsg" and place is None)
        ):
            return
        host = place[0] if isinstance(place, tuple) else place
        if not isinstance(host, str) or not self.admits(host):
            self.refused.append(str(host))
            raise PermissionError(f"no connection to {host} is allowed")


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that is meant by some of IPv6."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address


def _networks(entry: str) -> list[Network]:
    with suppress(ValueError):
        return [ip_network(entry)]
    with suppress(OSError):
        return [ip_network(str(place[0]).split("%")[0]) for *_, place in socket.getaddrinfo(entry, None)]
    return []  # a name that cannot be looked up allows nothing
