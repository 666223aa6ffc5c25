"""The index of the listings: which rows may match a search, a filter or a role's scope.

It only narrows. Each row that it names is compared by the database once more, and rows that are newer than the index
are always compared. So the index changes how long a listing takes, and never what is in it.
"""
