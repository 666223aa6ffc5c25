"""The process `sentinel`: looks at everything again and again, says what begins and ends, and pings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import structlog
from django.db import DatabaseError, InterfaceError, connections

from dropslot.arrivals.candidates import Doer
from dropslot.arrivals.machines import Tree
from dropslot.arrivals.registry import Late
from dropslot.arrivals.upkeep import database, health
from dropslot.arrivals.workers import holder
from dropslot.arrivals.workers.sentinel.chain_check import Trail
from dropslot.arrivals.workers.sentinel.ping import Pings
from dropslot.arrivals.workers.sentinel.presence import Presence, locks, silent
from dropslot.arrivals.workers.sentinel.troubles import Troubles
from dropslot.config import Config
from dropslot.core.names import escape
from dropslot.core.showing.amounts import lasting
from dropslot.core.troubles import TroubleKind
from dropslot.running import board
from dropslot.running.ages import Ages, elapsed
from dropslot.running.stopping import Signal

log = structlog.get_logger()
_SHARE = 20  # looks take at most one part in so many of a processor, ...
_LONGEST = 30.0  # ... but are no further apart than the lease allows
JUMPED_SECONDS = 600.0  # so long a jump of the clock is a trouble


def run(config: Config, tree: Tree, stop: Signal) -> None:
    """Look until `stop`. Nothing that it finds, nor a database or server that is away, ends it."""
    holder.sweep(locks(config))
    with holder.holding(locks(config)) as me:
        sentinel = Sentinel(config, me, tree)
        try:
            while not stop.is_set():
                board.mine().holds(0)
                if newer := database.found_newer():
                    raise newer
                stop.wait(sentinel.turn())
        finally:
            sentinel.end()


class Sentinel:
    """One process that watches over its tree, and over all others while it is the oldest that is alive."""

    def __init__(self, config: Config, me: str, tree: Tree) -> None:
        self._config, self._me = config, me
        self._host = Doer.of(me).host
        self._presence = Presence(config, me, tree)
        self._troubles = Troubles(escape(self._host))
        self._trail = Trail(locks(config) / "head")
        self._pings = Pings(config)
        self._ages = Ages()
        self._acts = True  # it is not known yet; while the database is away, what was known last
        self._is_cut_off = False
        self._due = elapsed()
        self._is_well: bool | None = None  # at the last look

    def turn(self) -> float:
        """Do what is due; returns for how many seconds there is nothing to do."""
        if elapsed() >= self._due:
            begun = elapsed()
            self._look()
            took = elapsed() - begun
            self._due = begun + max(self._config.health.look.total_seconds(), min(took * _SHARE, _LONGEST))
        if self._acts:
            self._pings.look(self._kinds())
        else:
            self._pings.end()
        return max(0.0, min(self._due - elapsed(), self._pings.seconds() if self._acts else float("inf")))

    def _look(self) -> None:
        found = health.examine(self._config, self._ages)
        late = {one.key: one for one in self._without_echo(found)}
        late |= {one.key: one for one in self._known_here()}
        try:
            self._presence.renew([one for one in late.values() if one.is_local])
            self._acts = self._presence.acts()
            if self._acts:
                self._trail.look()
                late |= {one.key: one for one in self._trail.late()}
        except (DatabaseError, InterfaceError) as error:
            self._note_cut_off(error)
        wanted = [one for one in late.values() if one.kind not in self._config.health.ignore]
        self._is_well = all(one.kind is TroubleKind.PING for one in wanted)
        self._troubles.see(wanted)
        if not self._acts:
            self._troubles.stand_by()
        elif found.database:
            self._say()

    def _without_echo(self, found: health.Health) -> list[Late]:
        """Not what health has read back from this sentinel's own row, which it wrote at its last look."""
        mine = next((one for one in found.machines if one.name == self._me), None)
        echo = {one.key for one in mine.late} if mine else set()
        return [one for one in found.late if one.is_local or one.key not in echo]

    def _say(self) -> None:
        undecided = () if self._trail.is_decided else (TroubleKind.CHAIN,)
        try:
            self._troubles.say(undecided)
            self._is_cut_off = False
        except (DatabaseError, InterfaceError) as error:
            self._note_cut_off(error)

    def _kinds(self) -> list[TroubleKind] | None:
        """For the ping: of troubles that last; none if all is well; None while something may only be passing by."""
        kinds: list[TroubleKind] = [kind for kind in self._troubles.kinds if kind is not TroubleKind.PING]
        return kinds or ([] if self._is_well else None)

    def _known_here(self) -> Iterator[Late]:
        """What nobody else can find: it is in this sentinel's row for `health`."""
        yield from silent(self._config, self._host)
        yield from self._pings.late()
        if self._acts:
            yield from self._trail.late()
        for jump in self._ages.jumps:
            if elapsed() - jump.at < JUMPED_SECONDS:
                way = "forward" if jump.by.total_seconds() > 0 else "back"
                what = (
                    f"it jumped {way} by {lasting(abs(jump.by.total_seconds()))}; times from then on differ"
                )
                about, remedy = (
                    f"clock of {escape(self._host)}",
                    "see whether its time is right now: timedatectl",
                )
                yield Late(about, what, remedy, kind=TroubleKind.CLOCK, is_local=True)

    def _note_cut_off(self, error: Exception) -> None:
        if not self._is_cut_off:
            line = "The sentinel cannot record what it sees; it does so when the database answers"
            log.warning(line, action="database_unavailable", error=str(error))
        self._is_cut_off = True
        connections.close_all()

    def end(self) -> None:
        """Its tree ends in good order."""
        self._pings.end()
        with suppress(DatabaseError, InterfaceError):
            self._presence.end()
        connections.close_all()
