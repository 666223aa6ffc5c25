"""`manage.py start_watcher`: what `dropslot start_watcher` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
