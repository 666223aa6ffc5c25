"""The project's people."""
