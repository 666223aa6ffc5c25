"""`manage.py import_getresults`: what `dropslot import_getresults` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
