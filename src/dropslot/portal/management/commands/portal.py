"""`manage.py portal`: what `dropslot portal` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
