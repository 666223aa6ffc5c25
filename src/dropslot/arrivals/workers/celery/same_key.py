"""All workers of an installation sign receipts with one key, also on other machines."""

from __future__ import annotations

from dropslot.audit import signing_key
from dropslot.audit.models import Receipt
from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.signing import sshsig
from dropslot.core.signing.signers import NAMESPACE


class OtherKey(DropslotError):
    """This machine's key is not the one that the installation's receipts are signed with."""

    code = "other-key"


def require_same_key(config: Config) -> None:
    """Raise OtherKey unless the newest receipt was signed with a key that this machine has. Without any receipt
    nothing is known yet."""
    newest = Receipt.objects.order_by("-arrival").first()
    if newest is None:
        return
    allowed = signing_key.allowed_signers(config.keys / signing_key.ALLOWED_SIGNERS)
    try:
        sshsig.verify(newest.signature, NAMESPACE, newest.body.encode(), allowed)
    except sshsig.BadSignature as error:
        raise OtherKey(
            "This machine does not have the key that the receipts of this installation are signed with",
            where="Nothing was taken",
            next_step=f"Copy the folder `keys` of the first machine's data folder to {escape(str(config.keys))}",
        ) from error
