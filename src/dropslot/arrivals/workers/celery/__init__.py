"""Workers of Celery, on this machine or others: the database says what is due, a message only wakes them."""
