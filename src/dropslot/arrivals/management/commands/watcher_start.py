"""`manage.py watcher_start`: what `dropslot watcher_start` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
