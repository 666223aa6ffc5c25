"""The sender's window (Qt): choose a study, see what is new, send it, and see that it was delivered. No Django."""
