"""Access logs: where they are, how they rotate, whether they are written as config.yaml says, and the place in each."""
