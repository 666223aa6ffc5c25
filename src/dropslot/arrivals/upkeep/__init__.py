"""Keeping an installation well: database, preflight, doctor, retry, purge, fixity, late writes, rebuild."""
