"""The commands of the sender. They need none of the server's packages, and run on Windows."""
