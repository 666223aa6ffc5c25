"""One file for each command, as Django finds them; `bridge` does what they have in common."""
