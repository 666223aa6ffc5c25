"""Storage commitment: requests of senders, and our answers."""
