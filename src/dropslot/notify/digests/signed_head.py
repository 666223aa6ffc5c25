"""The head of the audit trail, signed: whoever keeps it can prove that nothing before it was changed since.

ssh-keygen -Y verify -f allowed_signers -I dropslot -n dropslot -s head.json.sig < head.json
dropslot verify --head SEQ:HASH
"""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from dropslot.audit import chain, receipts, signing_key
from dropslot.audit.canonical import canonical
from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.core.signing import sshsig
from dropslot.core.signing.signers import NAMESPACE
from dropslot.timestamps import stamping

log = structlog.get_logger()


def signed_head(config: Config, head: chain.Head) -> list[str]:
    """Lines: the statement, one line of JSON, and its signature, which covers that line with its line end. Raises
    KeyFault."""
    statement = canonical(
        {
            "at": chain.timestamp(datetime.now(UTC)),
            "dropslot": receipts.dropslot_version(),
            "head": head._asdict(),
        }
    )
    key = signing_key.receipt_key(config.keys)
    return [statement, *sshsig.sign(key, NAMESPACE, f"{statement}\n".encode()).splitlines()]


def stamp_in_words(config: Config) -> str:
    """Have the head stamped with the time by the authority of config.yaml, if there is one; a sentence about the newest
    stamp, empty without any. Takes up to half a minute if the authority does not answer; the summary is sent all the
    same."""
    try:
        stamping.stamp(config)
    except DropslotError as error:
        log.warning(str(error), action="not_stamped", error=error.code)
    newest = stamping.newest()
    if newest is None:
        return ""
    return f"All up to event {newest.head.seq} has a time stamp of {newest.at:%Y-%m-%d %H:%M:%S} UTC."
