"""`send --watch`: sends by itself what is new, when it is done."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from dropslot.core.errors import DropslotError
from dropslot.sender import home_folder
from dropslot.sender.connecting import place
from dropslot.sender.credentials import Credentials
from dropslot.sender.engine.control import Control
from dropslot.sender.engine.listener import Listener
from dropslot.sender.engine.retries import NEVER
from dropslot.sender.engine.sender import Sender
from dropslot.sender.faults import InboxClosed
from dropslot.sender.ledger.lock import SenderBusy, held
from dropslot.sender.new_files.preset_scan import Wish
from dropslot.sender.plan import LeftFile
from dropslot.sender.presets.preset import Preset
from dropslot.sender.receipts.verify_receipt import BadReceipt
from dropslot.sender.unattended.noticing import noticed
from dropslot.sender.unattended.recording_done import Quiet

SETTLE_SECONDS = 60.0
PATIENCE_SECONDS = 60.0  # with a server that is away, when other presets go to another one


class AlreadyWatching(DropslotError):
    """Another `send --watch` of this account runs."""

    code = "already-watching"


def watch(
    presets: Sequence[Preset],
    credentials: Credentials,
    listener: Listener,
    control: Control,
    settle_seconds: float = SETTLE_SECONDS,
    wish: Wish | None = None,
) -> None:
    """Send what is new of these presets whenever it has not changed for `settle_seconds`, and fetch the receipts.

    Returns never. Waits for a lost network as long as it takes. Raises what `control` raises, AlreadyWatching, and what
    a person has to mend: a refused sign-in, a changed host key, a changed key of receipts.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(held(home_folder.home() / "watch.lock"))
        except SenderBusy as error:
            raise AlreadyWatching(
                "Another `dropslot send --watch` runs on this computer",
                where="This one sent nothing",
                next_step="Leave it to that one, or end it; `dropslot send --uninstall-service` removes the service",
            ) from error
        is_only_one = len({place(preset.access.to) for preset in presets}) == 1
        patience = math.inf if is_only_one else PATIENCE_SECONDS
        sender = Sender(credentials, listener, control, patience)
        stack.callback(sender.close)
        folders = {folder.path for preset in presets for folder in preset.folders}
        notices = stack.enter_context(noticed(sorted(folders)))
        wish = replace(wish or Wish(), settle_seconds=0)  # `Quiet` waits longer
        turns = [_Turn(preset, sender, settle_seconds, wish) for preset in presets]
        while True:
            waits = [turn.take() for turn in turns]
            notices.wait(min(waits), control)


class _Turn:
    """One preset, looked at again and again."""

    def __init__(self, preset: Preset, sender: Sender, settle_seconds: float, wish: Wish) -> None:
        self.preset, self.sender, self._wish = preset, sender, wish
        self._quiet = Quiet(settle_seconds)
        self._warned = self._doubt = ""
        self._named: frozenset[LeftFile] = frozenset()

    def take(self) -> float:
        """Send what is due; how many seconds until there may be more to send."""
        self.sender.control.check()
        try:
            self._send()
            self._warned = ""
        except DropslotError as error:
            if not error.retryable or error.code in NEVER:
                raise
            self._warn(f"{error}")
            return math.inf
        return self._quiet.wait_seconds(time.monotonic())

    def _send(self) -> None:
        plan = self.sender.look(self.preset, self._wish)
        self._name(plan.left)
        due = self._quiet.due(plan.new, time.monotonic())
        if due or self.sender.unfinished() or self.sender.cancelled(self.preset.access):
            self.sender.send(plan.only(due))
        self._follow()

    def _follow(self) -> None:
        """A receipt that cannot be read or believed keeps no file from being sent; it is told once."""
        doubt = ""
        try:
            self.sender.follow(self.preset.access)
        except (BadReceipt, InboxClosed) as error:
            doubt = str(error)
            if doubt != self._doubt:
                self.sender.listener.warned(doubt)
        self._doubt = doubt

    def _name(self, left: Sequence[LeftFile]) -> None:
        """Once for each file, and not for those that will be ready by themselves."""
        lasting = frozenset(each for each in left if each.kind not in ("growing", "open", "changed"))
        for each in sorted(lasting - self._named):
            self.sender.listener.left(each)
        self._named = lasting

    def _warn(self, sentence: str) -> None:
        if sentence != self._warned:
            self.sender.listener.warned(sentence)
        self._warned = sentence
