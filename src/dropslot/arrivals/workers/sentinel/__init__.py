"""The sentinel: the process that watches over the others. It says as events when a trouble begins and when it is over,
and pings a server outside as long as all is well.

Each tree of processes has one, also a portal, workers or a beat that are started alone: so a tree that was killed is
reported by something that is not itself.
"""
