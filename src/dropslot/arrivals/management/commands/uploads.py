"""`manage.py uploads`: what `dropslot uploads` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
