"""The extension point for pseudonyms that another service gives."""

from __future__ import annotations

from abc import ABC, abstractmethod

from dropslot.core.errors import DropslotError


class PseudonymsUnready(DropslotError):
    """The service cannot answer now. The arrival is retried."""

    code = "pseudonyms-unready"
    retryable = True


class PseudonymService(ABC):
    """Gives pseudonyms. Created once, without arguments, and asked from several threads."""

    @abstractmethod
    def pseudonym(self, kind: str, original: str) -> str | None:
        """The pseudonym of an original: the same one each time, and for no other original of that kind. None: dropslot
        makes one.

        `kind` is `patient` (`original` is the PatientID, `ID^^^ISSUER` if it has an issuer, or `NAME|BIRTHDATE` without
        a PatientID) or `accession`. A pseudonym has at most 64 characters for a patient, 16 for an accession number, of
        ASCII, without `\\`, `^` and `=`.

        Raise PseudonymsUnready, or another retryable DropslotError, if the service does not answer now, and
        `core.errors.Refused` if it has none for this original.
        """
