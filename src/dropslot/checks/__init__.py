"""Rules that an arrival must keep before anything of it is delivered; one file a kind."""
