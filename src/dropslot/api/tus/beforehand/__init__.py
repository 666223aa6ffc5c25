"""What is known of an upload before any of it is sent: its inbox, and what the route's rules say of names and sizes."""
