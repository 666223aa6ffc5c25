"""Named values taken from an arrival, used in destination paths; one file for each kind."""
