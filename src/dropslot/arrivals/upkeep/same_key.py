"""All machines of an installation sign receipts with one key."""

from __future__ import annotations

from django.db import connection

from dropslot.arrivals.models import Installation
from dropslot.arrivals.upkeep import markers
from dropslot.audit import signing_key
from dropslot.audit.models import Receipt
from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.signing import signers, sshsig
from dropslot.core.signing.signers import NAMESPACE


class OtherKey(DropslotError):
    """This machine's key is not the one that the installation's receipts are signed with."""

    code = "other-key"


def require_same_key(config: Config) -> None:
    """Raise OtherKey unless this machine knows the keys of the installation: that of the machine that started first,
    and that of the newest receipt. SQLite is on one machine alone. Also raises KeyFault."""
    if connection.vendor == "sqlite":
        return
    if not _knows_newest(config):
        raise _other(config)
    markers.identity(config)  # makes the row
    if not Installation.objects.exclude(signer="").exists():
        mine = signing_key.receipt_signer(config.keys)
        Installation.objects.filter(signer="").update(signer=mine)  # of several machines at once, one does it
    if not signers.parse(Installation.objects.get().signer) <= _allowed(config):
        raise _other(config)


def _allowed(config: Config) -> frozenset[bytes]:
    """Read after the database: another process of this machine may just have made the key."""
    return signing_key.allowed_signers(config.keys / signing_key.ALLOWED_SIGNERS)


def _knows_newest(config: Config) -> bool:
    newest = Receipt.objects.order_by("-arrival").first()
    if newest is None:
        return True
    try:
        sshsig.verify(newest.signature, NAMESPACE, newest.body.encode(), _allowed(config))
    except sshsig.BadSignature:
        return False
    return True


def _other(config: Config) -> OtherKey:
    return OtherKey(
        "This machine does not have the key that the receipts of this installation are signed with",
        where="Nothing was taken",
        next_step=f"Copy the folder `keys` of the first machine's data folder to {escape(str(config.keys))}. If it is"
        f" lost, put a copy of its `{signing_key.ALLOWED_SIGNERS}` there, which auditors have: a new key is then made",
    )
