"""Sending: a bag after another, through every interruption, until its receipt is there."""
