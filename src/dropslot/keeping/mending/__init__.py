"""Puts back what was damaged at a destination; the damaged bytes are set aside."""
