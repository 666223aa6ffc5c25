"""`manage.py drain`: what `dropslot drain` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
