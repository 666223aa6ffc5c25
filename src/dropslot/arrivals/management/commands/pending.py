"""`manage.py pending`: what `dropslot pending` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
