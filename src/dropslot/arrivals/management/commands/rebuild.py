"""`manage.py rebuild`: what `dropslot rebuild` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
