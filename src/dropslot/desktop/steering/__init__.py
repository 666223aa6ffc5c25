"""Connects the parts of the window with the engine."""
