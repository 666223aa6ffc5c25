"""`manage.py removeuser`: what `dropslot removeuser` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
