"""The workers: processes on this machine that take arrivals, the service that starts them, and `drain`."""
