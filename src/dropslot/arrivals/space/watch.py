"""What keeps an eye on space, beside the sentinel of a service: it counts, asks disks and servers, lets arrivals that
waited for room go on, notes what each space holds, and walks through one folder after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog
from django.db import DatabaseError, InterfaceError, connections

from dropslot.arrivals.space import tree_sizes, trends, waiting_for_room
from dropslot.arrivals.space.measuring import measure
from dropslot.arrivals.space.space_trees import Tree
from dropslot.arrivals.space.spaces import Space, known_trees, look, of
from dropslot.arrivals.space.tree_sizes import Walk
from dropslot.arrivals.space.usages import Usages
from dropslot.arrivals.space.waiting_for_room import Room
from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

log = structlog.get_logger()
ROUND_SECONDS = 15.0
WAITING_SECONDS = 3.0  # the same while an arrival waits for room
WALK_SECONDS = 5.0  # of each round
SERVERS_SECONDS = 60.0
_STOP_SECONDS = 3.0


@contextmanager
def watching(config: Config, announce: Callable[[Sequence[str]], None]) -> Iterator[None]:
    """Do so in a thread during the block: a process more would take 15 MB of memory."""
    stop = threading.Event()
    thread = threading.Thread(target=_watch, args=(config, announce, stop), name="space", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_STOP_SECONDS)  # not longer: it may wait for a server that does not answer


def _watch(config: Config, announce: Callable[[Sequence[str]], None], stop: threading.Event) -> None:
    watch = SpaceWatch(config)
    due = time.monotonic()
    while not stop.is_set():
        try:
            if time.monotonic() >= due or waiting_for_room.is_any():
                due = time.monotonic() + ROUND_SECONDS
                announce(watch.round(stop.is_set))
        except (DatabaseError, InterfaceError) as error:
            log.info("Space is looked at when the database answers", action="space_waits", error=str(error))
            connections.close_all()
        except Exception:
            log.exception("Space could not be looked at; this is retried", action="space_failed")
        stop.wait(WAITING_SECONDS)
    connections.close_all()


def let_go_on(config: Config) -> None:
    """Let arrivals that waited for room go on if there is some now: for a drain, which has no such process."""
    tree_sizes.listen(config)
    if waiting_for_room.is_any():
        tree_sizes.count(config)
        waiting_for_room.wake(_rooms(look(config, servers=True)))


def _rooms(spaces: Sequence[Space]) -> dict[str, Room]:
    return {space.id: Room(space.room_bytes, space.free_files) for space in spaces}


class SpaceWatch:
    """What is remembered between the rounds."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._walk: Walk | None = None
        self._servers_due = 0.0

    def round(self, is_stopped: Callable[[], bool]) -> list[str]:
        """Once. Returns the arrivals that may go on. Raises DatabaseError."""
        tree_sizes.count(self._config)
        usages = Usages.load()
        trees = known_trees(self._config, usages)
        tree_sizes.remember({tree.url for tree in trees if tree.is_counted}.difference(usages.keys))
        if self._ask_servers(trees):
            usages = Usages.load()
        spaces = of(self._config, trees, usages)
        woken = waiting_for_room.wake(_rooms(spaces))
        for space in spaces:
            if space.free_bytes is not None:
                self._say(space)
        trends.sample(spaces)
        self._go_on_walking(trees, is_stopped)
        return woken

    def _ask_servers(self, trees: Sequence[Tree]) -> bool:
        """True: what they said is kept."""
        there = [tree for tree in trees if tree.rule.scheme]
        if not there or (time.monotonic() < self._servers_due and not waiting_for_room.is_any()):
            return False
        Usages.keep(measure(there, servers=True))
        self._servers_due = time.monotonic() + SERVERS_SECONDS
        return True

    def _say(self, space: Space) -> None:
        if space.is_filling == space.was_filling:
            return
        Usages.say(space.key, is_filling=space.is_filling)
        name = f"{space.name[0].upper()}{space.name[1:]}"
        if space.is_filling:
            line = f"{name} is {space.percent} % full (warn: {space.warn_at:g} %); free space there"
            log.warning(line, action="disk_filling", plain=True)
        else:
            log.info(f"{name} has room again", action="disk_has_room", plain=True)

    def _go_on_walking(self, trees: Sequence[Tree], is_stopped: Callable[[], bool]) -> None:
        try:
            self._walk = self._walk or tree_sizes.next_walk(trees)
            if self._walk and self._walk.step(WALK_SECONDS, is_stopped):
                self._walk = None
        except (DropslotError, OSError) as error:  # the place is away: it is walked through when it is back
            log.debug("A folder could not be counted", action="space_not_counted", error=escape(str(error)))
            self._walk = None
