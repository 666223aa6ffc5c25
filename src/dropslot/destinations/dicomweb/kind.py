"""DICOMweb services, as a kind of destination."""

from __future__ import annotations

from importlib.util import find_spec

from dropslot.config import Deliver
from dropslot.core.context import once
from dropslot.core.errors import BadOption
from dropslot.destinations.base import Examined, Kind, Target
from dropslot.destinations.dicomweb.destination import DicomWeb
from dropslot.destinations.dicomweb.service_access import Access, access_of


class DicomWebKind(Kind):
    """Addresses such as `dicomweb+https://pacs.example.org/dicom-web`."""

    def for_rule(self, rule: Deliver) -> DicomWeb:
        if find_spec("pydicom") is None:
            raise BadOption(
                f"deliver to {rule.to}: it needs the package pydicom, which is not installed",
                next_step="Install it: pip install 'dropslot[dicom]'",
            )
        return _made(access_of(rule), rule.verify or "find")

    def examine(self, rule: Deliver, warn_percent: float) -> Examined:  # noqa: ARG002
        self.for_rule(rule).check(Target.fixed_part(rule))
        return Examined("ok", f"{rule.to} answers and lets us in")


@once
def _made(access: Access, verify: str) -> DicomWeb:
    return DicomWeb(access, verify)
