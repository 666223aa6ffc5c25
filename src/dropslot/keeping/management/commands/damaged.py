"""`manage.py damaged`: what `dropslot damaged` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
