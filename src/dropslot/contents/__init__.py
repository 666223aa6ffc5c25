"""What an arrival holds, as its delivery sees it: its items, their paths below a target, their digests.

A kind of contents is a class: `base.Contents` for folders and files that are delivered as they are, `bags.BagContents`
for bags. `kinds.contents_of` finds the kind of what was listed; add yours there.
"""
