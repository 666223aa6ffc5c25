"""`manage.py watcher_stop`: what `dropslot watcher_stop` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
