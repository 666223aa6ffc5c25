"""The only code that stages and publishes payload bytes."""
