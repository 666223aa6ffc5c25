"""`manage.py sentinel`: what `dropslot sentinel` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
