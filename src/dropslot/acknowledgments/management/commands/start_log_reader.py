"""`manage.py start_log_reader`: what `dropslot start_log_reader` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
