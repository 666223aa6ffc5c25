"""Keeping what was delivered, for years: scheduled fixity, mending, retention, legal holds."""
