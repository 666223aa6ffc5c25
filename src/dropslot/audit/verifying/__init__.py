"""Proof that the trail and the stored files are what they were: in place, and from an export on another machine."""
