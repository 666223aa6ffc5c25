"""Celery's side of the broker: the client, queues and priorities. Messages are hints; the database is the truth."""
