"""`manage.py stop_watcher`: what `dropslot stop_watcher` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
