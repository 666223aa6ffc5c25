"""Sends presets, waits for receipts, and says what became of it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from dropslot.cli.output.exit_status import FAILED, UsageError, explain
from dropslot.cli.sending.telling import Told, files, show_plan
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.settings.limits import Limit
from dropslot.sender.connecting import Access
from dropslot.sender.engine.retries import NEVER
from dropslot.sender.engine.sender import Sender
from dropslot.sender.file_states import DELIVERED, REFUSED, UNCHANGED, UPLOADED
from dropslot.sender.home_folder import settings_file
from dropslot.sender.new_files.preset_scan import Wish
from dropslot.sender.plan import Plan
from dropslot.sender.presets.preset import Preset

WAIT_SECONDS = 15.0
_LATER = "`dropslot sent` shows when it has"
_RECEIPT = "`dropslot sent` shows whether a receipt comes"


@dataclass(frozen=True, slots=True)
class How:
    """`wait_seconds`: how long to wait for receipts; 0: not at all."""

    wish: Wish
    wait_seconds: float = WAIT_SECONDS
    dry_run: bool = False
    as_json: bool = False
    limit: Limit | None = None  # of what an earlier run began


def send_all(sender: Sender, presets: Sequence[Preset], how: How, told: Told) -> int:
    """Send each preset; without one, what an earlier run began. The exit status."""
    if not presets:
        return _resume(sender, how, told)
    return max(_send_or_explain(sender, preset, how, told) for preset in presets)


def _send_or_explain(sender: Sender, preset: Preset, how: How, told: Told) -> int:
    """What keeps one preset from being sent keeps no other back, but for a sign-in: more tries may lock the account."""
    try:
        return _send(sender, preset, how, told)
    except DropslotError as error:
        if error.code in NEVER:
            raise
        told.close()
        return explain(error)


def _resume(sender: Sender, how: How, told: Told) -> int:
    gc.enable()
    bags = sender.unfinished()
    if not bags:
        raise UsageError(
            "Nothing is unfinished, and no preset is named",
            next_step=f"Name one of the presets in {escape(str(settings_file()))}: dropslot send PRESET; or send files:"
            " dropslot send PATH --to sftp://HOST/INBOX --study STUDY",
        )
    if how.dry_run:
        told.say(f"{len(bags)} unfinished: {', '.join(escape(bag.name) for bag in bags)}.")
        return 0
    sender.resume(how.limit)
    told.close()
    return max(
        _await_receipts(sender, access, how, told) for access in dict.fromkeys(bag.access for bag in bags)
    )


def _send(sender: Sender, preset: Preset, how: How, told: Told) -> int:
    plan = sender.look(preset, how.wish)
    gc.enable()  # not before: it would search what is known of 100,000 files for cycles that cannot be there
    if how.dry_run:
        show_plan(plan, told, as_json=how.as_json)
        return FAILED if plan.left else 0
    for left in plan.left:
        told.left(left)
    is_idle = not plan.new and not sender.unfinished()
    if is_idle:
        told.say(_nothing_new(plan))
    if not is_idle or sender.cancelled(preset.access):
        sender.send(plan)
    told.close()
    return max(FAILED if told.kept else 0, _await_receipts(sender, preset.access, how, told))


def _nothing_new(plan: Plan) -> str:
    there = f"{files(plan.known)} were sent before" if plan.known else "No file is there"
    return f"Nothing is new in {escape(plan.preset.name)}. {there}."


def _await_receipts(sender: Sender, access: Access, how: How, told: Told) -> int:
    """Wait for receipts, then say what became of the files. That no receipt is there yet is no failure."""
    status = 0
    if how.wait_seconds and told.count()[UPLOADED]:
        try:
            sender.follow(access, how.wait_seconds)
        except DropslotError as error:
            sys.stdout.flush()
            status = explain(error)
    count, doubtful = told.count(), len(told.doubtful)
    for sentence in _summary(count[DELIVERED], count[UNCHANGED], count[REFUSED], count[UPLOADED] - doubtful):
        told.say(sentence)
    if doubtful:
        told.say(f"Perhaps removed at the server: {files(doubtful)}. {_RECEIPT}.")
    return FAILED if status or count[REFUSED] or doubtful else 0


def _summary(delivered: int, unchanged: int, refused: int, uploaded: int) -> list[str]:
    found = []
    if delivered or unchanged:
        there = f" ({files(unchanged)} of these were there before)" if unchanged else ""
        found.append(f"Delivered: {files(delivered + unchanged)}{there}.")
    if refused:
        found.append(
            f"Refused by the server: {files(refused)}. Nothing of that arrival was delivered; your files are untouched."
        )
    if uploaded:
        found.append(f"Uploaded whole: {files(uploaded)}. The server has not delivered them yet; {_LATER}.")
    return found
