"""Opens the ledger; a damaged one is made anew: the journal has the names of all bags."""

from __future__ import annotations

from dropslot.sender import home_folder
from dropslot.sender.engine.listener import Listener
from dropslot.sender.ledger import journal
from dropslot.sender.ledger.bags import Bags
from dropslot.sender.ledger.ledger import Ledger
from dropslot.sender.ledger.lock import held
from dropslot.sender.ledger.open_ledger import LedgerDamaged, move_aside
from dropslot.sender.local_paths import shown_path


def open_ledger(listener: Listener) -> Ledger:
    """The ledger of this PC. One that is damaged is moved aside, and a new one knows the names of its bags. Raises
    LedgerUnready, LedgerNewer and SenderBusy."""
    path = home_folder.ledger_file()
    try:
        return Ledger(path)
    except LedgerDamaged as error:
        with held(home_folder.lock_file()):
            kept = move_aside(path)
            listener.warned(
                f"{error.what}. It is kept as {shown_path(kept)}. A new one is made from the server's receipts. No"
                " file of yours is touched; what has no receipt is sent once more"
            )
            ledger = Ledger(path)
            for noted in journal.noted(home_folder.journal_file()):
                Bags(ledger).lose(noted)
        return ledger
