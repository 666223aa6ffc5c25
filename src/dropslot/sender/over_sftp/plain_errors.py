"""Errors of the SFTP client in words for a person at a collection PC; the client's own speak to an administrator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from dropslot.core.errors import DiskFull, DropslotError, StorageFault
from dropslot.core.names import escape
from dropslot.sender.faults import HostChanged, HostUntrusted, InboxClosed, SignInRefused
from dropslot.sftp import wire
from dropslot.sftp.channel import ConnectionGone
from dropslot.sftp.faults import ConnectionLost, NoRoom, ServerLied, lost, typed
from dropslot.sftp.hostkeys import HostKeyChanged, HostKeyUnknown, HostsUnreadable, pattern
from dropslot.sftp.login import LoginRefused, Unreachable
from dropslot.sftp.ssh_account import Account
from dropslot.sftp.wire import Garbled, Said

KEPT = "Your files are untouched. What was sent so far is kept at the server"
UNSENT = "Nothing was sent. Your files are untouched"
RUNS_THE_SERVER = "the person who runs the server"


class Signing(Protocol):
    """What happened while a person was asked."""

    unanswered: str  # the question to which there was no answer

    def raise_error(self) -> None:
        """Raise what a question raised."""


@contextmanager
def in_words(account: Account, doing: str, signing: Signing) -> Iterator[None]:
    """Errors of the block, in words; `doing` is like "Looking at the inbox"."""
    try:
        yield
    except (ConnectionGone, Garbled) as error:
        raise _reworded(lost(account.server, error), account) from error
    except Said as said:
        if said.code == wire.PERMISSION_DENIED:
            raise closed(account, doing) from said
        raise _reworded(typed(account.server, said, doing), account) from said
    except DropslotError as error:
        signing.raise_error()
        if isinstance(error, LoginRefused) and signing.unanswered:
            raise unanswered(account, signing.unanswered) from error
        raise _reworded(error, account) from error.__cause__


def closed(account: Account, doing: str) -> InboxClosed:
    """The error for what the account may not do."""
    return InboxClosed(
        f"{doing} at {escape(account.server)} was refused: your account may not do this",
        where=KEPT,
        next_step=f"Check the address of the inbox. If it is right, ask {RUNS_THE_SERVER} to let {escape(account.user)}"
        " write there",
    )


def closed_receipts(account: Account) -> InboxClosed:
    """The error for an account that may read nothing."""
    return InboxClosed(
        f"Your account may not read its receipts at {escape(account.server)}",
        where="Your files were sent whole; whether they were delivered cannot be seen from here",
        next_step=f"Ask {RUNS_THE_SERVER} to let {escape(account.user)} read the folder of receipts"
        " (with OpenSSH: without `read` in internal-sftp's -P)",
    )


def _reworded(error: DropslotError, account: Account) -> DropslotError:
    if isinstance(error, LoginRefused):
        return refused(account)
    if isinstance(error, HostKeyUnknown):
        return _untrusted(error, account)
    if isinstance(error, HostKeyChanged):
        return _changed(error, account)
    if isinstance(error, HostsUnreadable):  # a file of this PC
        error.next_step = (
            "Correct this file, or name another one (`known_hosts`, --known-hosts), then send again"
        )
    for kind, step in _STEPS.items():
        if isinstance(error, kind):
            error.where, error.next_step = KEPT, step
            break
    else:
        if error.code == "destination-unready":
            error.where, error.next_step = KEPT, _ANY
    return error


_ANY = f"It is tried again by itself. If this goes on, show this message to {RUNS_THE_SERVER}"
_STEPS: dict[type[DropslotError], str] = {
    Unreachable: "It is tried again by itself. Check that this PC has a network (a VPN, if the server needs one), and"
    " that the address is right",
    ConnectionLost: "It goes on by itself once the network is back",
    DiskFull: f"Tell {RUNS_THE_SERVER}: it needs room, or your account a larger quota. Sending goes on by itself when"
    " there is room",
    NoRoom: f"Tell {RUNS_THE_SERVER}: your account there needs a larger quota, or the disk fails. Then send again",
    ServerLied: f"It is sent again. If this goes on, tell {RUNS_THE_SERVER}: its disk or program loses data",
    StorageFault: f"It is sent again. If this goes on, tell {RUNS_THE_SERVER}: its disk may be failing",
}


def refused(account: Account) -> SignInRefused:
    """The error for a sign-in that did not work."""
    return SignInRefused(
        f"{escape(account.host)} did not let {escape(account.user)} sign in: the name, the password, the code or the"
        " key is wrong, or the account is locked or expired",
        where=UNSENT,
        next_step=f"Check the name and try again. If it is right, ask {RUNS_THE_SERVER} whether your account is open;"
        " do not try many times, that may lock it",
    )


def unanswered(account: Account, what: str) -> SignInRefused:
    """The error for a question to which there was no answer."""
    return SignInRefused(
        f"{escape(account.host)} did not let {escape(account.user)} sign in: it needs {what}, and there is none",
        where=UNSENT,
        next_step="Sign in where you can be asked, or name a key that the server accepts and that opens without a"
        f" question. If you named one, ask {RUNS_THE_SERVER} whether it is known there, and whether your account is"
        " locked or expired",
    )


def _untrusted(error: HostKeyUnknown, account: Account) -> HostUntrusted:
    kind, fingerprint = shown(error)
    return HostUntrusted(
        f"This PC does not know {escape(account.host)} yet; it shows the {kind} key {fingerprint}",
        where=UNSENT,
        next_step=f"Compare this fingerprint with the one that {RUNS_THE_SERVER} gives you. If they are the same, trust"
        f" it (in a script: --trust {fingerprint})",
    )


def shown(error: HostKeyUnknown) -> tuple[str, str]:
    """Kind and fingerprint of an unknown host key."""
    import asyncssh

    key = asyncssh.import_public_key(error.shown)
    return key.get_algorithm(), key.get_fingerprint()


def _changed(error: HostKeyChanged, account: Account) -> HostChanged:
    return HostChanged(
        error.what,
        where=UNSENT,
        next_step=f"Somebody may be between this PC and the server: do not sign in. Ask {RUNS_THE_SERVER}. Only if the"
        f" key was changed on purpose: ssh-keygen -R '{pattern(account)}' -f {escape(str(account.hosts_file))}, then"
        " send again and compare the new fingerprint",
    )
