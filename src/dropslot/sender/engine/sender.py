"""The sender: looks for what is new, sends it, continues what was interrupted, and follows the receipts.

sender = Sender(credentials, listener)
plan = sender.look(preset)
result = sender.send(plan)
sender.follow(preset.access, wait_seconds=20)
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from dropslot.core.errors import DropslotError
from dropslot.core.settings.limits import Limit
from dropslot.sender import home_folder
from dropslot.sender.bags.naming import bag_name
from dropslot.sender.connecting import SFTP, Access, place, scheme
from dropslot.sender.credentials import Credentials
from dropslot.sender.engine.control import Control
from dropslot.sender.engine.inbox_connection import Connections
from dropslot.sender.engine.listener import Listener, Silent
from dropslot.sender.engine.recovering import open_ledger
from dropslot.sender.engine.retries import PATIENCE_SECONDS, Retries
from dropslot.sender.faults import BagIncomplete, BagNameTaken, BagRefused, InboxClosed, InboxMissing
from dropslot.sender.file_states import CANCELLED, LOST, REFUSED, SEALING, UPLOADING
from dropslot.sender.ledger import journal
from dropslot.sender.ledger.bags import Bag, Bags
from dropslot.sender.ledger.journal import Noted
from dropslot.sender.ledger.lock import held
from dropslot.sender.new_files.compare_with_ledger import Comparison, sharing
from dropslot.sender.new_files.preset_scan import Unwatched, Wish, look
from dropslot.sender.plan import Plan, Watcher
from dropslot.sender.presets.preset import Preset

# Of one bag alone: another account of this PC began it, its route is gone, or its server has a fault. The others can be
# sent.
_OF_A_BAG = (BagIncomplete, BagNameTaken, BagRefused, InboxClosed, InboxMissing)
_FIRST_LOOK_SECONDS, _LONGEST_LOOK_SECONDS = 0.3, 5.0


@dataclass(frozen=True, slots=True)
class Result:
    """The bags that are whole in the inbox now."""

    bags: tuple[str, ...] = ()


class Sender:
    """The engine of the command and the window. Calls block; `control` ends them from another thread."""

    def __init__(
        self,
        credentials: Credentials,
        listener: Listener | None = None,
        control: Control | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.listener, self.control = listener or Silent(), control or Control()
        self.ledger = open_ledger(self.listener)
        self.bags = Bags(self.ledger)
        self._credentials, self._patience = credentials, patience_seconds
        self._connections: dict[Access, Connections] = {}

    def close(self) -> None:
        """Sign out, and close the ledger."""
        for connections in self._connections.values():
            connections.drop()
        self.ledger.close()

    def look(self, preset: Preset, wish: Wish | None = None, watcher: Watcher | None = None) -> Plan:
        """What is new of a preset; nobody has to be signed in."""
        return look(preset, self.ledger, wish, watcher)

    def sign_in(self, access: Access) -> None:
        """Sign in now, before anything is sent: questions come, and mistakes show, at once."""
        self._retries(access).run(lambda _inbox: None)

    def unfinished(self) -> list[Bag]:
        """The bags that an earlier run began."""
        return self.bags.of_state(UPLOADING, SEALING)

    def cancelled(self, access: Access) -> list[Bag]:
        """The bags that are never continued, and may be at this inbox still; sending removes them there."""
        return [bag for bag in self.bags.of_state(CANCELLED) if bag.inbox == place(access.to)]

    def send(self, plan: Plan) -> Result:
        """Send what a plan has; first what an earlier run began at this inbox. Raises what cannot be retried, Paused
        and Cancelled: what was sent is kept then, except by Cancelled. Raises SenderBusy. A bag that cannot be
        continued keeps no other back: its error is raised when the others are there."""
        preset, inbox = plan.preset, place(plan.preset.access.to)
        with held(home_folder.lock_file()):
            self.sign_in(preset.access)
            plan = self._recovered(plan)
            self._remove_cancelled(preset.access)
            begun = [
                (bag, _at_its_route(bag, preset.access)) for bag in self.unfinished() if bag.inbox == inbox
            ]
            done, failed = self._continued(begun, preset.limit)
            self.listener.planned(plan)
            if plan.new and (bag := self._begin(plan)):
                done.append(self._upload(bag, preset.access, preset.limit, is_new=True))
        return _result(done, failed)

    def resume(self, limit: Limit | None = None) -> Result:
        """Finish what earlier runs began, as it was begun."""
        with held(home_folder.lock_file()):
            begun = [(bag, bag.access) for bag in self.unfinished()]
            for access in dict.fromkeys(access for _, access in begun):
                self._remove_cancelled(access)
            done, failed = self._continued(begun, limit or Limit())
        return _result(done, failed)

    def follow(self, access: Access | None = None, wait_seconds: float = 0) -> list[Bag]:
        """Fetch the receipts that are missing (of one inbox, or of all), for so long; returns the bags that still have
        none. Raises what signing in raises, and SignersChanged; BadReceipt when all others were looked at."""
        end, pause = time.monotonic() + wait_seconds, _FIRST_LOOK_SECONDS
        bags = [bag for bag in self.bags.waited_for() if access is None or bag.inbox == place(access.to)]
        bad: list[DropslotError] = []
        while True:
            bags = [bag for bag in bags if not self._fetch(bag, access or bag.access, bad)]
            if not bags or time.monotonic() + pause > end:
                break
            self.control.wait(pause)
            pause = min(pause * 1.5, _LONGEST_LOOK_SECONDS)
        if bad:
            raise bad[0]
        return [bag for bag in bags if bag.state != REFUSED]

    def _fetch(self, bag: Bag, access: Access, bad: list[DropslotError]) -> bool:
        """Whether this bag needs no further look. A receipt that is not to be believed keeps no other back."""
        from dropslot.sender.engine.receipts import fetch  # signatures take long to load
        from dropslot.sender.receipts.verify_receipt import BadReceipt

        work = self._retries(access).run
        try:
            return work(lambda inbox: fetch(inbox, bag, self.bags, home_folder.signers(), self.listener))
        except BadReceipt as error:
            bad.append(error)
            return True

    def _begin(self, plan: Plan) -> Bag | None:
        preset, inbox = plan.preset, place(plan.preset.access.to)
        name = bag_name(preset.study, preset.location)
        target = self.ledger.target(inbox, preset.study)
        bag = self.bags.begin(name, target, preset.access, preset.location, plan.new, plan.planned)
        if bag is not None:
            self._note(bag, {folder.subfolder: str(folder.path) for folder in preset.folders})
        return bag

    def _note(self, bag: Bag, roots: Mapping[str, str]) -> None:
        noted = Noted(bag.name, bag.inbox, bag.study, bag.location, bag.begun_at, asdict(bag.access), roots)
        try:
            journal.note(home_folder.journal_file(), noted)
        except DropslotError:
            self.bags.forget(bag)  # nothing of it is sent
            raise

    def _continued(
        self, begun: Sequence[tuple[Bag, Access]], limit: Limit
    ) -> tuple[list[str], list[DropslotError]]:
        """The names of the bags that are in the inbox now, and why others are not."""
        done: list[str] = []
        failed: list[DropslotError] = []
        for bag, access in begun:
            try:
                done.append(self._upload(bag, access, limit))
            except _OF_A_BAG as error:
                failed.append(error)
                if isinstance(error, InboxMissing) and scheme(access.to) != SFTP:
                    self.bags.abandon(bag)  # this portal has its route no more: its files are new again
        return done, failed

    def _remove_cancelled(self, access: Access) -> None:
        """What a cancel could not remove at this inbox. If that fails again, a later send does it."""
        for bag in self.cancelled(access):
            with suppress(DropslotError):
                self._discard(bag, _at_its_route(bag, access))

    def _discard(self, bag: Bag, access: Access) -> None:
        self._retries(access).control_free().run(lambda inbox: inbox.discard(bag.name))
        self.bags.forget(bag)

    def _upload(self, bag: Bag, access: Access, limit: Limit, *, is_new: bool = False) -> str:
        """The name of the bag that is in the inbox now; empty: there was nothing to send."""
        from dropslot.sender.engine.uploading import Upload

        retries = self._retries(access)
        upload = Upload(bag, self.bags, retries, self.listener, self.control, is_new=is_new)
        return bag.name if upload.run(limit) else ""

    def _recovered(self, plan: Plan) -> Plan:
        """The plan without what receipts of a lost ledger show to be delivered."""
        target = self.ledger.target(place(plan.preset.access.to), plan.preset.study)
        lost = self.bags.of_state(LOST, target=target)
        if not lost:
            return plan
        from dropslot.sender.engine.recovering_bags import recover
        from dropslot.sender.receipts.verify_receipt import BadReceipt

        for bag in lost:
            run = self._retries(_at_its_route(bag, plan.preset.access)).run
            try:
                run(lambda inbox, bag=bag: recover(inbox, bag, self.bags, self.listener))  # type: ignore[misc]
            except (BadReceipt, InboxClosed, InboxMissing) as error:  # its files are new, then
                self.listener.warned(str(error))
        if plan.planned is None:  # everything is wanted, whatever is known
            return plan
        comparison = Comparison(self.ledger, target, Unwatched(), sharing(plan.preset))
        comparison.compare(plan.new)
        return plan.only(frozenset(each.path for each in comparison.new))

    def _retries(self, access: Access) -> Retries:
        connections = self._connections.setdefault(access, Connections(access, self._credentials))
        return Retries(connections, self.listener, self.control, self._patience)


def _at_its_route(bag: Bag, access: Access) -> Access:
    """How to reach a bag that an earlier run began, perhaps for another preset: a portal has one address for all of its
    routes, and another route would deliver to another study."""
    return replace(access, route=bag.access.route)


def _result(done: Sequence[str], failed: Sequence[DropslotError]) -> Result:
    if failed:
        raise failed[0]
    return Result(tuple(filter(None, done)))
