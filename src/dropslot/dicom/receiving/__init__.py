"""From scanners and archives into an inbox."""
