"""Reads stored files and compares them with what was delivered."""
