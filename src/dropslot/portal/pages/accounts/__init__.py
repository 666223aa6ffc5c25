"""Pages about accounts, roles and tokens."""
