"""Sends many files to one folder of a server, several at once: for deliveries and for the sender.

upload          a thread reads and hashes, the event loop sends; it goes on after a lost connection
feed            from that thread to the loop
room            how many bytes may be on their way
sending, large  one file: write, set attributes, sync, compare the size
known           what the server is known to have, over all connections
there           what it has of a file that was begun before
"""
