"""Libraries that are not written in Python parse strangers' bytes here, in a process without any rights.

`process.ask` sends descriptors to it and gets plain data back; `program` is what it runs, `confinement` takes its
rights away before it sees the first byte. A module that parses (`pdf`, `content_types`) has a function
`parse(descriptors, question)` that returns what JSON holds, and may have `prepare()`, called while files can still
be opened. These modules import nothing of dropslot but each other.
"""
