"""From events to messages: what happened, whom it concerns, what is alike, and when it is sent."""
