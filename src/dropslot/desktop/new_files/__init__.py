"""What is new, as a tree whose parts can be chosen."""
