"""The sender's way over HTTPS: bags go to a portal by tus, with a token."""
