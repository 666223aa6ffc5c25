"""`manage.py acknowledgments`: what `dropslot acknowledgments` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
