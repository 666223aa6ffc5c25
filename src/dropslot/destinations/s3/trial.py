"""Tries whether a store keeps what is needed: that nothing replaces an object.

The trial makes one small object, `.dropslot/trial`, and leaves it there: so it needs no right to delete, and works in a
bucket with object lock. If the store ignores a condition, this object is replaced by the same bytes.
"""

from __future__ import annotations

import hashlib

from dropslot.core.errors import Unsupported
from dropslot.core.names import RESERVED
from dropslot.destinations.s3.store import Store, in_base64

TRIAL = f"{RESERVED}/trial"
_DATA = b"dropslot tries here whether a second object of the same key is refused.\n"
_SHA256 = hashlib.sha256(_DATA).digest()


def require_conditions(store: Store, prefix: str) -> None:
    """Raise Unsupported if the store replaces an object although it was told not to. Also raises DestinationUnready."""
    key = prefix + TRIAL
    store.put(key, _DATA, _SHA256, {})
    if store.put(key, _DATA, _SHA256, {}):
        raise _ignores(store, "an object")
    if _completes(store, key):
        raise _ignores(store, "an object in parts")


def compares_digests(store: Store, prefix: str) -> bool:
    """Whether the store refuses bytes that do not have the SHA-256 that is sent with them, also as a part."""
    key, wrong = f"{prefix}{TRIAL}-digest", hashlib.sha256(b"").digest()
    return not (store.takes_wrong_digest(key, _DATA, wrong) or store.takes_wrong_part(key, _DATA, wrong))


def _completes(store: Store, key: str) -> bool:
    upload = store.begin(key, {})
    part = {
        "PartNumber": 1,
        "ETag": store.send_part(key, upload, 1, _DATA, _SHA256),
        "ChecksumSHA256": in_base64(_SHA256),
    }
    done = store.complete(key, upload, [part])
    if not done:
        store.abort(key, upload)
    return done


def _ignores(store: Store, what: str) -> Unsupported:
    return Unsupported(
        f"{store.access.place} has replaced {what} although it was asked not to (If-None-Match)",
        where="Nothing was or will be delivered there: an earlier delivery could be overwritten",
        next_step="Use a store that has conditional writes: Amazon S3, MinIO, Ceph, SeaweedFS and others",
    )
