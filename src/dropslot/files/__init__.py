"""Walks, reads and copies files and folders of this machine by descriptors, never through a link; typed faults."""
