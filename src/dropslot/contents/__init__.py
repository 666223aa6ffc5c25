"""The contents of an arrival, as its delivery sees them: its items, their paths below a target, their digests.

Each kind of contents is a class: `base.Contents` for folders and files that are delivered as they are,
`bags.BagContents` for bags. `contents_of_arrival.contents_of` finds the kind of a listing; add yours there.
"""
