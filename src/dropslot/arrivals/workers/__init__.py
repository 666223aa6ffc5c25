"""Who takes arrivals: processes on this machine."""
