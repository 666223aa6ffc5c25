"""The sections of the first page, one for each role."""
