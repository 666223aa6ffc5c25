"""Mistakes in config.yaml and in its files, in words, with the remedy."""
