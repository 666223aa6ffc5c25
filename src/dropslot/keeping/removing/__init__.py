"""Removes originals that are proved to be at their destinations."""
