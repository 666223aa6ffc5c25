"""`manage.py fetch_dicom`: what `dropslot fetch_dicom` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
