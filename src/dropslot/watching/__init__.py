"""File events of the inboxes and the rules of completeness.

Nothing in here knows what an arrival is: an event processor, named by dotted path, decides what to do on an event.
"""
