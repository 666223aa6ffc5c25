"""`manage.py adduser`: what `dropslot adduser` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
