"""Access logs: where they are, how they rotate, and what their lines say."""
