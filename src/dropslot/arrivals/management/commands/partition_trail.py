"""`manage.py partition_trail`: what `dropslot partition_trail` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
