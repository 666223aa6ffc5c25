"""What pages say about states, events and routes."""
