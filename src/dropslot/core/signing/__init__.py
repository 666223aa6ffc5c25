"""Signatures as OpenSSH makes them, and who may sign."""
