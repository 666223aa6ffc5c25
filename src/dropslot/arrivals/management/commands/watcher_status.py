"""`manage.py watcher_status`: what `dropslot watcher_status` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
