"""Whether a receipt is the server's own, and what it says of the files that were sent."""
