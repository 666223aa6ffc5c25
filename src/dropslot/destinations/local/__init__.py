"""Folders of this machine, and those that are mounted."""
