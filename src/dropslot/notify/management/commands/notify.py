"""`manage.py notify`: what `dropslot notify` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
