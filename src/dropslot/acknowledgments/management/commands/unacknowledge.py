"""`manage.py unacknowledge`: what `dropslot unacknowledge` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
