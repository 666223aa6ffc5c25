"""What is shown while files are sent."""
