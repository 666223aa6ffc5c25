"""File events of the inboxes and the rules of completeness.

Nothing in here knows what an arrival is: what is to be done on an event is an event processor, named by
dotted path.
"""
