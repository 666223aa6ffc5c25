"""How an account comes in: providers of OpenID Connect, the second factor, sessions; and what of it is an event."""
