"""Numbers for Prometheus: of the installation, from the database and its trail, and of this machine's processes."""
