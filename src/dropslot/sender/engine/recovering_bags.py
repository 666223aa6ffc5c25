"""Fills in the bags of a lost ledger: the server's receipts say what was in them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.reading_json import MALFORMED
from dropslot.sender import home_folder
from dropslot.sender.engine.listener import Listener
from dropslot.sender.engine.receipts import fetch
from dropslot.sender.inbox import Inbox
from dropslot.sender.ledger import journal
from dropslot.sender.ledger.bags import Bag, Bags
from dropslot.sender.receipts.verify_receipt import BadReceipt


def recover(inbox: Inbox, bag: Bag, bags: Bags, listener: Listener) -> None:
    """Fill in a bag of a lost ledger. What has no receipt was perhaps unfinished: that is removed from the inbox, and
    its files are new again."""
    receipt = inbox.receipt(bag.name)
    if receipt is None:
        inbox.discard(bag.name)
        return
    roots = journal.roots(home_folder.journal_file(), bag.name)
    try:
        bags.recover(bag, _files(receipt.files, roots))
    except MALFORMED as error:
        raise BadReceipt(f"The receipt of {escape(bag.name)} cannot be read", next_step=str(error)) from error
    try:
        fetch(inbox, bag, bags, home_folder.signers(), listener)
    except DropslotError:
        bags.forget_files(bag)  # nothing is believed that is not signed
        raise


def _files(lines: str, roots: Mapping[str, str]) -> Iterator[tuple[str, str, int, str]]:
    for line in lines.splitlines():
        row = json.loads(line)
        if row["sha256"] is None or row["size_bytes"] is None:  # refused, or made anew: it is sent again
            continue
        path = str(row["file"])
        yield _source(path, roots), path, int(row["size_bytes"]), str(row["sha256"])


def _source(path: str, roots: Mapping[str, str]) -> str:
    """Where the file was on this PC, as far as the journal says."""
    for prefix, root in sorted(roots.items(), key=lambda item: -len(item[0])):
        if path == prefix:
            return root
        if not prefix or path.startswith(f"{prefix}/"):
            return os.path.join(root, *Path(path[len(prefix) :].lstrip("/")).parts)
    return path
