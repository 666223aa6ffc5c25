"""`manage.py log_readers`: what `dropslot log_readers` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
