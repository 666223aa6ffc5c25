"""One patient, study, series or image."""
