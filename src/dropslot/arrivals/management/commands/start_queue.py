"""`manage.py start_queue`: what `dropslot start_queue` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
