"""What was sent, and what became of it."""
