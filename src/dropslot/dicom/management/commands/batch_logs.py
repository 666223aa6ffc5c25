"""`manage.py batch_logs`: what `dropslot batch_logs` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
