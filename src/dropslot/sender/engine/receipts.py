"""Receipts: fetched, checked, and applied to the ledger."""

from __future__ import annotations

from pathlib import Path

from dropslot.core.names import escape
from dropslot.sender.engine.listener import Listener
from dropslot.sender.inbox import Inbox
from dropslot.sender.ledger.bags import Bag, Bags
from dropslot.sender.ledger.sent_rows import sent
from dropslot.sender.receipts.kept_signers import KeptSigners
from dropslot.sender.receipts.verify_receipt import Checked, check


def fetch(inbox: Inbox, bag: Bag, bags: Bags, signers: Path, listener: Listener) -> bool:
    """Apply the newest receipt of a bag; whether there was one. Raises BadReceipt, SignersChanged and NoSigners; then
    nothing is changed."""
    receipt = inbox.receipt(bag.name)
    if receipt is None:
        return False
    trusted = KeptSigners(signers, bag.inbox, bag.access.signer).trusted(inbox.signers)
    files = {each.path: each.sha256 for each in bags.files(bag)}
    checked = check(receipt, bag.name, files, trusted)
    before = {file.file: file for file in sent(bags.ledger, bag=bag.name)}
    bags.settle(bag, checked.arrival, checked.finished_at, _outcomes(checked))
    for file in sent(bags.ledger, bag=bag.name):
        if before[file.file] != file:
            listener.changed(file)
    return True


def _outcomes(checked: Checked) -> dict[str, tuple[str, str, bool]]:
    return {
        path: (each.state, "; ".join(map(escape, each.reason)), each.is_at_fault)
        for path, each in checked.files.items()
    }
