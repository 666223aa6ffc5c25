"""`manage.py series`: what `dropslot series` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
