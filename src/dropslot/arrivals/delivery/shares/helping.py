"""The helper's side: an idle worker stages a share of an arrival that another worker holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import structlog
from django.db import DatabaseError, connections
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from dropslot import destinations
from dropslot.arrivals.delivery.shares.task import Task, decode
from dropslot.arrivals.models import Share
from dropslot.arrivals.unavailable import UNAVAILABLE
from dropslot.config import Config
from dropslot.core.context import kept
from dropslot.core.errors import DropslotError, ShareLost, Unsupported
from dropslot.core.states import ShareState, State
from dropslot.destinations.shared import Part, SharedDrop
from dropslot.files.writing.dense import go_on

log = structlog.get_logger()
_MOST_DECLINED = 1000
ASK_SECONDS = 2.0
STUCK_SECONDS = 600.0  # one sync of a share to a slow server takes no longer


class _Progress:
    """When this process came further with a share last."""

    def __init__(self) -> None:
        self.at = time.monotonic()


class Helper:
    """Stages shares for one worker process, which must keep its lease renewed (`renew`). `routes`: only of these; None:
    of all. `pause` is called between pieces of the work."""

    def __init__(
        self,
        config: Config,
        worker: str,
        pause: Callable[[], None] = go_on,
        routes: Collection[str] | None = None,
    ) -> None:
        self._config, self._worker, self._routes = config, worker, routes
        self._between = pause
        self._declined: set[str] = set()  # arrivals of which this worker could not stage a share
        self._owes = False  # the outcome of a share could not be recorded

    def help_once(self) -> bool:
        """Stage one share, synced, and report it. False: there was none. Errors of the share are its holder's matter;
        raises DatabaseError if the outcome cannot be recorded (`settle`)."""
        self.settle()
        kept(_Progress).at = time.monotonic()
        self._owes = True  # before the taking: its answer may be lost
        share = self._take()
        if share is not None:
            self._report(share, self._staged(share))
        self._owes = False
        return share is not None

    def settle(self) -> None:
        """Give up a share whose outcome could not be recorded: its holder would wait for it, since this worker goes on.
        Called before other work. Raises DatabaseError."""
        if self._owes:
            self._mine().update(state=ShareState.GIVEN_UP)
            self._owes = False

    def _mine(self) -> QuerySet[Share]:
        return Share.objects.filter(worker=self._worker, state=ShareState.TAKEN)

    def _pausing(self, share: Share) -> Callable[[], None]:
        """What is called between pieces of a share. Raises ShareLost if it is not this worker's any more: its attempt
        is over, or the holder does not wait for it."""
        asked_at = time.monotonic()

        def pause() -> None:
            nonlocal asked_at
            self._between()
            kept(_Progress).at = now = time.monotonic()
            if now >= asked_at + ASK_SECONDS:
                asked_at = now
                self._require_mine(share)

        return pause

    def _require_mine(self, share: Share) -> None:
        try:
            is_mine = self._mine().filter(pk=share.pk).exists()
        except UNAVAILABLE:
            connections.close_all()  # whether it is, its report will tell
        else:
            if not is_mine:
                raise ShareLost("Nobody waits for this share any more")  # only for the log

    def _take(self) -> Share | None:
        """The last share that nobody has taken; its holder begins with the first one."""
        free = Share.objects.filter(
            state=ShareState.OPEN, arrival__state=State.PROCESSING, arrival__epoch=F("epoch")
        ).exclude(arrival_id__in=self._declined)
        if self._routes is not None:
            free = free.filter(route__in=self._routes)
        share = free.order_by("arrival_id", "-number").first()
        lease = Now() + self._config.lease
        if share and free_of(share).update(state=ShareState.TAKEN, worker=self._worker, lease_until=lease):
            return share
        return None

    def _staged(self, share: Share) -> Part | None:
        try:
            return self._stage(share, decode(bytes(share.task)))
        except ShareLost as error:  # this worker may help in the next attempt
            log.info(error.what, action="share_not_wanted", arrival=share.arrival_id, share=share.number)
            return None
        except (DropslotError, OSError) as error:
            why = str(error)
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001 - the holder finds out whether it is the arrival's fault
            why = repr(error)
        if len(self._declined) >= _MOST_DECLINED:
            self._declined.clear()
        self._declined.add(share.arrival_id)
        log.info(
            "Its holder stages this share itself",
            action="share_given_up",
            arrival=share.arrival_id,
            share=share.number,
            error=why,
        )
        return None

    def _stage(self, share: Share, task: Task) -> Part:
        route = self._config.routes.get(share.route)
        rule = next((rule for rule in route.deliver if rule.to == task.rule), None) if route else None
        if rule is None:
            raise Unsupported(f"Route {share.route} is not in this worker's config.yaml as it was")
        destination = destinations.for_rule(rule)
        with destination.open(task.target, share.arrival_id, share.epoch, task.name) as drop:
            if not isinstance(drop, SharedDrop):
                raise Unsupported("This kind of destination is not shared")
            source = task.source._replace(pause=self._pausing(share))
            drop.join(source, task.algorithms, task.strip, task.prefix)
            part = drop.stage_items(0, len(source.listing.items))
            destination.sync_staged([drop])  # the holder's sync covers only what this machine wrote
            return part

    def _report(self, share: Share, part: Part | None) -> None:
        mine = self._mine().filter(pk=share.pk)
        if part is None:
            mine.update(state=ShareState.GIVEN_UP)
            return
        count = mine.update(state=ShareState.STAGED, **part._asdict())
        log.info(
            "Staged a share" if count else "Staged a share that nobody waits for",
            action="share_staged",
            arrival=share.arrival_id,
            share=share.number,
        )


def free_of(share: Share) -> QuerySet[Share]:
    """This share, if nobody has taken it."""
    return Share.objects.filter(pk=share.pk, state=ShareState.OPEN)


def renew(worker: str, config: Config) -> None:
    """Renew the lease of the share that `worker` stages, unless it comes no further: where a file server hangs, nothing
    else tells its holder."""
    if time.monotonic() > kept(_Progress).at + STUCK_SECONDS:
        return
    mine = Share.objects.filter(worker=worker, state=ShareState.TAKEN)
    mine.update(lease_until=Now() + config.lease)


def sweep() -> None:
    """Remove the shares of attempts that are over."""
    Share.objects.exclude(arrival__state=State.PROCESSING, arrival__epoch=F("epoch")).delete()
