"""Duties: what one process does at a time, while others stand by. A candidate has one lease for all its duties.

The database's clock decides when a lease is over, so clocks of hosts make no difference. The candidate itself stops by
its own clock of elapsed time, counted from before it asked: never later than the database lets another one begin,
even if it was frozen or the database is away.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial

import structlog
from django.db import DatabaseError, InterfaceError, connections, transaction
from django.db.models import F
from django.db.models.functions import Now

from dropslot.arrivals import candidates
from dropslot.arrivals.candidates import LEASE, Doer, lapsed
from dropslot.arrivals.models import Candidate, Duty
from dropslot.arrivals.workers import holder
from dropslot.config import Config
from dropslot.core.names import escape
from dropslot.core.release import VERSION
from dropslot.running.ages import elapsed

log = structlog.get_logger()

ROUND_SECONDS = 2.0  # another candidate begins at the latest LEASE and one round after the last renewal
STOP_SECONDS = 3.0


class Duties:
    """The duties of one candidate. `wanted` names those that it could do now; `on_duty` renews them in a thread."""

    def __init__(
        self, me: str, role: str, wanted: Callable[[], Collection[str]], is_dead: Callable[[str], bool]
    ) -> None:
        self.me = me
        self.taken = 0  # how many duties it has taken from others so far, or begun
        self.is_cut_off = False  # from the database, and it was said
        self._role = role
        self._wanted = wanted
        self._is_dead = is_dead
        self._told: list[str] | None = None  # what its row says that it wants
        self._held: frozenset[str] = frozenset()
        self._until = float("-inf")
        self.others: dict[str, str] = {}  # who acts where this one stands by, as it was said
        self._unsure = True  # whether its last transaction was committed
        self._wake = threading.Event()
        self._stopping = False

    def holds(self, duty: str) -> bool:
        """Whether this process may do it now. Ask before each step; costs nothing."""
        return duty in self._held and elapsed() < self._until

    def look(self) -> None:
        """Renew the lease, give up what is not wanted any more, and take what nobody does. Raises DatabaseError and
        InterfaceError."""
        wanted = sorted(self._wanted())
        asked = elapsed()
        before = frozenset() if self._unsure else self._held
        self._unsure = True
        with transaction.atomic():
            held = self._renewed(wanted, before)
        self._say(held)
        self._told, self._unsure = wanted, False
        self._until = asked + LEASE.total_seconds()
        self._held = frozenset() if self._stopping else held

    def soon(self) -> None:
        """Let the next round begin now: something new is wanted."""
        self._wake.set()

    def stop(self) -> None:
        """End the rounds; from here on nothing is held."""
        self._stopping = True
        self._held = frozenset()
        self._wake.set()

    def wait(self) -> bool:
        """Until the next round; False: there is none."""
        self._wake.wait(ROUND_SECONDS)
        self._wake.clear()
        return not self._stopping

    def end(self) -> None:
        """Give up all duties, so that another candidate takes them in its next round."""
        with transaction.atomic():
            Duty.objects.filter(holder=self.me).update(holder="")
            Candidate.objects.filter(name=self.me).delete()

    def _renewed(self, wanted: list[str], before: frozenset[str]) -> frozenset[str]:
        kept = before.intersection(wanted) if self._renew(wanted) else frozenset()
        if given_up := before.difference(wanted):
            Duty.objects.filter(holder=self.me, name__in=given_up).update(holder="")
        missing = [name for name in wanted if name not in kept]
        return kept | self._take(missing) if missing else kept

    def _renew(self, wanted: list[str]) -> bool:
        """False: the lease was over, or this is the first; others may have taken its duties. It has a new one now."""
        mine = Candidate.objects.filter(name=self.me)
        changes = {"wants": wanted} if wanted != self._told else {}
        if mine.exclude(lapsed()).update(until=Now() + LEASE, **changes):
            return True
        mine.delete()
        Candidate.objects.create(
            name=self.me, role=self._role, wants=wanted, version=VERSION, until=Now() + LEASE
        )
        return False

    def _take(self, wanted: Collection[str]) -> frozenset[str]:
        # Holders first: whoever is one has committed its lease, too, and is found among the others.
        seen = {
            name: (holder, term) for name, holder, term in Duty.objects.values_list("name", "holder", "term")
        }
        others = set(_clear_away(self.me, self._is_dead))
        new = [Duty(name=name, holder="", since=Now()) for name in wanted if name not in seen]
        Duty.objects.bulk_create(new, ignore_conflicts=True)
        free: dict[tuple[str, int], list[str]] = {}
        for name in wanted:
            last, term = seen.get(name, ("", 0))
            if last not in others:
                free.setdefault((last, term), []).append(name)
        for (last, term), names in free.items():
            self._take_from(last, term, names)
        now = dict(Duty.objects.filter(name__in=wanted).values_list("name", "holder"))
        self._say_who_acts({name: who for name, who in now.items() if who not in ("", self.me)})
        return frozenset(name for name, who in now.items() if who == self.me)

    def _take_from(self, last: str, term: int, names: Collection[str]) -> None:
        # Only in the term that was seen: another candidate may be taking it at the same time. That is why who was away
        # begins a new term of its own duties, too.
        taken = Duty.objects.filter(name__in=names, holder=last, term=term).update(
            holder=self.me, last=self.me, since=Now(), term=F("term") + 1
        )
        if last != self.me:
            self.taken += taken

    def _say(self, held: frozenset[str]) -> None:
        for name in sorted(held - self._held):
            self._log("duty_taken", name, f"Acts on {candidates.in_words(name)}")
        for name in sorted(self._held - held):
            self._log("duty_lost", name, f"No longer acts on {candidates.in_words(name)}")

    def _say_who_acts(self, acts: dict[str, str]) -> None:
        for name, other in acts.items():
            if self.others.get(name) != other:
                line = f"Stands by for {candidates.in_words(name)}: {Doer.of(other)} acts"
                self._log("duty_elsewhere", name, line)
        self.others = acts

    def _log(self, action: str, name: str, line: str) -> None:
        log.info(line, action=action, plain=True, duty=escape(name), holder=self.me)


def _clear_away(me: str, is_dead: Callable[[str], bool]) -> Iterator[str]:
    """Remove the other candidates that ended; returns the names that are left. A candidate that renews its lease at the
    same time either keeps its row, or finds none and knows that it has lost its duties."""
    Candidate.objects.filter(lapsed()).delete()
    for name in list(Candidate.objects.exclude(name=me).values_list("name", flat=True)):
        if is_dead(name):
            Candidate.objects.filter(name=name).delete()
        else:
            yield name


@contextmanager
def on_duty(config: Config, role: str, wanted: Callable[[], Collection[str]]) -> Iterator[Duties]:
    """Be a candidate for what `wanted` names (asked in each round) during the block. Nothing raises when the database
    is away: then no duty is held once the lease is over."""
    with holder.holding(config.data) as me:
        duties = Duties(me, role, wanted, partial(holder.is_dead, config.data))
        _look(duties)
        thread = threading.Thread(target=_keep, args=(duties,), name="duties", daemon=True)
        thread.start()
        try:
            yield duties
        finally:
            duties.stop()
            thread.join(STOP_SECONDS)  # not longer: it may wait for a database that does not answer


def _keep(duties: Duties) -> None:
    while duties.wait():
        _look(duties)
    try:
        duties.end()
    except (DatabaseError, InterfaceError) as error:
        log.info("The duties end with their lease", action="duties_not_ended", error=str(error))
    connections.close_all()


def _look(duties: Duties) -> None:
    try:
        duties.look()
    except (DatabaseError, InterfaceError) as error:
        if not duties.is_cut_off:
            line = "The lease of duties could not be renewed; another process takes them over when it ends"
            log.warning(line, action="duties_not_renewed", holder=duties.me, error=str(error))
        duties.is_cut_off = True
        connections.close_all()
    except Exception:
        log.exception("The duties could not be looked at; this is retried", action="duties_failed")
    else:
        duties.is_cut_off = False
