"""What a server's inbox can refuse. None of these goes away by itself."""

from __future__ import annotations

from dropslot.core.errors import DropslotError


class SignInRefused(DropslotError):
    """The server did not accept name, key, password or code; or nobody could be asked for them."""

    code = "login-refused"


class HostUntrusted(DropslotError):
    """The server's host key is not known here, and nobody trusted it."""

    code = "host-key-unknown"


class HostChanged(DropslotError):
    """The server shows another host key than before."""

    code = "host-key-changed"


class InboxMissing(DropslotError):
    """There is no such folder at the server."""

    code = "inbox-missing"


class InboxClosed(DropslotError):
    """The account may not put anything into the inbox, or is not allowed SFTP."""

    code = "inbox-closed"


class BagNameTaken(DropslotError):
    """The inbox has something else under the bag's final name."""

    code = "bag-name-taken"


class BagIncomplete(DropslotError):
    """The bag at the server lacks files that were sent. Those with these `paths` (in the bag) must be sent again; all
    files if there are no paths."""

    code = "bag-incomplete"
    paths: tuple[str, ...] = ()


class BagGone(BagIncomplete):
    """The unfinished bag was removed at the server."""

    code = "bag-gone"


class BagRefused(DropslotError):
    """The server takes no bag with such names or sizes: its route's rules forbid it."""

    code = "bag-refused"
