"""`manage.py load_remote_folders`: what `dropslot load_remote_folders` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
