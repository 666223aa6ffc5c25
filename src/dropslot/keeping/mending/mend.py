"""Puts a damaged or missing file back at its destination, from bytes with its SHA-256.

First a copy with the right bytes is found. Then each arrow is a commit or a sync: the intent, with the folder for the
damaged bytes → the good bytes are staged → the damaged file gets a name in that folder, by an operation that replaces
nothing → the good one gets its name, likewise → the event, which names both digests. So after a crash every byte is
under one of the names, and the next try goes on. A try that fails before it has given any name leaves no intent.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import PurePosixPath
from typing import NamedTuple

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from ulid import ULID

from dropslot.arrivals.delivery.paths.target_parts import PARTS
from dropslot.arrivals.models import Delivery
from dropslot.audit.chain import append
from dropslot.audit.event_payloads import Mended
from dropslot.audit.kinds import Kind, entry
from dropslot.config import Config, Deliver
from dropslot.core.errors import DiskFull, DropslotError
from dropslot.core.names import RESERVED, escape
from dropslot.core.templates import Template
from dropslot.destinations import for_rule
from dropslot.destinations.base import Destination, Drop, Planned, Rules, Target
from dropslot.keeping.fixity.damage import file_of, record
from dropslot.keeping.fixity.digest_reader import Reader
from dropslot.keeping.fixity.fixity_report import GONE, Seen
from dropslot.keeping.mending.copies import Copy, NotMended, good_copy
from dropslot.keeping.models import Damage, KeptOriginal

log = structlog.get_logger()
AGAIN = timedelta(hours=6)
_DAMAGED = f"{RESERVED}/damaged"
_INTACT = "is as it was delivered again"


def mend(config: Config, row: Damage, *, by: str = "") -> str:
    """Put one file back; returns a clause about it for people. One at a time on a machine; of two machines one gives
    up. Raises NotMended, DestinationUnready and similar; then the row says why, and when it is tried next."""
    with _alone(config):
        try:
            with _full_in_words():
                return _mend(config, row, by)
        except (DropslotError, OSError) as error:
            mine = Damage.objects.filter(pk=row.pk, epoch=row.epoch)  # not one that another process mends now
            mine.update(not_mended=str(error), due_at=timezone.now() + AGAIN)
            raise


@contextmanager
def _full_in_words() -> Iterator[None]:
    """A full disk keeps an arrival waiting until it fits; it ends a mending."""
    try:
        yield
    except DiskFull as error:
        raise NotMended(
            error.what,
            where=error.where,
            next_step="Free space there, then run `dropslot mend`. With `mend: true` it is tried every 6 hours",
        ) from error


@contextmanager
def _alone(config: Config) -> Iterator[None]:
    fd = os.open(config.data / "mending.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _mend(config: Config, row: Damage, by: str) -> str:
    file = file_of(row)
    with Reader() as reader:
        seen = reader.seen(file)
    if seen.is_away or (seen.fault and not seen.found and seen.fault != GONE):
        raise NotMended(f"{escape(file.address)}: {seen.fault}", where="It stays as it is")
    if not seen.fault and not row.mending:
        _note_intact(seen)
        return _INTACT
    work = _Mending(config, row, seen.found, by)
    return work.finish() if not seen.fault else work.do()


def _note_intact(seen: Seen) -> None:
    with transaction.atomic():
        append(record([seen]))


class _Mending:
    """One try. `found`: the SHA-256 of what is at the name now; empty: nothing."""

    def __init__(self, config: Config, row: Damage, found: str, by: str) -> None:
        self._config, self._row, self._by, self._delivery = config, row, by, row.delivery
        self._found, self._is_first = found, not row.mending
        self._destination, self._target, self._has_manifest = _way_to(config, row.delivery)
        if found and found != row.delivery.sha256 and not self._destination.can_rename:
            self._destination.give_other_name(self._target, row.delivery.stored_as, _DAMAGED)  # says why not

    def _begin(self) -> None:
        """Commit the intent. A later epoch removes the staging of this one, which then publishes nothing."""
        row, mending = self._row, self._row.mending or str(ULID())
        is_damaged = bool(self._found) and self._found != self._delivery.sha256
        values = {
            "mending": mending,
            "epoch": row.epoch + 1,
            "found": self._found if is_damaged or self._is_first else row.found,
            "aside": f"{_DAMAGED}/{mending}/{PurePosixPath(self._delivery.stored_as).name}",
            "not_mended": "",
        }
        if not self._mine().update(**values):
            raise _taken_over(self._delivery)
        for name, value in values.items():
            setattr(row, name, value)

    @contextmanager
    def _drop(self) -> Iterator[Drop]:
        try:
            opened = self._destination.open_checked(
                self._target, self._row.mending, self._row.epoch, self._delivery.arrival.name
            )
        except (DropslotError, OSError):
            self._take_back_intent()
            raise
        with opened as drop:
            drop.discard_older()
            yield drop

    def do(self) -> str:
        with good_copy(self._config, self._delivery) as copy:
            self._begin()
            with self._drop() as drop:
                with self._without_remains(drop):
                    self._require_place(drop)
                    self._require_no_other_thing(drop)
                    planned = self._stage(copy, drop)
                self._give_names(drop, planned)
                drop.clean()
        self._record(copy.taken_from)
        return f"was mended from {copy.taken_from}"

    @contextmanager
    def _without_remains(self, drop: Drop) -> Iterator[None]:
        """If this fails, no name was given: then nothing stays of the try, and nothing is being mended any more."""
        try:
            yield
        except (DropslotError, OSError):
            with suppress(DropslotError, OSError):  # it is away: the next try knows it by the intent
                drop.clean()
                self._take_back_intent()
            raise

    def _take_back_intent(self) -> None:
        if self._is_first:
            self._mine().update(mending="", aside="")

    def _give_names(self, drop: Drop, planned: Planned) -> None:
        self._set_aside(drop)
        if drop.publish([planned]):
            aside = f"; what was damaged is at {escape(self._row.aside)}" if self._row.found else ""
            if not aside:
                drop.clean()
                self._take_back_intent()
            raise NotMended(
                f"Something else has taken the name {escape(planned.stored_as)} meanwhile",
                where=f"It stays{aside}",
                next_step="Move it out of the way; it is tried again",
            )
        self._destination.sync_names([drop])

    def finish(self) -> str:
        """The bytes are there, from a try that a crash ended before its record."""
        self._begin()
        with self._drop() as drop:
            is_aside = drop.stored(self._row.aside) is not None
        if self._row.found and not is_aside:
            return self._give_up()
        self._record("an earlier try")
        return "was mended by an earlier try"

    def _give_up(self) -> str:
        """Somebody else has put it right."""
        self._mine().update(mending="", aside="")
        _note_intact(Seen(file_of(self._row), self._delivery.sha256))
        return _INTACT

    def _mine(self) -> QuerySet[Damage]:
        """The row, unless another process mends it now, or has mended it."""
        return Damage.objects.filter(pk=self._row.pk, epoch=self._row.epoch)

    def _require_place(self, drop: Drop) -> None:
        """What nobody asked for fills no disk that has come in the place of another: if the arrival's manifest is gone,
        too, all of the place is."""
        manifest = f"{RESERVED}/manifests/{self._delivery.arrival_id}.sha256"
        if (
            self._found
            or self._by
            or not (drop.is_new() or (self._has_manifest and not drop.stored(manifest)))
        ):
            return
        raise NotMended(
            f"{escape(self._target.url)} has lost the file and the arrival's manifest: perhaps its disk is not mounted",
            where="Nothing was put there",
            next_step=f"Mount it; or, if somebody removed all of it: dropslot mend {self._delivery.arrival_id}",
        )

    def _require_no_other_thing(self, drop: Drop) -> None:
        name = self._delivery.stored_as
        if (there := drop.stored(name)) and not there.regular:
            raise NotMended(
                f"{escape(name)} is no longer a regular file",
                where="It stays",
                next_step="Move it out of the way by hand; it is tried again",
            )

    def _stage(self, copy: Copy, drop: Drop) -> Planned:
        (staged,) = drop.stage(copy.source, strip=copy.strip)
        if staged.sha256 != self._delivery.sha256:
            raise NotMended("The copy changed while it was read", where="Nothing was changed")
        self._destination.sync_staged([drop])
        return Planned(staged.path, self._delivery.stored_as, staged.sha256)

    def _set_aside(self, drop: Drop) -> None:
        """Give the damaged file its name in a folder of its own. If nothing was there, what is there now came
        meanwhile, perhaps by another mending: it stays. What has the right bytes after all gets its name back."""
        name, row = self._delivery.stored_as, self._row
        if not self._found:
            return
        if not self._mine().exists():
            raise _taken_over(self._delivery)
        if not self._destination.give_other_name(self._target, name, row.aside):
            return
        found = drop.digest(row.aside)
        if found == self._delivery.sha256:
            self._destination.give_other_name(self._target, row.aside, name)
            drop.clean()
            self._take_back_intent()
            raise NotMended(f"{escape(name)} changed while it was looked at", where="It has its name again")
        if found and found != row.found:
            row.found = found
            self._mine().update(found=found)

    def _record(self, taken_from: str) -> None:
        row, delivery = self._row, self._delivery
        data: Mended = {
            "destination": delivery.place.url,
            "stored_as": escape(delivery.stored_as),
            "delivered": delivery.sha256,
            "found": row.found,
            "set_aside": escape(row.aside) if row.found else "",
            "taken_from": escape(taken_from),
            "by": self._by,
        }
        with transaction.atomic():
            if self._mine().delete()[0]:
                KeptOriginal.objects.filter(arrival=delivery.arrival_id).update(due_at=timezone.now())
                append([entry(Kind.MENDED, delivery.arrival_id, data)])


def _taken_over(delivery: Delivery) -> NotMended:
    return NotMended(f"{escape(delivery.stored_as)} is being mended by another process")


class _Way(NamedTuple):
    """The destination of a delivery, its target, and whether that has the manifests of whole arrivals."""

    destination: Destination
    target: Target
    has_manifests: bool


def _way_to(config: Config, delivery: Delivery) -> _Way:
    """The way of a delivery as it was when it was delivered: group and modes as well. What must exist must still be
    there: otherwise its disk may not be mounted."""
    url, arrival = delivery.place.url, delivery.arrival
    rules = config.routes[arrival.route].deliver if arrival.route in config.routes else []
    for rule in rules:
        to = Template(rule.to)
        values = to.match(url)
        if values is not None:
            known, part = values | arrival.fields, arrival.evidence.get(PARTS, {}).get(url, {})
            if "group" in part:  # what a rebuild found does not say it
                made, must = replace(Rules.of(rule), group=part["group"]), part["must_exist"]
            else:
                made, must = Rules.of(rule, known), _must_exist(rule, url, known)
            target = Target(url, to.fixed, must, replace(made, manifest="none"))
            return _Way(for_rule(rule), target, made.manifest == "hidden")
    raise NotMended(
        f"Route {arrival.route} no longer delivers to {url}",
        where="It stays as it is",
        next_step="Put its entry of `deliver` back, or accept the damage",
    )


def _must_exist(rule: Deliver, url: str, known: Mapping[str, str]) -> str | None:
    """The folder that must exist for this target: mostly a beginning of it."""
    if rule.must_exist is None:
        return None
    wanted = rule.must_exist.rstrip("/")
    if f"{rule.to}/".startswith(f"{wanted}/"):
        return "/".join(url.split("/")[: wanted.count("/") + 1])
    return Template(wanted).fill(known, marks=True)


def mend_due(config: Config) -> bool:
    """Mend the next damaged file that is due. False: none was."""
    due = Damage.objects.filter(due_at__lte=timezone.now(), accepted_by="")
    row = due.select_related("delivery__arrival", "delivery__place").order_by("due_at").first()
    if row is None:
        return False
    try:
        mend(config, row)
        log.info("A damaged file was mended", action="mended", arrival=row.delivery.arrival_id)
    except (DropslotError, OSError) as error:
        log.warning("A damaged file is not mended", action="not_mended", error=str(error))
    return True
