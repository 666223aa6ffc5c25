"""A sentinel's row in the database: that its tree is alive, how its processes are, what only its machine sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from dropslot.arrivals.candidates import Doer
from dropslot.arrivals.machines import DEAD_SECONDS, LEASE, SILENT_SECONDS, Tree, lapsed
from dropslot.arrivals.models import Sentinel
from dropslot.arrivals.registry import Late
from dropslot.arrivals.workers import holder
from dropslot.config import Config
from dropslot.core.names import escape
from dropslot.core.showing.amounts import lasting
from dropslot.core.troubles import TroubleKind
from dropslot.running import board
from dropslot.running.board import Seen


def locks(config: Config) -> Path:
    """Where a sentinel has its lock: not among those of workers, since it works on no arrival."""
    return config.data / "sentinels"


def is_dead(config: Config, name: str) -> bool:
    """Whether a sentinel of this machine surely ended."""
    return holder.is_dead(locks(config), name)


class Presence:
    """The row of one sentinel, `me`, which is the name of its lock."""

    def __init__(self, config: Config, me: str, tree: Tree) -> None:
        self._config, self._me, self._tree = config, me, tree
        self._lease = max(LEASE, 3 * config.health.look)
        # Trees that may be from before a restart of this machine, with their `until`.
        self._earlier: dict[str, datetime] = {}

    def renew(self, late: Sequence[Late]) -> None:
        """Say that it is alive, and what this machine alone sees. Trees of the same kind that ended on this machine are
        replaced by it. Raises DatabaseError."""
        now: dict[str, Any] = {
            "until": Now() + self._lease,
            "processes": [_shown(one) for one in board.look(self._config.data)],
            "late": [one.as_json() for one in late],
        }
        with transaction.atomic():
            if not Sentinel.objects.filter(name=self._me).update(**now):
                Sentinel.objects.create(name=self._me, tree=self._tree, since=Now(), **now)
                self._replace()
            elif self._earlier:
                self._replace_earlier()
            self._find_dead()

    def _replace(self) -> None:
        """The trees before this one, which were killed. Where their lock can be seen, the name of the machine does not
        matter: each container has a new one."""
        host = Doer.of(self._me).host
        others = Sentinel.objects.filter(tree=self._tree).exclude(name=self._me)
        over = set(others.filter(lapsed()).values_list("name", flat=True))
        self._earlier = {}
        for row in others:
            is_here = Doer.of(row.name).host == host
            if is_dead(self._config, row.name) or (is_here and row.name in over):
                row.delete()
            elif is_here and not holder.is_of_this_machine(locks(self._config), row.name):
                self._earlier[row.name] = row.until

    def _replace_earlier(self) -> None:
        """After a quick restart of the machine the lease of the tree before it is still valid. Once it is over, that
        one is replaced, too. Who has renewed it since is alive, on a machine of the same name."""
        rows = Sentinel.objects.filter(name__in=self._earlier)
        self._earlier = {row.name: row.until for row in rows if row.until == self._earlier[row.name]}
        Sentinel.objects.filter(lapsed(), name__in=self._earlier).delete()

    def _find_dead(self) -> None:
        """Those of this machine whose lock is free need no longer wait for the end of their lease."""
        for row in Sentinel.objects.exclude(name=self._me).exclude(lapsed()):
            if is_dead(self._config, row.name):
                Sentinel.objects.filter(name=row.name).update(until=Now())

    def acts(self) -> bool:
        """Whether it is the one that says what it finds: the oldest that is alive. Two that act at the same time do no
        harm. Raises DatabaseError."""
        first = (
            Sentinel.objects.exclude(lapsed())
            .order_by("since", "name")
            .values_list("name", flat=True)
            .first()
        )
        return first == self._me

    def end(self) -> None:
        """Its tree ends in good order. Raises DatabaseError."""
        Sentinel.objects.filter(name=self._me).delete()


def _shown(one: Seen) -> dict[str, Any]:
    return {
        "name": one.name,
        "pid": one.pid or None,
        "quiet_seconds": round(one.quiet_seconds, 1),
        "busy": one.counts.busy > 0,
    }


def silent(config: Config, host: str) -> Iterator[Late]:
    """Processes of this machine that ended and were not started again, or that show no sign of life."""
    limit = max(SILENT_SECONDS, 2 * config.lease.total_seconds())
    ended = []
    for one in board.look(config.data):
        if one.pid and one.quiet_seconds > limit:
            yield _hanging(one, host)
        elif not one.pid and one.quiet_seconds > DEAD_SECONDS:
            ended.append(escape(one.name))
    if ended:
        what = f"{', '.join(ended)} ended unexpectedly, and nothing has started them again"
        about, remedy = f"processes on {escape(host)}", "see the log; start the service again"
        yield Late(about, what, remedy, kind=TroubleKind.PROCESS, is_local=True)


def _hanging(one: Seen, host: str) -> Late:
    about = f"process {escape(one.name)} on {escape(host)}"
    what = f"it has shown no sign of life for {lasting(one.quiet_seconds)}; it hangs, or was stopped"
    remedy = f"see the log; after kill -9 {one.pid} the service starts it again"
    return Late(about, what, remedy, kind=TroubleKind.PROCESS, is_local=True)
