"""Monthly reports: what was received, delivered, refused and fetched, for each study and clinic."""
