"""`manage.py migrate_data`: what `dropslot migrate_data` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
