"""`manage.py timestamp`: what `dropslot timestamp` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
