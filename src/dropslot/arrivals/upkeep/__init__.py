"""Maintaining an installation: database, preflight, doctor, retry, purge, fixity, late writes, rebuild."""
