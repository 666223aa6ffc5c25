"""`manage.py events`: what `dropslot events` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
