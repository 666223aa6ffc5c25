"""Many files as a tree that stays quick."""
