"""Arrivals and deliveries: their models, and the rooms in which they are worked on (a Django app)."""
