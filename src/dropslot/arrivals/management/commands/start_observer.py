"""`manage.py start_observer`: what `dropslot start_observer` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
