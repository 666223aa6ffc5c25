"""`manage.py arrivals`: what `dropslot arrivals` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
