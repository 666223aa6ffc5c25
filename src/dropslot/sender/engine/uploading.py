"""One bag, from its first byte until it is whole in the inbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time
from pathlib import Path

from dropslot.core.errors import DropslotError
from dropslot.core.settings.limits import Limit
from dropslot.sender.bags.tag_files import PAYLOAD, tag_files
from dropslot.sender.engine.control import Cancelled, Control, Paused
from dropslot.sender.engine.listener import Listener
from dropslot.sender.engine.progress import UploadProgress
from dropslot.sender.engine.retries import Retries
from dropslot.sender.faults import BagIncomplete, BagNameTaken, BagRefused
from dropslot.sender.file_states import SEALING
from dropslot.sender.inbox import Inbox, Outgoing
from dropslot.sender.ledger.bags import Bag, BagFile, Bags
from dropslot.sender.ledger.sent_rows import sent
from dropslot.sftp.pace import Pace

_UNSURE = "It was not in the inbox any more: the server took it, or somebody removed it there"


class Upload:
    """Sends a bag of the ledger, also one that an earlier run began."""

    def __init__(
        self, bag: Bag, bags: Bags, retries: Retries, listener: Listener, control: Control, *, is_new: bool
    ) -> None:
        self.bag, self.bags, self.retries = bag, bags, retries
        self.listener, self.control = listener, control
        self._is_new, self._is_asked, self._is_begun = is_new, False, False

    def run(self, limit: Limit) -> bool:
        """Returns whether the bag is in the inbox; False: no file of it was left to send. Raises what cannot be
        retried, Paused and Cancelled; then a later run continues, but after Cancelled nothing of the bag remains."""
        try:
            try:
                return self._send(limit)
            except BagIncomplete as error:  # somebody removed files of it at the server, or all
                self.listener.warned(str(error))
                self.bag = self.bags.reopen(self.bag, [_payload(path) for path in error.paths])
                return self._send(limit)
        except Cancelled:
            self._discard()
            raise
        except (BagNameTaken, BagRefused):
            self.bags.abandon(
                self.bag
            )  # another try would end in the same way; the next send removes it there
            raise
        except DropslotError:
            if (
                self._is_new and not self._is_begun
            ):  # this inbox never took a byte of it, but perhaps made its folder
                (self.bags.abandon if self._is_asked else self.bags.forget)(self.bag)
            raise

    def _send(self, limit: Limit) -> bool:
        if self.bag.state != SEALING and not self._send_files(limit):
            return False
        self._finish()
        return True

    def _seal(self) -> None:
        self.bag = self.bags.seal(self.bag)

    def _send_files(self, limit: Limit) -> bool:
        files = self.bags.files(self.bag)
        progress = UploadProgress(self.bag, files, self.bags, self.listener, self.control)
        self.listener.begun(self.bag.name, replace(progress.status(), is_continued=not self._is_new))
        self._announce()
        try:
            self.retries.run(lambda inbox: self._upload(inbox, progress, limit), lambda: progress.mark)
        finally:
            progress.record()
        self.listener.progressed(progress.status())
        if not self.bags.files(self.bag):
            self._discard()
            return False
        return True

    def _upload(self, inbox: Inbox, progress: UploadProgress, limit: Limit) -> None:
        progress.record()
        rest = [each for each in self.bags.files(self.bag) if not each.sha256]
        if not rest:
            return
        self._is_asked = True
        files = _outgoing(rest)
        inbox.begin(self.bag.name, files)
        self._is_begun = True
        reached = {PAYLOAD + each.path: each.reached for each in rest if each.reached}
        pace = Pace() if limit == Limit() else Pace(lambda: limit.at(_time_of_day()))
        inbox.upload(self.bag.name, files, reached, progress, pace)

    def _finish(self) -> None:
        tags = tag_files(self.bag, self.bags.files(self.bag))

        def finish(inbox: Inbox) -> bool:
            return inbox.finish(self.bag.name, tags, self._seal, may_be_named=self.bag.state == SEALING)

        try:
            is_there = self.retries.run(finish)
        except Cancelled as error:
            if self.bag.state != SEALING:
                raise
            # The answer to the renaming may be what is missing.
            raise Paused(
                "It is too late to cancel: all files are at the server, and may be in the inbox already",
                next_step="Send again: it is finished then, or known to be there",
            ) from error
        if not is_there:
            self.listener.warned(
                f"{self.bag.name} is not in the inbox any more: the server took it, or somebody removed it when this PC"
                " was about to give it its name. Its receipt will say that it was taken; if there is none in two days,"
                " send its files again with --all"
            )
        self.bags.finish(self.bag, "" if is_there else _UNSURE)
        self._announce()

    def _discard(self) -> None:
        self.bags.abandon(
            self.bag
        )  # first: without a network, the next send removes it, and never continues it
        self.retries.control_free().run(lambda inbox: inbox.discard(self.bag.name))
        self.bags.forget(self.bag)

    def _announce(self) -> None:
        for file in sent(self.bags.ledger, bag=self.bag.name):
            self.listener.changed(file)


def _outgoing(files: Sequence[BagFile]) -> list[Outgoing]:
    return [
        Outgoing(Path(each.source), PAYLOAD + each.path, each.size_bytes, each.mtime_ns) for each in files
    ]


def _payload(path: str) -> str:
    return path.removeprefix(PAYLOAD)


def _time_of_day() -> time:
    return datetime.now().astimezone().time()
