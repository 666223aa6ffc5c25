"""The service as processes: supervised, in the background with a pid file or under systemd; and its log files."""
