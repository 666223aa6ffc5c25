"""`manage.py purge`: what `dropslot purge` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
