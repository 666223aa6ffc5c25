"""Signing in with the name and password of a directory (LDAP), by the extra `ldap`."""
