"""From nothing to a running service: `init`, `schema`, `install_service`."""
