"""Finding a target on a server: its fixed part may be or hold links, everything below it may not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dropslot.core.addressing import addresses
from dropslot.core.errors import DestinationUnready, Refused, Unsupported
from dropslot.core.names import escape
from dropslot.destinations.base import Target
from dropslot.destinations.spelling import twin
from dropslot.sftp import wire
from dropslot.sftp.connection import Connection
from dropslot.sftp.remote import join, listing

_NOTHING = "Nothing of the arrival was delivered there"


@dataclass(frozen=True, slots=True)
class Place:
    """`home` is the target's folder, or its nearest ancestor that exists; `missing` leads from there to the target.
    `homes` are all folders from the fixed one to the home."""

    homes: Sequence[str]
    missing: str

    @property
    def home(self) -> str:
        return self.homes[-1]

    @property
    def path(self) -> str:
        """The target itself."""
        return join(self.home, self.missing) if self.missing else self.home


def path_of(target: Target) -> str:
    """The target's path, as the server takes it."""
    return addresses.parse(target.url).remote_path


def _chain(target: Target) -> list[str]:
    """The fixed folder and each one below it on the way to the target."""
    fixed, url = addresses.parse(target.fixed), addresses.parse(target.url)
    if fixed.server != url.server or not f"{url.path.rstrip('/')}/".startswith(f"{fixed.path.rstrip('/')}/"):
        raise Unsupported(
            f"The target {escape(target.url)} does not lie in {escape(target.fixed)}",
            next_step="Correct `to` of this route",
        )
    chain = [fixed.remote_path]
    for part in url.path[len(fixed.path.rstrip("/")) :].split("/"):
        if part:
            chain.append(join(chain[-1], part))
    return chain


async def find(connection: Connection, target: Target, *, create_folders: bool) -> Place:
    """Raises DestinationUnready if the fixed part is missing or a link is in the way. Raises Refused if `must_exist` is
    missing, or a folder that `create_folders` does not allow to make."""
    chain = _chain(target)
    must = [addresses.parse(target.must_exist).remote_path] if target.must_exist else []
    wanted = [wire.on(wire.STAT, path) for path in (*must, chain[0])] + [
        wire.on(wire.LSTAT, path) for path in chain[1:]
    ]
    seen = [wire.found(reply) for reply in await connection.ask(*wanted)]
    server = connection.account.server
    if (fixed := seen[len(must)]) is None or not fixed.is_folder:
        raise _missing(server, chain[0])
    if must and ((there := seen[0]) is None or not there.is_folder):
        # Its disk is mounted, so the name is mistyped: a permanent fault.
        what = f"{escape(target.must_exist or '')} does not exist, and must_exist forbids making it"
        raise Refused([what + await _looks_the_same(connection, must[0])])
    homes = [chain[0]]
    for path, below in zip(chain[1:], seen[len(must) + 1 :], strict=True):
        if below is None:
            break
        if not below.is_folder:
            raise _in_the_way(server, path)
        homes.append(path)
    missing = "/".join(path.rpartition("/")[2] for path in chain[len(homes) :])
    if missing and not create_folders:
        path = chain[len(homes)]
        what = f"There is no folder {escape(path)} at {server}, and create_folders is off: make it if its name is right"
        raise Refused([what + await _looks_the_same(connection, path)])
    return Place(tuple(homes), missing)


async def _looks_the_same(connection: Connection, path: str) -> str:
    above, _, name = path.rpartition("/")
    return "" if name.isascii() else twin(name, await listing(connection, above or "/") or ())


def _missing(server: str, path: str) -> DestinationUnready:
    return DestinationUnready(
        f"{escape(path)} does not exist at {escape(server)}",
        where=_NOTHING,
        next_step="Mount its disk, or make the folder: dropslot never makes the part before the first field, so that an"
        " unmounted disk is not filled. It is retried",
    )


def _in_the_way(server: str, path: str) -> DestinationUnready:
    return DestinationUnready(
        f"{escape(path)} at {escape(server)} is a link or not a folder; dropslot never writes through it",
        where=_NOTHING,
        next_step="Move it out of the way or make it a real folder; it is retried",
    )
