"""Access logs: where they are, how they rotate, whether they have the format that config.yaml names, how far they were read."""
