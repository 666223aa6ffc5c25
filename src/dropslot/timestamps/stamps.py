"""One time stamp: what is asked for, what must be true of the answer. Verified by rfc3161-client.

Stamped is the SHA-256 of the head's written form, `SEQ:HASH` without a line end, so that openssl can check it too:

    openssl ts -verify -in stamp.tsr -data head.txt -CAfile tsa-root.pem
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dropslot.audit.chain import Head
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.timestamps.certificate_order import in_der_order

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from rfc3161_client import TimeStampRequest, TimeStampResponse

_OF_CERTIFICATES = re.compile(r'Verify error: ?([^"]+)"')
_UNTRUSTED = re.compile("self.signed certificate|issuer certificate")


class NotProven(DropslotError):
    """An answer of a time-stamping authority is no proof. Nothing was recorded because of it."""

    code = "timestamp"
    retryable = True


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an authority has signed: that `head` existed at `at`. `signer`: the name in its certificate."""

    head: Head
    at: datetime
    signer: str
    response: bytes


def request_for(head: Head) -> TimeStampRequest:
    """A request for a stamp of a head, with a random number that the answer must repeat."""
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    builder = TimestampRequestBuilder().data(_text(head)).hash_algorithm(HashAlgorithm.SHA256)
    return builder.nonce(nonce=True).cert_request(cert_request=True).build()


def proven(
    response: bytes, head: Head, roots: Collection[Certificate], request: TimeStampRequest | None = None
) -> Stamp:
    """The stamp in an answer, if it is of this head (and answers this request) and was signed by an authority below
    one of the roots, whose certificates were valid at its time. Raises NotProven."""
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

    with _in_words():
        answer = decode_timestamp_response(in_der_order(response))
        _require_granted(answer)
        builder = VerifierBuilder(roots=[*roots], nonce=request.nonce if request else None)
        try:
            builder.build().verify_message(answer, _text(head))
        except VerificationError as error:
            raise NotProven(f"The answer is not a valid time stamp: {_why(str(error))}") from error
        info = answer.tst_info
        return Stamp(head, info.gen_time.astimezone(UTC), _signer(answer), response)


def _why(said: str) -> str:
    """What openssl says of certificates, without the names of its functions and files."""
    if (found := _OF_CERTIFICATES.search(said)) is None:
        return escape(said)
    why = escape(found[1])
    if _UNTRUSTED.search(why) is None:
        return why
    return f"none of the trusted root certificates has issued its certificate ({why}); set `timestamp: certificates`"


def _text(head: Head) -> bytes:
    return str(head).encode("ascii")


def _require_granted(answer: TimeStampResponse) -> None:
    from rfc3161_client.tsp import PKIStatus

    if answer.status != PKIStatus.GRANTED:
        said = escape("; ".join(map(str, answer.status_string)))[:300]
        raise NotProven(f"The authority refused: status {answer.status}{f', {said}' if said else ''}")


@contextmanager
def _in_words() -> Iterator[None]:
    """What a parser meets in a hostile answer is a NotProven, too."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd certificates, of which the verification decides
            yield
    except (ValueError, TypeError, OverflowError, NotImplementedError) as error:
        raise NotProven(f"The answer is not a time stamp of RFC 3161: {escape(str(error))[:300]}") from error


def _signer(answer: TimeStampResponse) -> str:
    """The common name, or whole name, of the certificate for time stamping."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    for encoded in answer.signed_data.certificates:
        certificate = x509.load_der_x509_certificate(encoded)
        try:
            usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            continue
        if ExtendedKeyUsageOID.TIME_STAMPING in usages:
            names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            return escape(str(names[0].value) if names else certificate.subject.rfc4514_string())[:200]
    return ""
