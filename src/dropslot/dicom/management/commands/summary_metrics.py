"""`manage.py summary_metrics`: what `dropslot summary_metrics` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
