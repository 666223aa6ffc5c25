"""dropslot's commands as Django's management commands."""
