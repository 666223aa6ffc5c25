"""The connection of a sender: made when it is needed, kept while it works."""

from __future__ import annotations

import contextlib

from dropslot.core.errors import DropslotError
from dropslot.sender.connecting import Access, connect
from dropslot.sender.credentials import Credentials
from dropslot.sender.inbox import Inbox


class Connections:
    """One inbox, signed in at the first use. It survives a lost connection, and remembers what the person answered."""

    def __init__(self, access: Access, credentials: Credentials) -> None:
        self.access, self._credentials = access, credentials
        self._inbox: Inbox | None = None
        self.was_signed_in = False

    def inbox(self) -> Inbox:
        """The inbox. Raises what signing in raises."""
        if self._inbox is None:
            self._inbox = connect(self.access, self._credentials)
            self.was_signed_in = True
        return self._inbox

    def drop(self) -> None:
        """Sign out; the next use signs in again."""
        inbox, self._inbox = self._inbox, None
        if inbox is not None:
            with contextlib.suppress(DropslotError, OSError):  # it is broken already
                inbox.close()
