"""`manage.py health`: what `dropslot health` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
