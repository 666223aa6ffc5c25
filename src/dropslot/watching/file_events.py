"""One event of an inbox, named as inotify(7) and pyinotify name it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

IN_ACCESS = 0x1
IN_MODIFY = 0x2
IN_ATTRIB = 0x4
IN_CLOSE_WRITE = 0x8
IN_CLOSE_NOWRITE = 0x10
IN_OPEN = 0x20
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_UNMOUNT = 0x2000
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x1000000
IN_EXCL_UNLINK = 0x4000000
IN_MASK_ADD = 0x20000000
IN_ISDIR = 0x40000000

MASKS: dict[str, int] = {
    "in_access": IN_ACCESS,
    "in_attrib": IN_ATTRIB,
    "in_close_nowrite": IN_CLOSE_NOWRITE,
    "in_close_write": IN_CLOSE_WRITE,
    "in_create": IN_CREATE,
    "in_delete": IN_DELETE,
    "in_delete_self": IN_DELETE_SELF,
    "in_modify": IN_MODIFY,
    "in_move_self": IN_MOVE_SELF,
    "in_moved_from": IN_MOVED_FROM,
    "in_moved_to": IN_MOVED_TO,
    "in_open": IN_OPEN,
    "in_q_overflow": IN_Q_OVERFLOW,
    "in_unmount": IN_UNMOUNT,
}
KINDS: tuple[str, ...] = tuple(MASKS)

# Events of the inbox itself; every processor gets them, whatever its route listens to.
SELF_KINDS = frozenset({"in_delete_self", "in_move_self", "in_q_overflow", "in_unmount"})

# For a processor, a name that was moved out of the inbox is deleted.
_MEANING: dict[int, str] = {
    IN_CREATE: "created",
    IN_MOVED_TO: "moved",
    IN_MODIFY: "modified",
    IN_CLOSE_WRITE: "closed",
    IN_DELETE: "deleted",
    IN_MOVED_FROM: "deleted",
    IN_OPEN: "opened",
    IN_ACCESS: "accessed",
    IN_ATTRIB: "attributes",
    IN_CLOSE_NOWRITE: "closed_unwritten",
    IN_DELETE_SELF: "inbox_deleted",
    IN_MOVE_SELF: "inbox_moved",
    IN_Q_OVERFLOW: "overflow",
    IN_UNMOUNT: "unmounted",
}
_EVENT_BITS = sum(_MEANING)
_SIGNAL_OF = {bit: name for name, bit in MASKS.items()}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to `name` in the inbox `path`; `name` is empty for an event of the inbox itself. Names
    are decoded by os.fsdecode: bytes that are not UTF-8 are surrogate-escaped. `kind` is `created`, `moved` (into the
    inbox or within it), `modified`, `closed` (after writing), `deleted` (or moved out), `opened`, `accessed`,
    `attributes`, `closed_unwritten`, `inbox_deleted`, `inbox_moved`, `overflow` or `unmounted`. `moved_from` is the
    name that it had in this inbox before it was moved; None when it came from elsewhere.
    """

    name: str
    path: str
    pathname: str
    dir: bool
    mask: int
    maskname: str
    kind: str
    moved_from: str | None = None

    @property
    def signal(self) -> str:
        """Its name among KINDS, as in `in_moved_to`."""
        return _SIGNAL_OF[self.mask & _EVENT_BITS]


def event(mask: int, path: str, name: str = "", moved_from: str | None = None) -> Event | None:
    """An Event of an inotify mask; None when the mask is no event (IN_IGNORED alone)."""
    bit = mask & _EVENT_BITS
    if bit not in _MEANING:
        return None
    is_folder = bool(mask & IN_ISDIR) or not name
    pathname = f"{path.rstrip('/')}/{name}" if name else path
    maskname = _SIGNAL_OF[bit].upper() + ("|IN_ISDIR" if mask & IN_ISDIR else "")
    return Event(name, path, pathname, is_folder, mask, maskname, _MEANING[bit], moved_from)


def mask_of(kinds: Iterable[str]) -> int:
    """The inotify mask of names among KINDS, in any case; KeyError names one that is unknown."""
    mask = 0
    for kind in kinds:
        mask |= MASKS[kind.lower()]
    return mask
