"""`manage.py receipt`: what `dropslot receipt` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
