"""What there is of an unfinished upload: its bytes, its ticket, and how much an account has of them."""
