"""What programs and senders get of what happened, by readers of the event table. No delivery waits for them; people
are told by the app `notify`."""
