"""From the inbox to a row: claimed, sealed and recorded; what waits, and what a claim without a row is."""
