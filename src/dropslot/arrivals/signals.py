"""Django signals of the arrivals."""

from django.dispatch import Signal

# Sent once with `arrival` (id) when an arrival is done, apart from its delivery: a receiver that fails is called again.
arrival_done = Signal()
