"""`manage.py export_metrics`: what `dropslot export_metrics` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
