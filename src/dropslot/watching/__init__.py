"""File events of the inboxes, the rules of completeness, and the daemon that watches.

Nothing in here knows what an arrival is: what is to be done on an event is an event processor, named by
dotted path.
"""
